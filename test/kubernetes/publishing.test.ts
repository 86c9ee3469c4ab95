/**
 * podwire control as a process gives a real API server what others need: the roots in every namespace, and an admission
 * webhook; and it goes on asking about the tokens of open streams.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata } from '@grpc/grpc-js';
import type { WebhookView } from '../../src/control/admin-view.ts';
import { admit } from '../../src/control/admission.ts';
import { AccessRules } from '../../src/control/auth/access-rules.ts';
import { KubernetesTokenAuthenticator } from '../../src/control/auth/kubernetes-token.ts';
import { WorkloadIndex } from '../../src/control/auth/workload-directory.ts';
import { KubernetesError } from '../../src/control/kubernetes/error.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import { WebhookBundle } from '../../src/control/roots/webhook-bundle.ts';
import { RootConfigMaps } from '../../src/control/roots/root-config-maps.ts';
import type { RootsView } from '../../src/control/roots/roots-view.ts';
import { selfSigned } from '../support/certificate.ts';
import { startControl } from '../support/control.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { silentLog, until } from '../support/xds-server.ts';
import { create, createNamespace, installKind, merge, remove, runPod } from './objects.ts';

const GROUP = 'networking.istio.io';
const NAME = 'istio-ca-root-cert';
const WAIT_MS = 30_000;

let kubernetes: Kubernetes;
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-publishing-'));
  kubernetes = await startKubernetes();
  for (const name of ['podwire-system', 'shop']) await createNamespace(kubernetes.admin, name);
  await installKind(kubernetes.admin, GROUP, 'v1', 'VirtualService', 'virtualservices');
});
after(async () => {
  await kubernetes?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface ConfigMap {
  readonly metadata: { readonly resourceVersion: string };
  readonly data: Record<string, string>;
}

async function configMap(namespace: string, name = NAME): Promise<ConfigMap | undefined> {
  try {
    const path = `/api/v1/namespaces/${namespace}/configmaps/${name}`;
    return (await kubernetes.admin.call(path)) as ConfigMap;
  } catch (error) {
    if (error instanceof KubernetesError && error.status === 404) return undefined;
    throw error;
  }
}

const hasRoots = async (namespace: string, roots: string, name = NAME): Promise<boolean> =>
  (await configMap(namespace, name))?.data['root-cert.pem'] === roots;

test('the roots are in every namespace, also in new ones and after a rotation; the webhook refuses', async (t) => {
  const foreign = { metadata: { name: NAME }, data: { 'root-cert.pem': 'of another' } };
  await createNamespace(kubernetes.admin, 'taken');
  await create(kubernetes.admin, '/api/v1/namespaces/taken/configmaps', foreign);
  const more = ['--kubeconfig', kubernetes.kubeconfig, '--webhook', '127.0.0.1:0', '--drain', '0'];
  const control = startControl(t, folder, ['--kubernetes', ...more]);
  await control.address();
  const { bundle } = await control.get<RootsView>('/v1/roots');
  for (const namespace of ['podwire-system', 'shop', 'default']) {
    await until(namespace, () => hasRoots(namespace, bundle), WAIT_MS);
  }
  await createNamespace(kubernetes.admin, 'late');
  await until('the new namespace', () => hasRoots('late', bundle));
  assert.equal(await configMap('kube-system'), undefined, 'as istiod');
  assert.equal((await configMap('taken'))?.data['root-cert.pem'], 'of another');
  assert.match(control.log, /a ConfigMap of another control plane/);

  await control.ask('POST', '/v1/ca/rotate');
  const rotated = (await control.get<RootsView>('/v1/roots')).bundle;
  assert.notEqual(rotated, bundle);
  for (const namespace of ['shop', 'late']) {
    await until('both roots', () => hasRoots(namespace, rotated));
  }

  const webhook = await control.get<WebhookView>('/v1/webhook');
  assert.equal(Buffer.from(webhook.caBundle ?? '', 'base64').toString(), rotated);
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  const resource = {
    apiGroups: [GROUP],
    apiVersions: ['*'],
    resources: ['*'],
    operations: ['CREATE', 'UPDATE'],
  };
  await create(kubernetes.admin, path, {
    metadata: { name: 'podwire-control' },
    webhooks: [
      {
        name: 'validate.podwire.io',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        clientConfig: {
          url: `https://${webhook.address}${webhook.path}`,
          // control fills in the roots
        },
        rules: [resource],
      },
    ],
  });
  const apply = async (name: string, spec: object): Promise<string | undefined> => {
    const object = { apiVersion: `${GROUP}/v1`, kind: 'VirtualService', metadata: { name }, spec };
    const services = `/apis/${GROUP}/v1/namespaces/default/virtualservices`;
    return create(kubernetes.admin, services, object).then(
      () => undefined,
      (error: Error) => error.message,
    );
  };
  const bad = { hosts: ['web'], http: [{ timeout: 'soon' }] };
  let refusal: string | undefined;
  const bundles = async (): Promise<(string | undefined)[]> => {
    const found = (await kubernetes.admin.call(`${path}/podwire-control`)) as {
      readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
    };
    return found.webhooks.map(({ clientConfig }) => clientConfig.caBundle);
  };
  await until('the roots are filled in', async () => (await bundles())[0] !== undefined, 90_000);
  assert.deepEqual(await bundles(), [webhook.caBundle], 'both roots, while they change');
  // A new webhook is asked a moment after it is registered.
  await until('refused', async () => {
    refusal = await apply(`bad-${Math.random().toString(36).slice(2)}`, bad);
    return refusal !== undefined;
  });
  assert.match(String(refusal), /denied the request: .*VirtualService default\/bad-.*spec\.http/);
  const good = { hosts: ['web'], http: [{ route: [{ destination: { host: 'web' } }] }] };
  // failurePolicy Fail: it is the webhook that lets it pass
  assert.equal(await apply('good', good), undefined);
  await remove(kubernetes.admin, `${path}/podwire-control`);
});

test('the webhook configuration: documented rights are enough, the leader alone writes, all webhooks follow the roots', async (t) => {
  const { admin } = kubernetes;
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  const webhook = (name: string) => ({
    name,
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Ignore',
    clientConfig: { url: `https://127.0.0.1:1/${name}` },
    rules: [],
  });
  const name = 'own-webhook';
  for (const [at, webhooks] of [
    [name, [webhook('a.podwire.io'), webhook('b.podwire.io')]],
    ['foreign', [webhook('c.example.com')]],
  ] as const) {
    await create(admin, path, { metadata: { name: at, labels: { kept: 'yes' } }, webhooks });
    t.after(() => remove(admin, `${path}/${at}`));
  }
  interface Seen {
    readonly metadata: { readonly resourceVersion: string; readonly labels: object };
    readonly webhooks: readonly { readonly clientConfig: { url: string; caBundle?: string } }[];
  }
  const see = async (of = name): Promise<Seen> => (await admin.call(`${path}/${of}`)) as Seen;
  const says = async (text: string | undefined): Promise<boolean> =>
    (await see()).webhooks.every(
      ({ clientConfig: { caBundle } }) =>
        (caBundle && Buffer.from(caBundle, 'base64').toString()) === text,
    );
  await createNamespace(admin, 'least');
  const rules = [
    {
      apiGroups: ['admissionregistration.k8s.io'],
      resources: ['validatingwebhookconfigurations'],
      resourceNames: [name],
      verbs: ['get', 'update'],
    },
  ];
  const client = await clientWith(name, rules);
  const leader = { leading: false };
  const [one, two] = [rootPem(), rootPem()];
  let bundle = one;
  const kept = new WebhookBundle({
    client,
    leader,
    name,
    bundle: () => bundle,
    log: silentLog,
    resyncMs: 1000,
  });
  kept.start();
  t.after(async () => {
    await kept.close();
    client.close();
  });
  await sleep(1500);
  assert.ok(await says(undefined), 'who does not lead writes nothing');
  leader.leading = true;
  await until('filled in', () => says(one), WAIT_MS);
  bundle = one + two;
  kept.poke();
  await until('both', () => says(one + two), WAIT_MS);
  const { metadata, webhooks } = await see();
  assert.deepEqual(metadata.labels, { kept: 'yes' });
  assert.deepEqual(
    webhooks.map(({ clientConfig }) => clientConfig.url),
    ['https://127.0.0.1:1/a.podwire.io', 'https://127.0.0.1:1/b.podwire.io'],
  );
  await sleep(2500);
  assert.equal(
    (await see()).metadata.resourceVersion,
    metadata.resourceVersion,
    'not written anew',
  );
  // somebody applies the manifest again
  const patch = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }];
  const contentType = 'application/json-patch+json';
  await admin.call(`${path}/${name}`, { method: 'PATCH', body: patch, contentType });
  await until('restored', () => says(one + two));
  const foreign = await see('foreign');
  assert.equal(foreign.webhooks[0]?.clientConfig.caBundle, undefined);
});

/** The API server takes certificates only. */
function rootPem(): string {
  return selfSigned().cert;
}

/** Of an account in the namespace "least" with these rights and no others. */
async function clientWith(name: string, rules: readonly object[]): Promise<KubernetesClient> {
  const { admin } = kubernetes;
  await create(admin, '/api/v1/namespaces/least/serviceaccounts', { metadata: { name } });
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await create(admin, `${rbac}/clusterroles`, { metadata: { name }, rules });
  await create(admin, `${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: 'least' }],
  });
  const audience = 'https://kubernetes.default.svc.cluster.local';
  const token = await kubernetes.createToken('least', name, { audience });
  return loadClient({ kubeconfig: kubernetes.kubeconfigWithToken(token) });
}

async function publisher(
  t: TestContext,
  {
    name,
    resyncMs = 60_000,
    leading = true,
  }: { name: string; resyncMs?: number; leading?: boolean },
): Promise<{ readonly leader: { leading: boolean } }> {
  await createNamespace(kubernetes.admin, 'least');
  const client = await clientWith(name, [
    { apiGroups: [''], resources: ['namespaces'], verbs: ['list'] },
    { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: [name],
      verbs: ['list', 'update'],
    },
  ]);
  const leader = { leading };
  const maps = new RootConfigMaps({
    client,
    leader,
    namespace: 'podwire-system',
    name,
    bundle: () => 'roots',
    log: silentLog,
    resyncMs,
  });
  maps.start();
  t.after(async () => {
    await maps.close();
    client.close();
  });
  return { leader };
}

test('the rights that are documented are enough; what was changed or removed comes back', async (t) => {
  await publisher(t, { name: 'own-roots', resyncMs: 1000 });
  const roots = (): Promise<boolean> => hasRoots('shop', 'roots', 'own-roots');
  await until('written', roots, WAIT_MS);
  const path = '/api/v1/namespaces/shop/configmaps/own-roots';
  await kubernetes.admin.call(path, merge({ data: { 'root-cert.pem': 'evil', other: 'kept' } }));
  await until('restored', roots);
  assert.equal((await configMap('shop', 'own-roots'))?.data['other'], 'kept');
  await remove(kubernetes.admin, path);
  await until('back', roots);
  const left = await configMap('shop', 'own-roots');
  await sleep(2500);
  assert.deepEqual(await configMap('shop', 'own-roots'), left, 'not written when it is right');
});

test('a replica that does not lead writes nothing, until it does', async (t) => {
  const { leader } = await publisher(t, { name: 'other-roots', leading: false });
  await sleep(2000);
  assert.equal(await configMap('shop', 'other-roots'), undefined);
  leader.leading = true;
  await until('written', () => hasRoots('shop', 'roots', 'other-roots'));
});

test('the token of an open stream is reviewed again: its pod is gone, or only the API server', async () => {
  const { admin } = kubernetes;
  const account = '/api/v1/namespaces/podwire-system/serviceaccounts';
  await create(admin, account, { metadata: { name: 'podwire' } });
  const options = { serviceAccount: 'podwire', node: 'n1' };
  const pod = await runPod(admin, 'podwire-system', 'agent', '10.1.0.1', options);
  const { name, uid } = pod.metadata;
  const token = await kubernetes.createToken('podwire-system', 'podwire', {
    boundPod: { name, uid },
  });
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const call = { metadata, getAuthContext: () => ({}), getPeer: () => '10.1.0.1:1' };
  let offsetMs = 0;
  const now = (): number => Date.now() + offsetMs;
  const trustDomain = 'cluster.local';
  const authenticator = new KubernetesTokenAuthenticator({ client: admin, trustDomain, now });
  const rules = new AccessRules({ trustDomain, workloads: new WorkloadIndex('test') });
  const known: string[] = [];
  const admission = {
    authenticator,
    rules,
    local: undefined,
    onAuthenticated: (peer: string) => void known.push(peer),
  };
  const seldom = await admit(admission, call);
  const often = await admit({ ...admission, tokenRecheckMs: 0 }, call);
  assert.deepEqual(known, ['10.1.0.1:1', '10.1.0.1:1']);
  assert.equal(await often.recheck?.(), 'valid');

  offsetMs = 11_000;
  await kubernetes.signal('kube-apiserver', 'SIGKILL');
  assert.equal(await often.recheck?.(), 'valid', 'the agent is fine, whatever the API server is');
  await kubernetes.start('kube-apiserver');
  offsetMs = 22_000;
  assert.equal(await often.recheck?.(), 'valid');

  await remove(admin, `/api/v1/namespaces/podwire-system/pods/${name}`);
  offsetMs = 33_000;
  assert.equal(await often.recheck?.(), 'refused');
  assert.equal(await seldom.recheck?.(), 'valid', 'not asked yet');
  offsetMs = 3_600_000;
  assert.equal(await often.recheck?.(), 'over', 'the kubelet has given the pod a newer one');
});
