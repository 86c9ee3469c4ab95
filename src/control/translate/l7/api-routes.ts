/**
 * Gateway API routes bound to a Service or a listener: which are in force, and in which order.
 */
import type { FilterChain } from '../../../model/listener.ts';
import type { Route, RouteMatch, WeightedCluster } from '../../../model/route.ts';
import type { ParentReference } from '../../../model/resource/gateway-api.ts';
import { backendShares, grpcApiRoutes, httpApiRoutes, type ApiRouteContext } from './api-route.ts';
import { byAge, type Catalog, type ResourceOf } from './catalog.ts';
import type { Destinations } from './destinations.ts';
import { chain, tcpHandler } from './http-listener.ts';
import { isHttp } from './port-protocol.ts';
import type { Host, HostPort } from './registry.ts';
import { ReferenceGrants } from './reference-grants.ts';

export type HttpKind = 'HTTPRoute' | 'GRPCRoute';
export type ApiRouteKind = HttpKind | 'TCPRoute' | 'TLSRoute';
export type AnyApiRoute = ResourceOf<ApiRouteKind>;

export interface ServiceRoutes {
  readonly routes: readonly Route[];
  readonly chains: readonly FilterChain[];
  readonly rest: readonly WeightedCluster[] | undefined;
}

const KINDS: readonly ApiRouteKind[] = ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'];

export class ApiRoutes {
  readonly #catalog: Catalog;
  readonly #grants: ReferenceGrants;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
    this.#grants = new ReferenceGrants(catalog);
  }

  /** Whether any route is bound to the Service, whoever it is for. */
  mentions(definitions: readonly Host[]): boolean {
    return definitions.some((host) => this.#boundTo(host).length > 0);
  }

  /**
   * What routes say of a Service's port to the client.  Those of its own namespace stand before the Service's; undefined:
   * none does.
   */
  ofService(host: Host, port: HostPort, destinations: Destinations): ServiceRoutes | undefined {
    const { client } = destinations;
    const bound = this.#boundTo(host).filter((route) =>
      parentsOf(route, host).some(
        (parent) => parent.port === undefined || parent.port === port.number,
      ),
    );
    const others = bound.filter(({ namespace }) => namespace !== host.namespace);
    const own = others.filter(({ namespace }) => client.isIn(namespace));
    const counting = own.length > 0 ? own : bound.filter((route) => !others.includes(route));
    if (counting.length === 0) return undefined;
    const context = this.context(destinations);
    const l4 = !isHttp(port.protocol);
    return {
      routes:
        port.protocol === 'tls' || port.protocol === 'tcp' ? [] : requestRoutes(counting, context),
      chains: l4 ? sniChains(counting, context) : [],
      rest: l4 ? tcpShares(counting, context) : undefined,
    };
  }

  context(destinations: Destinations): ApiRouteContext {
    return { destinations, grants: this.#grants, domain: this.#catalog.domain };
  }

  get grants(): ReferenceGrants {
    return this.#grants;
  }

  /** Bound to a Gateway, oldest first. */
  ofGateway(gateway: string): AnyApiRoute[] {
    return this.#read(`Gateway ${gateway}`);
  }

  #boundTo({ entry, namespace, name }: Host): AnyApiRoute[] {
    return entry === undefined ? this.#read(`Service ${namespace}/${name}`) : [];
  }

  #read(key: string): AnyApiRoute[] {
    return KINDS.flatMap((kind): readonly AnyApiRoute[] => this.#catalog.read(kind, key)).sort(
      byAge,
    );
  }
}

function parentsOf(route: AnyApiRoute, { namespace, name }: Host): ParentReference[] {
  return (route.spec.parentRefs ?? []).filter(
    (parent) =>
      parent.kind === 'Service' &&
      parent.name === name &&
      (parent.namespace ?? route.namespace) === namespace,
  );
}

export function requestRoutes(routes: readonly AnyApiRoute[], context: ApiRouteContext): Route[] {
  const all = routes.flatMap((route) => {
    if (route.kind === 'HTTPRoute') return httpApiRoutes(route, context);
    return route.kind === 'GRPCRoute' ? grpcApiRoutes(route, context) : [];
  });
  return byPrecedence(all);
}

export function sniChains(
  routes: readonly AnyApiRoute[],
  context: ApiRouteContext,
  hostnames = (route: ResourceOf<'TLSRoute'>): readonly string[] => route.spec.hostnames ?? [],
): FilterChain[] {
  return routes.flatMap((route) => {
    if (route.kind !== 'TLSRoute') return [];
    const [rule] = route.spec.rules ?? [];
    const shares = backendShares(route, rule?.backendRefs ?? [], context);
    return [
      chain(`${route.namespace}/${route.name}`, tcpHandler(shares), {
        serverNames: hostnames(route).filter((name) => name !== '*'),
        transport: 'tls',
      }),
    ];
  });
}

/** The oldest TCPRoute has the port. */
export function tcpShares(
  routes: readonly AnyApiRoute[],
  context: ApiRouteContext,
): WeightedCluster[] | undefined {
  for (const route of routes) {
    if (route.kind !== 'TCPRoute') continue;
    return backendShares(route, route.spec.rules?.[0]?.backendRefs ?? [], context);
  }
  return undefined;
}

/** The Gateway API's order; what is equal stays in the order of age, name and rule. */
function byPrecedence(routes: readonly Route[]): Route[] {
  return [...routes].sort((a, b) => {
    const left = precedence(a.match);
    const right = precedence(b.match);
    for (const [index, value] of left.entries()) {
      const difference = (right[index] ?? 0) - value;
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

const PATH_RANK = { exact: 3, 'segment-prefix': 2, prefix: 2, regex: 1, connect: 0 } as const;

function precedence({ path, headers, query }: RouteMatch): number[] {
  const methods = headers.filter(({ name }) => name === ':method').length;
  return [
    PATH_RANK[path.type],
    path.type === 'connect' ? 0 : path.value.length,
    methods,
    headers.length - methods,
    query.length,
  ];
}
