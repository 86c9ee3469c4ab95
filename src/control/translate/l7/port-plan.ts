/**
 * What becomes of a client's connections to one port of a host: the decision from which listeners and routes are made.
 */
import type { FilterChain } from '../../../model/listener.ts';
import type { Route, WeightedCluster } from '../../../model/route.ts';
import { MESH_GATEWAY } from './catalog.ts';
import { ANY_CLIENT, type Client } from './client.ts';
import { hasPortSettings, needsProxy, portPolicy } from './destination-rules.ts';
import { Destinations, plainShare } from './destinations.ts';
import { httpRoutes, type RouteContext } from './http-route.ts';
import { tcpPlan, tlsChains } from './l4-routes.ts';
import { passthrough } from './passthrough.ts';
import type { Parts } from './parts.ts';
import { isHttp } from './port-protocol.ts';
import type { Host, HostPort } from './registry.ts';
import { ANY_REQUEST, forwardAction, hashPolicies, plainRoute } from './route-defaults.ts';

export interface PortPlan {
  /** false: the kernel does the same alone */
  readonly needed: boolean;
  readonly port: number;
  /** undefined: no HTTP is looked for */
  readonly routes: readonly Route[] | undefined;
  /** HTTP is looked for in what may be anything */
  readonly sniff: boolean;
  readonly chains: readonly FilterChain[];
  /** connections that are neither HTTP nor of a chain; empty: they are refused */
  readonly rest: readonly WeightedCluster[];
  readonly idleTimeoutMs: number | undefined;
  /** units it needs, by name */
  readonly units: readonly string[];
}

/** undefined: nobody defines the host at this port */
export function planPort(
  parts: Parts,
  host: string,
  number: number,
  client: Client,
): { readonly plan: PortPlan; readonly destinations: Destinations } | undefined {
  const fullHost = (name: string, namespace: string): string =>
    parts.catalog.fullHost(name, namespace);
  const destinations = new Destinations(client, number, parts.clusters, fullHost);
  const definition = parts.registry.findAny(host, client);
  const port = definition?.ports.find((candidate) => candidate.number === number);
  const known =
    definition !== undefined &&
    parts.imports.importsPort(client, definition.namespace, host, number);
  if (!known || port === undefined) {
    if (client.scope === ANY_CLIENT) return undefined;
    const elsewhere = passthrough(parts.imports.registryOnly(client));
    for (const [name, compile] of elsewhere.units) destinations.units.set(name, compile);
    const plan = { ...hidden(number, elsewhere.share), units: [...elsewhere.units.keys()] };
    return { plan, destinations };
  }
  const plan = planKnown(parts, { ...definition, host }, port, destinations);
  return { plan: { ...plan, units: [...destinations.units.keys()].sort() }, destinations };
}

/** Not there for this client: as any address nobody knows. */
function hidden(port: number, share: WeightedCluster): PortPlan {
  return {
    needed: false,
    port,
    routes: undefined,
    sniff: false,
    chains: [],
    rest: [share],
    idleTimeoutMs: undefined,
    units: [],
  };
}

function planKnown(
  parts: Parts,
  definition: Host,
  port: HostPort,
  destinations: Destinations,
): PortPlan {
  const { client } = destinations;
  const { host } = definition;
  const { protocol } = port;
  const context: RouteContext = { destinations, gateway: MESH_GATEWAY, tls: false };
  const api = parts.apiRoutes.ofService(definition, port, destinations);
  const service = api === undefined ? parts.virtualServices.ofHost(host, client) : undefined;
  const own = () => destinations.host(host, port.number);
  const rules = parts.rules.find(host, definition.namespace, client);
  const policy = portPolicy(rules, '', port.number);

  const requests = protocol !== 'tls' && protocol !== 'tcp';
  const written = !requests
    ? []
    : (api?.routes ??
      (service === undefined
        ? []
        : parts.virtualServices
            .httpRoutes(service)
            .flatMap((route) => httpRoutes(route, context))));
  const tls = service && protocol === 'tls' ? tlsChains(service, context) : [];
  const tcp =
    service && !isHttp(protocol) && written.length === 0 ? tcpPlan(service, context) : undefined;
  const chains = [...(isHttp(protocol) ? [] : (api?.chains ?? [])), ...tls, ...(tcp?.chains ?? [])];
  const rest = isHttp(protocol) ? [] : (api?.rest ?? tcp?.rest ?? [plainShare(own().name, 100)]);
  const configured =
    written.length > 0 || chains.length > 0 || api?.rest !== undefined || tcp?.rest !== undefined;
  const isDns = definition.resolution === 'DNS' || definition.resolution === 'DNS_ROUND_ROBIN';
  const routesHttp = isHttp(protocol) || written.length > 0;
  // A VirtualService without a route for the request leaves it unanswered: only a port without any is sent on.
  const answers =
    written.length > 0 || Boolean(service?.spec.http?.length) || api?.routes !== undefined;
  return {
    needed:
      configured ||
      isDns ||
      needsProxy(policy) ||
      hasPortSettings(rules, port.number) ||
      (routesHttp && answers),
    port: port.number,
    routes: routesHttp ? (answers ? written : [defaultRoute(own())]) : undefined,
    sniff: protocol === 'auto' && routesHttp,
    chains,
    rest,
    idleTimeoutMs: undefined,
    units: [],
  };
}

function defaultRoute(own: ReturnType<Destinations['host']>): Route {
  const action = forwardAction([plainShare(own.name, 100)], { hash: hashPolicies(own.hash) });
  return plainRoute('default', ANY_REQUEST, action);
}
