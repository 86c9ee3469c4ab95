/**
 * Which of several routes that match a request is taken: a total order, whatever order they are given in.
 *
 * The most specific host name is the virtual hosts' matter.  HTTPRoute: exact path, longest prefix, method, number of
 * headers, number of query parameters; GRPCRoute: length of service, length of method, number of headers.  What is equal: the oldest route, then
 * namespace/name, then the order of rules and matches.  A regular expression comes after the prefixes, as in Istio: the
 * specification leaves its place open.
 */
import type { ResourceMeta } from '../../../../model/resource.ts';
import type {
  GrpcApiRouteMatch,
  HttpApiRouteMatch,
} from '../../../../model/resource/gateway-api.ts';
import type { Route } from '../../../../model/route.ts';
import type { RequestRoute } from './view.ts';

export interface RankedRoute {
  readonly route: Route;
  readonly rank: Rank;
}

export interface Rank {
  /** the greater the earlier, one after the other */
  readonly weights: readonly number[];
  readonly owner: RequestRoute;
  readonly rule: number;
  readonly match: number;
}

const PATH_WEIGHT = { Exact: 3, PathPrefix: 2, RegularExpression: 1 } as const;

export function httpWeights({ path, method, headers, queryParams }: HttpApiRouteMatch): number[] {
  return [
    PATH_WEIGHT[path.type],
    path.value.length,
    method === undefined ? 0 : 1,
    headers?.length ?? 0,
    queryParams?.length ?? 0,
  ];
}

export function grpcWeights({ method, headers }: GrpcApiRouteMatch): number[] {
  return [method?.service?.length ?? 0, method?.method?.length ?? 0, headers?.length ?? 0];
}

/** GRPCRoutes before HTTPRoutes, which can be together on a Service only. */
export function byRank({ rank: a }: RankedRoute, { rank: b }: RankedRoute): number {
  if (a.owner.kind !== b.owner.kind) return a.owner.kind < b.owner.kind ? -1 : 1;
  for (const [index, weight] of a.weights.entries()) {
    const difference = (b.weights[index] ?? 0) - weight;
    if (difference !== 0) return difference;
  }
  return byAge(a.owner, b.owner) || a.rule - b.rule || a.match - b.match;
}

/** Oldest first, a total order; what a file holds has no age and counts as older. */
export function byAge(a: ResourceMeta, b: ResourceMeta): number {
  const age = (a.createdAt ?? 0) - (b.createdAt ?? 0);
  if (age !== 0) return age;
  return (
    compare(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`) ||
    compare(a.id, b.id) ||
    compare(a.cluster, b.cluster)
  );
}

function compare(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
