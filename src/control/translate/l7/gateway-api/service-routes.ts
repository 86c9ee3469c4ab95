/**
 * Routes whose parent is a Service: what clients of one namespace get at one of its ports.
 *
 * Routes of the Service's own namespace (producer) are for every client; those of another namespace (consumer) are for the
 * clients of that namespace, and stand in place of the producer's.
 */
import type { FilterChain } from '../../../../model/listener.ts';
import type { Route, WeightedCluster } from '../../../../model/route.ts';
import { chain, tcpHandler } from '../http-listener.ts';
import { connectionClusters, serverNameChains } from './connection-rules.ts';
import { EVERY_HOST, intersection } from './hostnames.ts';
import { byAge, byRank } from './precedence.ts';
import { ApiReport } from './report.ts';
import { requestRules } from './request-rules.ts';
import { isServiceReference } from './route-verdict.ts';
import { isRequestRoute, type ApiRoute, type ApiView, type ServicePort } from './view.ts';

export interface ServiceParent {
  readonly namespace: string;
  readonly name: string;
  readonly port: ServicePort;
}

/** What the port's protocol has no use for is left aside by the caller. */
export interface ServiceRoutes {
  /** by precedence; what none of them matches is answered 404; undefined: no HTTPRoute or GRPCRoute */
  readonly routes: readonly Route[] | undefined;
  /** by server name, of TLSRoutes */
  readonly chains: readonly FilterChain[];
  /** connections no chain takes, of the oldest TCPRoute; undefined: there is none */
  readonly rest: readonly WeightedCluster[] | undefined;
}

/** Namespaces whose clients get something of their own at any port: scopes the caller has to tell apart. */
export function consumerNamespaces(namespace: string, name: string, view: ApiView): string[] {
  const others = view
    .routesOf('Service', namespace, name)
    .filter((route) => route.namespace !== namespace)
    .filter((route) =>
      route.spec.parentRefs?.some((parent) => leadsTo(parent, route, { namespace, name })),
    );
  return [...new Set(others.map((route) => route.namespace))].sort();
}

/** undefined: no route is bound to the port, for these clients.  `client`: undefined for those of other namespaces */
export function serviceRoutes(
  parent: ServiceParent,
  client: string | undefined,
  view: ApiView,
): ServiceRoutes | undefined {
  const bound = view
    .routesOf('Service', parent.namespace, parent.name)
    .filter((route) => isBound(route, parent))
    .toSorted(byAge);
  const of = (namespace: string | undefined): ApiRoute[] =>
    bound.filter((route) => route.namespace === namespace);
  const consumer = client === parent.namespace ? [] : of(client);
  const counting = consumer.length > 0 ? consumer : of(parent.namespace);
  if (counting.length === 0) return undefined;
  const context = (route: ApiRoute) => ({
    route,
    view,
    port: parent.port.port,
    tls: false,
    report: new ApiReport(route),
  });
  const requests = counting.filter(isRequestRoute);
  const ranked = requests.flatMap((route) => requestRules(route, context(route)));
  const tcp = counting.find((route) => route.kind === 'TCPRoute');
  const chains = serverNameChains(
    counting.flatMap((route) =>
      route.kind === 'TLSRoute'
        ? [{ context: context(route), hostnames: intersection(EVERY_HOST, route.spec.hostnames) }]
        : [],
    ),
    ({ name, serverNames, clusters }) =>
      chain(name, tcpHandler(clusters), { serverNames, transport: 'tls' }),
  );
  return {
    routes: requests.length === 0 ? undefined : ranked.toSorted(byRank).map(({ route }) => route),
    chains,
    rest: tcp && connectionClusters(context(tcp)),
  };
}

function isBound(route: ApiRoute, parent: ServiceParent): boolean {
  return (route.spec.parentRefs ?? []).some(
    (one) =>
      leadsTo(one, route, parent) &&
      (one.port === undefined || one.port === parent.port.port) &&
      (one.sectionName === undefined || one.sectionName === parent.port.name),
  );
}

function leadsTo(
  parent: NonNullable<ApiRoute['spec']['parentRefs']>[number],
  route: ApiRoute,
  service: { readonly namespace: string; readonly name: string },
): boolean {
  return (
    isServiceReference(parent) &&
    parent.name === service.name &&
    (parent.namespace ?? route.namespace) === service.namespace
  );
}
