/**
 * The resources the L7 translation reads, under the keys it looks for them by.
 *
 * Reading a key makes the unit that is being compiled depend on it; a resource that comes, goes or changes touches its own
 * keys only.
 */
import type { Resource } from '../../../model/resource.ts';
import { fullHost } from '../../validate/host.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../mesh-config.ts';
import type { Graph } from './graph.ts';
import { SIDECARS, SidecarChanges, sidecarHostKey } from './sidecar-changes.ts';

export type Kind = Resource['kind'];
export type ResourceOf<K extends Kind> = Extract<Resource, { kind: K }>;

/** what a ServiceEntry without addresses is found under: for one port */
export const anyAddressKey = (port: number): string => `any address ${port}`;

/** what a VirtualService is found under by the wildcards its hosts are below */
export const belowKey = (wildcard: string): string => `below ${wildcard}`;

/** of pods that serve a Gateway of the Gateway API: its name */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';

/** what Services are found under whose selector asks for the pods of a Gateway */
export const gatewayServiceKey = (namespace: string, name: string): string =>
  `gateway ${namespace}/${name}`;

/** of VirtualServices that name no gateway */
export const MESH_GATEWAY = 'mesh';

const MESH_CONFIG = 'mesh config';

export class Catalog {
  readonly domain: string;
  readonly rootNamespace: string;
  readonly #graph: Graph;
  #meshConfig = DEFAULT_MESH_CONFIG;
  readonly #byKey = new Map<string, Set<Resource>>();
  readonly #sorted = new Map<string, readonly Resource[]>();
  readonly #sidecars = new SidecarChanges();

  constructor(graph: Graph, options: { readonly domain: string; readonly rootNamespace: string }) {
    this.#graph = graph;
    this.domain = options.domain;
    this.rootNamespace = options.rootNamespace;
  }

  setMeshConfig(config: MeshConfig): void {
    this.#meshConfig = config;
    this.#graph.touch(MESH_CONFIG);
  }

  get meshConfig(): MeshConfig {
    this.#graph.read(MESH_CONFIG);
    return this.#meshConfig;
  }

  change(resource: Resource, present: boolean): void {
    for (const key of this.keysOf(resource)) {
      const set = this.#byKey.get(key) ?? new Set();
      if (present) this.#byKey.set(key, set.add(resource));
      else set.delete(resource);
      if (set.size === 0) this.#byKey.delete(key);
      this.#sorted.delete(key);
      if (resource.kind !== 'Sidecar') this.#graph.touch(key);
    }
    if (resource.kind === 'Sidecar') this.#sidecars.change(resource, present);
  }

  /** What changes of Sidecars touch is known when the last of them has come. */
  flush(): void {
    for (const key of this.#sidecars.flush()) this.#graph.touch(`Sidecar ${key}`);
  }

  /** What follows depends on how Sidecars list the host. */
  noteSidecarHost(host: string): void {
    for (const pattern of patternsOf(host)) this.#graph.read(`Sidecar ${sidecarHostKey(pattern)}`);
  }

  /** Oldest first, then by name, as Istio breaks ties. */
  read<K extends Kind>(kind: K, key: string): readonly ResourceOf<K>[] {
    const full = `${kind} ${key}`;
    this.#graph.read(full);
    let sorted = this.#sorted.get(full);
    if (sorted === undefined) {
      sorted = [...(this.#byKey.get(full) ?? [])].sort(byAge);
      this.#sorted.set(full, sorted);
    }
    return sorted as readonly ResourceOf<K>[];
  }

  /** Those whose host is it, then those whose wildcard fits, the longest first; grouped, since a group can be passed over. */
  *byHost<K extends 'VirtualService' | 'DestinationRule'>(
    kind: K,
    host: string,
  ): IterableIterator<readonly ResourceOf<K>[]> {
    for (const pattern of patternsOf(host)) {
      const found = this.read(kind, pattern);
      if (found.length > 0) yield found;
    }
  }

  fullHost(host: string, namespace: string): string {
    return fullHost(host, namespace, this.domain);
  }

  serviceHost({ name, namespace }: ResourceOf<'Service'>): string {
    return `${name}.${namespace}.svc.${this.domain}`;
  }

  keysOf(resource: Resource): string[] {
    const { kind, namespace, name } = resource;
    const own = `${namespace}/${name}`;
    return this.#namesOf(resource, own).map((key) => `${kind} ${key}`);
  }

  #namesOf(resource: Resource, own: string): string[] {
    const { namespace } = resource;
    switch (resource.kind) {
      case 'VirtualService': {
        const hosts = (resource.spec.hosts ?? []).map((host) => this.fullHost(host, namespace));
        const gateways = gatewaysOf(resource).filter((gateway) => gateway !== MESH_GATEWAY);
        const wildcards = hosts.flatMap((host) => [...patternsOf(host)].slice(1));
        return [
          ...new Set([
            own,
            ...hosts,
            ...gateways.map((gateway) => `gateway ${gateway}`),
            ...wildcards.map(belowKey),
          ]),
        ];
      }
      case 'DestinationRule':
        return [this.fullHost(resource.spec.host, namespace)];
      case 'Sidecar':
        return [SIDECARS];
      case 'Service': {
        const gateway = resource.selector?.get(GATEWAY_NAME_LABEL);
        const host = this.serviceHost(resource);
        return gateway === undefined ? [host] : [host, gatewayServiceKey(namespace, gateway)];
      }
      case 'ServiceEntry': {
        const { hosts, addresses = [], ports = [] } = resource.spec;
        const anywhere = addresses.length === 0 ? ports : [];
        return [
          ...new Set(hosts.map((host) => host.toLowerCase())),
          ...new Set(anywhere.map(({ number }) => anyAddressKey(number))),
        ];
      }
      case 'AuthorizationPolicy':
      case 'RequestAuthentication':
      case 'PeerAuthentication':
      case 'Telemetry':
      case 'ReferenceGrant':
        return [namespace];
      case 'Namespace':
      case 'GatewayClass':
        return [resource.name];
      case 'Gateway':
      case 'GatewayApiGateway':
      case 'Secret':
        return [own];
      case 'HTTPRoute':
      case 'GRPCRoute':
      case 'TCPRoute':
      case 'TLSRoute':
        return [own, ...new Set(parentsOf(resource))];
      default:
        return [];
    }
  }
}

/** "mesh" or "namespace/name" */
export function gatewaysOf({ namespace, spec }: ResourceOf<'VirtualService'>): string[] {
  if ((spec.gateways ?? []).length === 0) return [MESH_GATEWAY];
  return spec.gateways!.map((gateway) => gatewayName(gateway, namespace));
}

export function gatewayName(gateway: string, namespace: string): string {
  return gateway === MESH_GATEWAY || gateway.includes('/') ? gateway : `${namespace}/${gateway}`;
}

/** "Service namespace/name" or "Gateway namespace/name" */
function parentsOf({
  namespace,
  spec,
}: ResourceOf<'HTTPRoute' | 'GRPCRoute' | 'TCPRoute' | 'TLSRoute'>): string[] {
  return (spec.parentRefs ?? []).map(
    (parent) => `${parent.kind} ${parent.namespace ?? namespace}/${parent.name}`,
  );
}

/** What a host can be matched by: itself, "*.suffix" from long to short, "*". */
export function* patternsOf(host: string): IterableIterator<string> {
  yield host;
  if (host === '*') return;
  const start = host.startsWith('*.') ? 2 : 0;
  for (let dot = host.indexOf('.', start); dot >= 0; dot = host.indexOf('.', dot + 1)) {
    yield `*${host.slice(dot)}`;
  }
  yield '*';
}

export function matchesPattern(pattern: string, host: string): boolean {
  if (pattern === '*' || pattern === host) return true;
  return (
    pattern.startsWith('*') && host.length >= pattern.length && host.endsWith(pattern.slice(1))
  );
}

export function byAge(a: Resource, b: Resource): number {
  const age = (a.createdAt ?? 0) - (b.createdAt ?? 0);
  if (age !== 0) return age;
  const left = `${a.namespace}/${a.name} ${a.cluster ?? ''}`;
  const right = `${b.namespace}/${b.name} ${b.cluster ?? ''}`;
  return left < right ? -1 : left > right ? 1 : 0;
}
