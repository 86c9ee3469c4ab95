/**
 * Resources of a mesh in short form, and what the translation makes of them.
 */
import { authorizationKey, type Authorization } from '../../../../src/model/authorization.ts';
import type { Cluster } from '../../../../src/model/cluster.ts';
import type { Ip } from '../../../../src/model/ip.ts';
import type { Listener } from '../../../../src/model/listener.ts';
import type { LoadAssignment } from '../../../../src/model/load-assignment.ts';
import type { Delta } from '../../../../src/model/messages.ts';
import { addressName, type Address } from '../../../../src/model/messages.ts';
import type { PodResource, Resource, ServiceResource } from '../../../../src/model/resource.ts';
import type { SecretResource } from '../../../../src/model/resource/core.ts';
import type { Route, RouteConfiguration } from '../../../../src/model/route.ts';
import type { Secret } from '../../../../src/model/secret.ts';
import type { Workload } from '../../../../src/model/workload.ts';
import type { ResourceChange } from '../../../../src/control/resource-index.ts';
import { MeshTranslator } from '../../../../src/control/translate/mesh.ts';
import { translateOptions } from '../../../../src/control/translate/options.ts';

type Labels = Readonly<Record<string, string>>;
type Kind = Resource['kind'];
type SpecOf<K extends Kind> =
  Extract<Resource, { kind: K; spec: unknown }> extends {
    spec: infer S;
  }
    ? S
    : never;

function meta(kind: string, path: string, labels: Labels = {}) {
  const [namespace = '', name = ''] = path.split('/');
  const id = `${kind} ${path}`;
  return { id, file: `${id}.yaml`, namespace, name, labels: new Map(Object.entries(labels)) };
}

/** `path`: "namespace/name" */
export function resource<K extends Kind>(
  kind: K,
  path: string,
  spec: SpecOf<K>,
  more: { readonly createdAt?: number } = {},
): Resource {
  return { ...meta(kind, path), kind, spec, ...more } as unknown as Resource;
}

export function pod(path: string, ip: string, labels: Labels, node = 'n1'): PodResource {
  return {
    ...meta('Pod', path, labels),
    kind: 'Pod',
    addresses: [ip as Ip],
    hostNetwork: false,
    serviceAccount: 'default',
    node,
    ready: true,
    owner: undefined,
    ports: [],
    images: [],
    weight: 1,
    netns: undefined,
    captureProxy: false,
    splice: 'never',
    portModes: new Map(),
  };
}

export function service(
  path: string,
  ip: string,
  ports: Readonly<Record<string, number>>,
  more: Partial<ServiceResource> = {},
): ServiceResource {
  const [, name = ''] = path.split('/');
  return {
    ...meta('Service', path),
    kind: 'Service',
    addresses: [ip as Ip],
    ports: Object.entries(ports).map(([portName, port]) => ({
      name: portName,
      port,
      targetPort: port,
    })),
    selector: new Map([['app', name]]),
    publishNotReady: false,
    lbPolicy: 'round-robin',
    sessionAffinitySeconds: 0,
    maxConnections: 0,
    localityPreference: { mode: 'UNSPECIFIED', routingPreference: [] },
    ...more,
  };
}

export function secret(path: string, more: Partial<SecretResource> = {}): SecretResource {
  const keys = { certificate: 'CERT', privateKey: 'KEY', caCertificates: undefined };
  return { ...meta('Secret', path), kind: 'Secret', ...keys, ...more };
}

export function node(name: string, locality: string): Resource {
  const [region = '', zone = '', subzone = ''] = locality.split('/');
  return { ...meta('Node', `/${name}`), kind: 'Node', locality: { region, zone, subzone } };
}

/** All messages in force, by name. */
export class Translated {
  readonly translator = new MeshTranslator(
    translateOptions({ clusterId: 'Kubernetes', trustDomain: 'cluster.local' }),
  );
  readonly addresses = new Map<string, Address>();
  readonly authorizations = new Map<string, Authorization>();
  readonly listeners = new Map<string, Listener>();
  readonly routes = new Map<string, RouteConfiguration>();
  readonly clusters = new Map<string, Cluster>();
  readonly loadAssignments = new Map<string, LoadAssignment>();
  readonly secrets = new Map<string, Secret>();

  /** The names of the L7 messages that were sent. */
  apply(changes: readonly ResourceChange[]): string[] {
    const update = this.translator.apply(changes);
    merge(this.addresses, update.addresses, addressName);
    merge(this.authorizations, update.authorizations, authorizationKey);
    const named = ({ name }: { readonly name: string }): string => name;
    merge(this.listeners, update.listeners, named);
    merge(this.routes, update.routes, named);
    merge(this.clusters, update.clusters, named);
    merge(this.loadAssignments, update.loadAssignments, named);
    merge(this.secrets, update.secrets, named);
    const { listeners, routes, clusters, loadAssignments, secrets } = update;
    return [listeners, routes, clusters, loadAssignments, secrets].flatMap((delta) => [
      ...delta.upserts.map(named),
      ...delta.removals.map((name) => `-${name}`),
    ]);
  }

  workload(path: string): Workload | undefined {
    const address = this.addresses.get(`Kubernetes//Pod/${path}`);
    return address?.kind === 'workload' ? address.workload : undefined;
  }

  /** of the only virtual host */
  routesOf(name: string): readonly Route[] {
    return this.routes.get(name)?.virtualHosts[0]?.routes ?? [];
  }

  /** "<path match> → <cluster> <weight>, …" */
  summary(name: string): string[] {
    return this.routesOf(name).map(({ match, action }) => {
      const path =
        match.path.type === 'connect' ? 'CONNECT' : `${match.path.type} ${match.path.value}`;
      const headers = match.headers.map(
        (header) =>
          ` ${header.invert ? '!' : ''}${header.name}=${'value' in header.match ? header.match.value : header.match.type}`,
      );
      return `${path}${headers.join('')} → ${actionText(action)}`;
    });
  }

  /** addresses by priority and locality */
  endpoints(name: string): string[] {
    return (this.loadAssignments.get(name)?.localities ?? []).map(
      ({ locality, priority, weight, endpoints }) =>
        `${priority} ${[locality.region, locality.zone, locality.subZone].filter(Boolean).join('/')}${weight === undefined ? '' : ` ${weight}`}: ${endpoints
          .map(
            ({ address, port }) =>
              `${typeof address === 'string' ? address : address.host}:${port}`,
          )
          .join(' ')}`,
    );
  }
}

function actionText(action: Route['action']): string {
  if (action.type === 'respond') return `respond ${action.status}`;
  if (action.type === 'redirect') return `redirect ${action.status}`;
  if (action.clusters.type === 'header') return `by ${action.clusters.header}`;
  const { choices } = action.clusters;
  return choices.map(({ cluster, weight }) => `${cluster} ${weight}`).join(', ');
}

function merge<T>(into: Map<string, T>, delta: Delta<T>, nameOf: (item: T) => string): void {
  for (const name of delta.removals) into.delete(name);
  for (const item of delta.upserts) into.set(nameOf(item), item);
}

export function translate(...resources: readonly Resource[]): Translated {
  const translated = new Translated();
  translated.apply(resources.map((after) => ({ before: undefined, after })));
  return translated;
}
