/**
 * The names by which resources find one another.
 */
import type { Resource } from '../../../model/resource.ts';
import type { VirtualServiceResource } from '../../../model/resource/virtual-service.ts';
import { fullHost } from '../host.ts';

export const MESH_GATEWAY = 'mesh';

export const hostKey = (host: string): string => `host ${host}`;
export const rulesKey = (host: string): string => `rules of ${host}`;
export const gatewayKey = (gateway: string): string => `gateway ${gateway}`;
export const apiGatewayKey = (namespace: string, name: string): string =>
  `gateway.gateway.networking.k8s.io ${namespace}/${name}`;
export const delegateKey = (namespace: string, name: string): string =>
  `virtual service ${namespace}/${name}`;
/** `gateway`: MESH_GATEWAY or "ns/name" */
export const routesKey = (gateway: string, host: string): string => `routes ${gateway} ${host}`;

/** of the resources that are for all pods of a namespace */
export const scopeKey = (kind: string, namespace: string): string =>
  `namespace-wide ${kind} ${namespace}`;

export function* keysOf(resource: Resource, domain: string): IterableIterator<string> {
  const { namespace, name } = resource;
  switch (resource.kind) {
    case 'Service':
      yield hostKey(`${name}.${namespace}.svc.${domain}`);
      return;
    case 'ServiceEntry':
      for (const host of resource.spec.hosts) yield hostKey(host.toLowerCase());
      return;
    case 'DestinationRule':
      yield rulesKey(fullHost(resource.spec.host, namespace, domain));
      return;
    case 'Gateway':
      yield gatewayKey(`${namespace}/${name}`);
      return;
    case 'VirtualService':
      yield delegateKey(namespace, name);
      yield* routeKeys(resource, domain);
      return;
    case 'Sidecar':
      if (!hasLabels(resource.spec.workloadSelector?.labels)) {
        yield scopeKey('Sidecar', namespace);
      }
      return;
    case 'PeerAuthentication':
      if (!hasLabels(resource.spec.selector?.matchLabels)) {
        yield scopeKey('PeerAuthentication', namespace);
      }
      return;
    case 'GatewayApiGateway':
      yield apiGatewayKey(namespace, name);
      return;
    default:
  }
}

export function hasLabels(labels: Readonly<Record<string, string>> | undefined): boolean {
  return labels !== undefined && Object.keys(labels).length > 0;
}

/** Every gateway and host a VirtualService claims. */
export function* routeKeys(
  { namespace, spec }: VirtualServiceResource,
  domain: string,
): IterableIterator<string> {
  for (const gateway of gatewaysOf(spec.gateways, namespace)) {
    for (const host of spec.hosts ?? [])
      yield routesKey(gateway, fullHost(host, namespace, domain));
  }
}

/** MESH_GATEWAY or "ns/name", each once */
export function gatewaysOf(
  gateways: readonly string[] | undefined,
  namespace: string,
): Set<string> {
  if (gateways === undefined || gateways.length === 0) return new Set([MESH_GATEWAY]);
  return new Set(
    gateways.map((gateway) =>
      gateway === MESH_GATEWAY || gateway.includes('/') ? gateway : `${namespace}/${gateway}`,
    ),
  );
}
