/**
 * Which VirtualService decides about a host, and what its HTTP routes are once delegates are resolved.
 */
import type {
  HttpMatchRequest,
  HttpRouteSpec,
  VirtualServiceResource,
} from '../../../model/resource/virtual-service.ts';
import {
  belowKey,
  gatewayName,
  gatewaysOf,
  matchesPattern,
  MESH_GATEWAY,
  type Catalog,
} from './catalog.ts';
import type { Client } from './client.ts';
import { exportedTo, type Imports } from './visibility.ts';

/** A route with the VirtualService its relative names are relative to. */
export interface PlacedRoute {
  readonly service: VirtualServiceResource;
  readonly route: HttpRouteSpec;
}

export class VirtualServices {
  readonly #catalog: Catalog;
  readonly #imports: Imports;

  constructor(catalog: Catalog, imports: Imports) {
    this.#catalog = catalog;
    this.#imports = imports;
  }

  /**
   * Of the mesh's own traffic to a host: the most specific host wins, then what is private to the client's namespace, then
   * the oldest.  Inside the mesh VirtualServices of one host are not merged, as in Istio.
   */
  ofHost(host: string, client: Client): VirtualServiceResource | undefined {
    for (const group of this.#catalog.byHost('VirtualService', host)) {
      const visible = group.filter(
        (service) =>
          gatewaysOf(service).includes(MESH_GATEWAY) &&
          exportedTo(service.spec.exportTo, service.namespace, client) &&
          this.#imports.imports(client, service.namespace, host),
      );
      if (visible.length > 1) return visible.find(isPrivate) ?? visible[0];
      if (visible.length === 1) return visible[0];
    }
    return undefined;
  }

  /** Whether any VirtualService of the mesh names the host, visible or not. */
  mentions(host: string): boolean {
    for (const group of this.#catalog.byHost('VirtualService', host)) {
      if (group.some((service) => gatewaysOf(service).includes(MESH_GATEWAY))) return true;
    }
    return false;
  }

  /** Hosts of the mesh's VirtualServices that a wildcard covers, without itself. */
  hostsBelow(wildcard: string): string[] {
    return this.#catalog
      .read('VirtualService', belowKey(wildcard))
      .flatMap((service) =>
        (service.spec.hosts ?? [])
          .map((host) => this.#catalog.fullHost(host, service.namespace))
          .filter((host) => host !== wildcard && matchesPattern(wildcard, host)),
      );
  }

  /** Those bound to a gateway, oldest first. */
  ofGateway(gateway: string): readonly VirtualServiceResource[] {
    return this.#catalog.read('VirtualService', `gateway ${gateway}`);
  }

  httpRoutes(service: VirtualServiceResource): PlacedRoute[] {
    return (service.spec.http ?? []).flatMap((route) => {
      const { delegate } = route;
      if (delegate === undefined) return [{ service, route }];
      const key = `${delegate.namespace ?? service.namespace}/${delegate.name ?? ''}`;
      const target = this.#catalog
        .read('VirtualService', key)
        .find(({ spec }) => (spec.hosts ?? []).length === 0);
      if (target === undefined || !exportsTo(target, service.namespace)) return [];
      return (target.spec.http ?? [])
        .filter((inner) => inner.delegate === undefined)
        .flatMap((inner) => mergeDelegate(route, inner))
        .map((merged) => ({ service: target, route: merged }));
    });
  }
}

function isPrivate({ spec }: VirtualServiceResource): boolean {
  return spec.exportTo !== undefined && spec.exportTo.every((name) => name === '.');
}

function exportsTo({ namespace, spec }: VirtualServiceResource, other: string): boolean {
  const { exportTo = [] } = spec;
  if (exportTo.length === 0 || exportTo.includes('*')) return true;
  return exportTo.some((name) => (name === '.' ? namespace : name) === other);
}

/** The delegate's settings count before the root's; its matches narrow the root's. */
function mergeDelegate(root: HttpRouteSpec, inner: HttpRouteSpec): HttpRouteSpec[] {
  const { delegate: _, match: outerMatch, ...settings } = root;
  const match = mergeMatches(outerMatch, inner.match);
  if (match === undefined) return [];
  const names = [root.name, inner.name].filter((name) => name !== undefined && name !== '');
  const { match: __, ...rest } = { ...settings, ...definedOf(inner) };
  return [
    {
      ...rest,
      ...(names.length > 0 ? { name: names.join('-') } : {}),
      ...(match.length > 0 ? { match } : {}),
    },
  ];
}

function definedOf<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined),
  ) as Partial<T>;
}

/** undefined: nothing can match both; []: everything does */
function mergeMatches(
  outer: readonly HttpMatchRequest[] = [],
  inner: readonly HttpMatchRequest[] = [],
): HttpMatchRequest[] | undefined {
  if (outer.length === 0) return [...inner];
  if (inner.length === 0) return [...outer];
  const merged = outer.flatMap((a) => inner.flatMap((b) => mergeMatch(a, b) ?? []));
  return merged.length > 0 ? merged : undefined;
}

const EXCLUSIVE = ['scheme', 'method', 'authority', 'port', 'sourceNamespace'] as const;
const KEYED = ['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const;

/** undefined: they contradict each other */
function mergeMatch(
  outer: HttpMatchRequest,
  inner: HttpMatchRequest,
): HttpMatchRequest | undefined {
  const merged: Record<string, unknown> = { ...outer, ...definedOf(inner) };
  for (const field of EXCLUSIVE) {
    if (outer[field] === undefined || inner[field] === undefined) continue;
    if (JSON.stringify(outer[field]) !== JSON.stringify(inner[field])) return undefined;
  }
  for (const field of KEYED) {
    const [a, b] = [outer[field] ?? {}, inner[field] ?? {}];
    for (const [name, value] of Object.entries(a)) {
      if (name in b && JSON.stringify(value) !== JSON.stringify(b[name])) return undefined;
    }
    const both = { ...a, ...b };
    if (Object.keys(both).length > 0) merged[field] = both;
  }
  if (outer.uri !== undefined && inner.uri !== undefined && !isWithin(outer.uri, inner.uri)) {
    return undefined;
  }
  if (outer.gateways !== undefined) merged['gateways'] = outer.gateways;
  return merged as HttpMatchRequest;
}

/** Whether all paths of `inner` are paths of `outer`; an expression is within nothing but itself. */
function isWithin(
  outer: NonNullable<HttpMatchRequest['uri']>,
  inner: NonNullable<HttpMatchRequest['uri']>,
): boolean {
  if (outer.prefix !== undefined) {
    return (inner.prefix ?? inner.exact)?.startsWith(outer.prefix) === true;
  }
  if (outer.exact !== undefined) return inner.exact === outer.exact;
  return outer.regex !== undefined && inner.regex === outer.regex;
}

/** Whether a match is for the traffic of a gateway ("mesh" or "namespace/name"); absent: that of the VirtualService. */
export function isForGateway(
  gateways: readonly string[] | undefined,
  service: VirtualServiceResource,
  gateway: string,
): boolean {
  if (gateways === undefined || gateways.length === 0) return true;
  return gateways.some((name) => gatewayName(name, service.namespace) === gateway);
}
