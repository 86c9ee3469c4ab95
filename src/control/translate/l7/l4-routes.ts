/**
 * tls: and tcp: of a VirtualService → filter chains that forward bytes.
 */
import { parsePrefix, type Prefix } from '../../../model/ip.ts';
import type { FilterChain } from '../../../model/listener.ts';
import type { WeightedCluster } from '../../../model/route.ts';
import type {
  L4MatchAttributes,
  TlsMatchAttributes,
  VirtualServiceResource,
} from '../../../model/resource/virtual-service.ts';
import type { RouteContext } from './http-route.ts';
import { chain, tcpHandler } from './http-listener.ts';
import { isForGateway } from './virtual-services.ts';

export interface L4Plan {
  readonly chains: readonly FilterChain[];
  /** what no chain matches; undefined: nothing is said about it */
  readonly rest: readonly WeightedCluster[] | undefined;
}

type Match = Pick<
  TlsMatchAttributes & L4MatchAttributes,
  'port' | 'sourceLabels' | 'sourceNamespace' | 'gateways'
>;

/** `hosts`: server names that the gateway's server or the VirtualService takes at all; empty: any */
export function tlsChains(service: VirtualServiceResource, context: RouteContext): FilterChain[] {
  const { namespace, name } = service;
  return (service.spec.tls ?? []).flatMap((route, index) => {
    const live = route.match.filter((match) => isLive(match, service, context));
    if (live.length === 0) return [];
    const clusters = context.destinations.weighted(route.route ?? [], namespace);
    return live.map((match, number) =>
      chain(`${namespace}/${name} tls[${index}].${number}`, tcpHandler(clusters), {
        serverNames: match.sniHosts.filter((host) => host !== '*'),
        transport: 'tls',
        destinations: prefixes(match.destinationSubnets),
      }),
    );
  });
}

/** The first route without conditions is the rest. */
export function tcpPlan(service: VirtualServiceResource, context: RouteContext): L4Plan {
  const { namespace, name } = service;
  const chains: FilterChain[] = [];
  for (const [index, route] of (service.spec.tcp ?? []).entries()) {
    const matches: readonly L4MatchAttributes[] = route.match?.length ? route.match : [{}];
    const live = matches.filter((match) => isLive(match, service, context));
    if (live.length === 0) continue;
    const clusters = context.destinations.weighted(route.route ?? [], namespace);
    for (const [number, match] of live.entries()) {
      const destinations = prefixes(match.destinationSubnets);
      const sources = prefixes(match.sourceSubnet === undefined ? [] : [match.sourceSubnet]);
      if (destinations.length + sources.length === 0) return { chains, rest: clusters };
      chains.push(
        chain(`${namespace}/${name} tcp[${index}].${number}`, tcpHandler(clusters), {
          destinations,
          sources,
        }),
      );
    }
  }
  return { chains, rest: undefined };
}

function isLive(match: Match, service: VirtualServiceResource, context: RouteContext): boolean {
  const { destinations, gateway } = context;
  if (!isForGateway(match.gateways, service, gateway)) return false;
  if (match.port !== undefined && match.port !== destinations.listenerPort) return false;
  if (match.sourceNamespace && !destinations.client.isIn(match.sourceNamespace)) return false;
  return destinations.client.hasLabels(match.sourceLabels);
}

function prefixes(texts: readonly string[] | undefined): Prefix[] {
  return (texts ?? []).flatMap((text) => parsePrefix(text) ?? []);
}
