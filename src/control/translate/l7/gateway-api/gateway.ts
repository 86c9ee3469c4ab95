/**
 * A Gateway of the Gateway API → Listeners and RouteConfigurations `gateway|<port>|<namespace>/<name>`, and what its status
 * says.  Behind TLS every listener has RouteConfigurations of its own: `|<listener>` stands behind the name.
 */
import type { Finding } from '../../../../model/finding.ts';
import type { DownstreamTls, FilterChain, Listener } from '../../../../model/listener.ts';
import type {
  GatewayApiGatewayResource,
  GatewayApiListener,
} from '../../../../model/resource/gateway-api.ts';
import type { RouteConfiguration } from '../../../../model/route.ts';
import {
  chain,
  gatewayHandler,
  listener,
  OPEN_GUARD,
  routeConfiguration,
  tcpHandler,
  type GatewayGuard,
} from '../http-listener.ts';
import { attachedRoutes, type Attached } from './attachment.ts';
import { connectionClusters, serverNameChains } from './connection-rules.ts';
import { EVERY_HOST } from './hostnames.ts';
import { gatewayVerdict } from './gateway-verdict.ts';
import { familyOf, listenerConflicts, listenerHost, tlsOverlaps } from './listener-conflicts.ts';
import { listenerTls } from './listener-tls.ts';
import { listenerVerdict } from './listener-verdict.ts';
import { ApiReport } from './report.ts';
import { requestRules } from './request-rules.ts';
import { withoutConflicts } from './route-conflicts.ts';
import type { RuleContext } from './rule-context.ts';
import type { GatewayVerdict } from './verdict.ts';
import { isRequestRoute, type ApiView } from './view.ts';
import { virtualHosts } from './virtual-hosts.ts';

export interface GatewayConfig {
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
  readonly verdict: GatewayVerdict;
  readonly findings: readonly Finding[];
}

/** One that can be served. */
interface Served {
  readonly listener: GatewayApiListener;
  readonly attached: readonly Attached[];
  readonly tls: DownstreamTls | undefined;
}

/** `guard`: of its request listeners; absent: nothing is asked */
export function gatewayConfig(
  gateway: GatewayApiGatewayResource,
  view: ApiView,
  guard: GatewayGuard = OPEN_GUARD,
): GatewayConfig {
  const { listeners: all } = gateway.spec;
  const conflicts = listenerConflicts(all);
  const byPort = new Map<number, Served[]>();
  const reports: ApiReport[] = [];
  const verdicts = all.map((one, index) => {
    const report = new ApiReport(gateway);
    reports.push(report);
    const path = `spec.listeners[${index}]`;
    const attached = attachedRoutes(gateway, one, view);
    const ends = endsTls(one);
    const tls = ends ? listenerTls(gateway, one, path, view, report) : undefined;
    const facts = {
      listener: one,
      path,
      attached: attached.length,
      conflict: conflicts.get(index),
      overlaps: tlsOverlaps(one, all),
      served: !ends || tls !== undefined,
      closed: guard.closesBytes && isBytes(one),
    };
    const verdict = listenerVerdict(facts, report);
    if (verdict.programmed.ok) {
      const served = { listener: one, attached: withoutConflicts(attached), tls };
      byPort.set(one.port, [...(byPort.get(one.port) ?? []), served]);
    }
    return verdict;
  });
  const own = new ApiReport(gateway);
  const verdict = gatewayVerdict(gateway, verdicts, view, own);
  const built = [...byPort].map(([port, served]) => portConfig(gateway, port, served, view, guard));
  return {
    listeners: built.map((one) => one.listener),
    routes: built.flatMap((one) => one.routes),
    verdict: { ...verdict, references: reports.flatMap(({ references }) => references) },
    findings: [own, ...reports].flatMap(({ findings }) => findings),
  };
}

function isBytes({ protocol }: GatewayApiListener): boolean {
  return protocol === 'TCP' || protocol === 'TLS';
}

function endsTls({ protocol, tls }: GatewayApiListener): boolean {
  return protocol === 'HTTPS' || (protocol === 'TLS' && tls?.mode !== 'Passthrough');
}

interface PortConfig {
  readonly listener: Listener;
  readonly routes: readonly RouteConfiguration[];
}

function portConfig(
  gateway: GatewayApiGatewayResource,
  port: number,
  served: readonly Served[],
  view: ApiView,
  guard: GatewayGuard,
): PortConfig {
  const name = `gateway|${port}|${gateway.namespace}/${gateway.name}`;
  const [first] = served;
  const family = first && familyOf(first.listener);
  if (family === 'tcp') {
    const route = first?.attached.find(({ route: { kind } }) => kind === 'TCPRoute')?.route;
    const clusters = route && connectionClusters(contextOf(route, port, false, view));
    const last = clusters && chain('tcp', tcpHandler(clusters));
    return { listener: listener(name, 'gateway', port, [], [], last), routes: [] };
  }
  const siblings = served.map((one) => listenerHost(one.listener));
  if (family === 'http') {
    const hosts = served.flatMap((one) => hostsOf(one, siblings, view));
    const last = chain('http', gatewayHandler(name, guard));
    return {
      listener: listener(name, 'gateway', port, [], [], last),
      routes: [routeConfiguration(name, hosts)],
    };
  }
  const routes: RouteConfiguration[] = [];
  const taken = new Set<string>();
  const chains = served.flatMap((one) => {
    if (one.listener.protocol !== 'HTTPS') return tlsChains(one, siblings, view);
    const own = `${name}|${one.listener.name}`;
    routes.push(routeConfiguration(own, hostsOf(one, siblings, view)));
    const serverNames = serverNamesOf(listenerHost(one.listener));
    const match = { serverNames, transport: 'tls' } as const;
    return [chain(one.listener.name, gatewayHandler(own, guard), match, one.tls)];
  });
  const distinct = chains.filter(({ match }) => !isTaken(match.serverNames, taken));
  return { listener: listener(name, 'gateway', port, [], distinct), routes };
}

/** Envoy refuses a listener with two chains for one name. */
function isTaken(serverNames: readonly string[], taken: Set<string>): boolean {
  const keys = serverNames.length === 0 ? [EVERY_HOST] : serverNames;
  if (keys.some((key) => taken.has(key))) return true;
  for (const key of keys) taken.add(key);
  return false;
}

function hostsOf({ listener: one, attached, tls }: Served, siblings: string[], view: ApiView) {
  const hosted = attached.flatMap((found) => {
    const { route } = found;
    if (!isRequestRoute(route)) return [];
    const context = contextOf(route, one.port, tls !== undefined, view);
    return [{ attached: found, routes: requestRules(route, context) }];
  });
  return virtualHosts(one.hostname, siblings, hosted);
}

/** Of a TLS listener.  A TCPRoute takes every name of the listener that no TLSRoute has. */
function tlsChains(
  { listener: one, attached, tls }: Served,
  siblings: readonly string[],
  view: ApiView,
): FilterChain[] {
  const host = listenerHost(one);
  const named = attached.flatMap(({ route, hostnames }) => {
    const context = contextOf(route, one.port, tls !== undefined, view);
    const own = hostnames.filter((name) => name === host || !siblings.includes(name));
    if (route.kind === 'TLSRoute') return [{ context, hostnames: own }];
    return route.kind === 'TCPRoute' ? [{ context, hostnames: [host] }] : [];
  });
  // Oldest first within a kind; TLSRoutes say more.
  const order = named.toSorted((a, b) => rank(a.context) - rank(b.context));
  return serverNameChains(order, ({ name, serverNames, clusters }) =>
    chain(name, tcpHandler(clusters), { serverNames, transport: 'tls' }, tls),
  );
}

function rank({ route }: RuleContext): number {
  return route.kind === 'TLSRoute' ? 0 : 1;
}

function serverNamesOf(host: string): string[] {
  return host === EVERY_HOST ? [] : [host];
}

/** What a route has to say against itself is its own verdict's: see route-verdict.ts. */
function contextOf(
  route: Attached['route'],
  port: number,
  tls: boolean,
  view: ApiView,
): RuleContext {
  return { route, view, port, tls, report: new ApiReport(route) };
}
