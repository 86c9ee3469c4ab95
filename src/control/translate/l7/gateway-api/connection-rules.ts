/**
 * TCPRoutes and TLSRoutes: where connections go.  A route has one rule that can match.
 */
import type { FilterChain } from '../../../../model/listener.ts';
import type { WeightedCluster } from '../../../../model/route.ts';
import { connectionShares, plainShare } from './backend.ts';
import { EVERY_HOST } from './hostnames.ts';
import type { RuleContext } from './rule-context.ts';
import { BLACK_HOLE, type ConnectionRoute } from './view.ts';

export interface ServerNameRoute {
  readonly context: RuleContext;
  readonly hostnames: readonly string[];
}

interface NamedChain {
  readonly name: string;
  /** none: every name */
  readonly serverNames: readonly string[];
  readonly clusters: readonly WeightedCluster[];
}

/** Where nothing takes them connections are closed. */
export function connectionClusters(context: RuleContext): WeightedCluster[] {
  const route = context.route as ConnectionRoute;
  const shares = connectionShares(route.spec.rules?.[0]?.backendRefs, 'spec.rules[0]', context);
  return shares.length > 0 ? shares : [plainShare(BLACK_HOLE, 1)];
}

/** Oldest first: a server name is that of the first route that has it, since no two chains may match the same. */
export function serverNameChains(
  routes: readonly ServerNameRoute[],
  build: (chain: NamedChain) => FilterChain,
): FilterChain[] {
  const taken = new Set<string>();
  return routes.flatMap(({ context, hostnames }) => {
    const own = [...new Set(hostnames.map((host) => host.toLowerCase()))].filter(
      (host) => !taken.has(host),
    );
    for (const host of own) taken.add(host);
    const { namespace, name } = context.route;
    const clusters = own.length === 0 ? [] : connectionClusters(context);
    const exact = own.filter((host) => host !== EVERY_HOST);
    const id = `${namespace}/${name}`;
    return [
      ...(exact.length > 0 ? [build({ name: id, serverNames: exact, clusters })] : []),
      ...(exact.length < own.length ? [build({ name: `${id} *`, serverNames: [], clusters })] : []),
    ];
  });
}
