/**
 * Objects the tests put into an API server, as kubectl would.
 */
import type { CallOptions, KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { KubernetesError } from '../../src/control/kubernetes/error.ts';

type Json = Record<string, unknown>;

export interface Created {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly status?: Json;
}

export async function create(client: KubernetesClient, path: string, body: Json): Promise<Created> {
  return (await client.call(path, { method: 'POST', body })) as Created;
}

export async function createNamespace(
  client: KubernetesClient,
  name: string,
  labels: Record<string, string> = {},
): Promise<void> {
  await create(client, '/api/v1/namespaces', { metadata: { name, labels } }).catch((error) => {
    if (!(error instanceof KubernetesError && error.status === 409)) throw error;
  });
}

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly serviceAccount?: string;
  readonly node?: string;
  readonly ready?: boolean;
}

export function podBody(name: string, options: PodOptions = {}): Json {
  const { labels = { app: name }, annotations = {}, serviceAccount = 'default', node } = options;
  return {
    metadata: { name, labels, annotations },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      serviceAccountName: serviceAccount,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'example.com/main:1', ports: [{ containerPort: 8080 }] }],
    },
  };
}

export function podStatus(ip: string, ready = true): Json {
  return {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
  };
}

/** Running, with an address; the status is the kubelet's to write, so it is a second request. */
export async function runPod(
  client: KubernetesClient,
  namespace: string,
  name: string,
  ip: string,
  options: PodOptions = {},
): Promise<Created> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  await create(client, path, podBody(name, options));
  const status = { status: podStatus(ip, options.ready) };
  return (await client.call(`${path}/${name}/status`, merge(status))) as Created;
}

export function merge(body: Json): CallOptions {
  return { method: 'PATCH', contentType: 'application/merge-patch+json', body };
}

export async function remove(client: KubernetesClient, path: string): Promise<void> {
  await client.call(path, { method: 'DELETE', body: { gracePeriodSeconds: 0 } });
}

/** A custom kind that takes anything, with a status of its own. */
export async function installKind(
  client: KubernetesClient,
  group: string,
  version: string,
  kind: string,
  plural: string,
): Promise<void> {
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  await create(client, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: {
      name: `${plural}.${group}`,
      // Groups of Kubernetes itself want to know who approved.
      annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
        },
      ],
    },
  });
  for (;;) {
    const path = `/apis/${group}/${version}/${plural}`;
    if (
      await client.call(path).then(
        () => true,
        () => false,
      )
    )
      return;
  }
}
