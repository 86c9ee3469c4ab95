/**
 * An Istio Gateway → one listener per port, with the routes of the VirtualServices that are bound to it.
 *
 * Unlike inside the mesh, VirtualServices that share a host are merged here: their routes follow each other, oldest first.
 */
import type { DownstreamTls, FilterChain } from '../../../model/listener.ts';
import type { Route, VirtualHost } from '../../../model/route.ts';
import type { GatewayResource, ServerSpec } from '../../../model/resource/gateway.ts';
import type { VirtualServiceResource } from '../../../model/resource/virtual-service.ts';
import { Client } from './client.ts';
import { Destinations } from './destinations.ts';
import { notSupported } from './findings.ts';
import { guardOf, type Guard } from './gateway-guard.ts';
import { commonHosts, serverHosts, serverKind } from './gateway-server.ts';
import { serverTls } from './gateway-tls.ts';
import { EMPTY_PRODUCT, type Compile, type Product } from './graph.ts';
import {
  BYTES_CLOSED,
  chain,
  gatewayHandler,
  listener,
  routeConfiguration,
  tcpHandler,
} from './http-listener.ts';
import { httpRoutes, type RouteContext } from './http-route.ts';
import { tcpPlan, tlsChains } from './l4-routes.ts';
import { listenerMessage, routesMessage, type Message } from './message.ts';
import type { Parts } from './parts.ts';
import { ANY_REQUEST, plainRoute, virtualHost } from './route-defaults.ts';
import type { Finding } from '../../../model/finding.ts';
import { exportedTo } from './visibility.ts';

interface IndexedServer {
  readonly server: ServerSpec;
  readonly index: number;
}

/** What is gathered on the way. */
interface Gathering {
  readonly parts: Parts;
  readonly gateway: GatewayResource;
  readonly client: Client;
  /** namespace of its pods */
  readonly home: string;
  readonly guard: Guard;
  readonly services: readonly VirtualServiceResource[];
  readonly messages: Message[];
  readonly needs: Map<string, Compile>;
  readonly findings: Finding[];
}

export function compileGateway(parts: Parts, key: string): Product {
  const [gateway] = parts.catalog.read('Gateway', key);
  if (gateway === undefined) return EMPTY_PRODUCT;
  const home = parts.gatewayPods.home(key);
  const client = Client.gateway(home);
  const guard = guardOf(parts, gateway, gateway.spec.selector ?? {});
  const gathering: Gathering = {
    parts,
    gateway,
    client,
    home,
    guard,
    services: parts.virtualServices
      .ofGateway(key)
      .filter(({ spec, namespace }) => exportedTo(spec.exportTo, namespace, client)),
    messages: [],
    needs: new Map(),
    findings: [],
  };
  const ports = new Map<number, IndexedServer[]>();
  for (const [index, server] of (gateway.spec.servers ?? []).entries()) {
    const servers = ports.get(server.port.number) ?? [];
    ports.set(server.port.number, [...servers, { server, index }]);
  }
  for (const [port, servers] of ports) compilePort(gathering, port, servers);
  reportHome(gathering, parts.gatewayPods.namespaces(key));
  const { messages, needs, findings } = gathering;
  return { messages, needs, findings };
}

/** All its pods share the listeners, and these name one Secret. */
function reportHome({ gateway, home, findings }: Gathering, namespaces: readonly string[]): void {
  const { servers = [] } = gateway.spec;
  if (namespaces.length < 2 || servers.every(({ tls }) => !tls?.credentialName)) return;
  findings.push({
    code: 'SCOPE_CONFLICT',
    severity: 'warning',
    file: gateway.file,
    resource: gateway.id,
    path: 'spec.selector',
    message: `selects pods of ${namespaces.join(', ')}; its Secrets are those of ${home}, and pods elsewhere have none`,
    fix: 'use labels that pods of one namespace have',
  });
}

function compilePort(gathering: Gathering, port: number, servers: readonly IndexedServer[]): void {
  const { gateway, messages } = gathering;
  const name = `gateway|${port}|${gateway.namespace}/${gateway.name}`;
  const chains: FilterChain[] = [];
  let last: FilterChain | undefined;
  const plain = servers.filter(({ server }) => serverKind(server) === 'http');
  if (plain.length > 0) {
    last = httpChain(
      gathering,
      name,
      port,
      plain.map(({ server }) => server),
    );
  }
  for (const { server, index } of servers) {
    const kind = serverKind(server);
    if (kind === 'https') {
      const names = serverHosts(server);
      const tls = tlsOf(gathering, { server, index }, true);
      if (tls === undefined) continue;
      const built = httpChain(gathering, `${name}|${index}`, port, [server]);
      chains.push({
        ...built,
        match: tlsMatch(built.match, names),
        tls,
      });
    } else if (kind === 'tls' || kind === 'passthrough' || kind === 'tcp') {
      if (gathering.guard.closesBytes) {
        gathering.findings.push({
          code: 'NOT_SUPPORTED',
          severity: 'warning',
          file: gateway.file,
          resource: gateway.id,
          path: `spec.servers[${index}]`,
          ...BYTES_CLOSED,
        });
        continue;
      }
      const l4 = l4Chains(gathering, { server, index }, port, kind);
      chains.push(...l4.chains);
      last ??= l4.rest;
    } else if (kind === undefined) {
      const what = `protocol ${server.port.protocol} with mode ${server.tls?.mode ?? 'none'}`;
      gathering.findings.push(notSupported(gateway, `spec.servers[${index}].port.protocol`, what));
    }
  }
  if (chains.length === 0 && last === undefined) return;
  const addresses: [] = [];
  messages.push(listenerMessage(listener(name, 'gateway', port, addresses, chains, last)));
}

function tlsMatch(match: FilterChain['match'], hosts: readonly string[]): FilterChain['match'] {
  const serverNames = hosts.includes('*') ? [] : hosts;
  return { ...match, serverNames, transport: 'tls' };
}

/** undefined: it cannot be served, which is reported */
function tlsOf(
  { parts, gateway, home, needs, findings }: Gathering,
  { server, index }: IndexedServer,
  http: boolean,
): DownstreamTls | undefined {
  const found = serverTls(parts.catalog, gateway, { server, index, http }, home);
  for (const [name, compile] of found.needs) needs.set(name, compile);
  findings.push(...found.findings);
  return found.tls;
}

function httpChain(
  gathering: Gathering,
  name: string,
  port: number,
  servers: readonly ServerSpec[],
): FilterChain {
  const hosts = new Map<string, Route[]>();
  const redirected = new Set<string>();
  for (const server of servers) addServer(gathering, server, port, hosts, redirected);
  const virtualHosts: VirtualHost[] = [...hosts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([host, routes]) =>
      virtualHost(`${host}:${port}`, [host], redirected.has(host) ? [TO_HTTPS] : routes),
    );
  gathering.messages.push(routesMessage(routeConfiguration(name, virtualHosts)));
  for (const [need, compile] of gathering.guard.needs) gathering.needs.set(need, compile);
  return chain('http', gatewayHandler(name, gathering.guard));
}

const TO_HTTPS = plainRoute('https-redirect', ANY_REQUEST, {
  type: 'redirect',
  scheme: 'https',
  host: undefined,
  port: undefined,
  path: undefined,
  status: 301,
  stripQuery: false,
});

function addServer(
  gathering: Gathering,
  server: ServerSpec,
  port: number,
  hosts: Map<string, Route[]>,
  redirected: Set<string>,
): void {
  const { parts, gateway, services } = gathering;
  const toHttps = server.tls?.httpsRedirect === true;
  if (toHttps) {
    for (const host of serverHosts(server)) {
      hosts.set(host, []);
      redirected.add(host);
    }
  }
  for (const service of services) {
    const common = commonHosts(server, gateway, service, fullHostOf(parts));
    if (common.length === 0 || (service.spec.http ?? []).length === 0) continue;
    const context = contextOf(gathering, port, serverKind(server) === 'https');
    const routes = parts.virtualServices
      .httpRoutes(service)
      .flatMap((route) => httpRoutes(route, context));
    keep(gathering, context.destinations);
    for (const host of common) {
      hosts.set(host, [...(hosts.get(host) ?? []), ...routes]);
      if (toHttps) redirected.add(host);
    }
  }
}

/** Of what ends or passes TLS, or is no TLS at all: bytes. */
function l4Chains(
  gathering: Gathering,
  { server, index }: IndexedServer,
  port: number,
  kind: 'tls' | 'passthrough' | 'tcp',
): { chains: FilterChain[]; rest: FilterChain | undefined } {
  const { parts, gateway, services } = gathering;
  const chains: FilterChain[] = [];
  let rest: FilterChain | undefined;
  const tls = kind === 'tls' ? tlsOf(gathering, { server, index }, false) : undefined;
  if (kind === 'tls' && tls === undefined) return { chains, rest };
  for (const service of services) {
    const common = commonHosts(server, gateway, service, fullHostOf(parts));
    if (common.length === 0) continue;
    const context = contextOf(gathering, port, true);
    if (kind === 'passthrough') chains.push(...tlsChains(service, context));
    else {
      const plan = tcpPlan(service, context);
      const all = [...plan.chains];
      if (plan.rest !== undefined) all.push(chain('tcp', tcpHandler(plan.rest)));
      for (const built of all) {
        if (tls !== undefined) chains.push({ ...built, match: tlsMatch(built.match, common), tls });
        else if (built.name === 'tcp') rest ??= built;
        else chains.push(built);
      }
    }
    keep(gathering, context.destinations);
  }
  return { chains, rest };
}

function contextOf(
  { parts, gateway, client }: Gathering,
  port: number,
  tls: boolean,
): RouteContext {
  const destinations = new Destinations(client, port, parts.clusters, fullHostOf(parts));
  return { destinations, gateway: `${gateway.namespace}/${gateway.name}`, tls };
}

function keep({ needs }: Gathering, { units }: Destinations): void {
  for (const [name, compile] of units) needs.set(name, compile);
}

function fullHostOf({ catalog }: Parts) {
  return (host: string, namespace: string): string => catalog.fullHost(host, namespace);
}
