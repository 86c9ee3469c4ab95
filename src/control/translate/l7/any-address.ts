/**
 * Outbound to hosts that have no address of their own: ServiceEntries without addresses, told apart by Host or SNI.
 *
 * One listener per port and scope, for whatever address is dialled: what no host claims goes where it was sent, or is
 * refused under REGISTRY_ONLY.
 */
import type { FilterChain } from '../../../model/listener.ts';
import type { VirtualHost, WeightedCluster } from '../../../model/route.ts';
import { anyAddressKey } from './catalog.ts';
import type { Client } from './client.ts';
import { passthrough } from './passthrough.ts';
import { EMPTY_PRODUCT, type Compile, type Product } from './graph.ts';
import {
  chain,
  httpHandler,
  listener,
  routeConfiguration,
  SNIFFED_HTTP,
  tcpHandler,
} from './http-listener.ts';
import { listenerMessage, routesMessage, type Message } from './message.ts';
import type { Parts } from './parts.ts';
import { planPort, type PortPlan } from './port-plan.ts';
import { ANY_REQUEST, forwardAction, plainRoute, virtualHost } from './route-defaults.ts';
import { hasAddresses, neededScopes } from './outbound.ts';
import { isWildcard } from './registry.ts';
import { compileScopes } from './scopes.ts';

interface AnyPlan {
  readonly needed: boolean;
  readonly virtualHosts: readonly VirtualHost[];
  readonly chains: readonly FilterChain[];
  readonly rest: readonly WeightedCluster[];
  readonly sniff: boolean;
  readonly units: readonly string[];
}

export function compileAnyAddress(parts: Parts, port: number): Product {
  const entries = parts.catalog.read('ServiceEntry', anyAddressKey(port));
  const listed = entries.flatMap(({ spec }) => spec.hosts.map((host) => host.toLowerCase()));
  // A VirtualService may single out a host that only a wildcard entry covers.
  const singled = listed
    .filter(isWildcard)
    .flatMap((host) => parts.virtualServices.hostsBelow(host));
  const hosts = [...new Set([...listed, ...singled])].sort();
  if (hosts.length === 0) return EMPTY_PRODUCT;
  const units = new Map<string, Compile>();
  const plans = compileScopes(parts.classes, (client) =>
    planAny(parts, hosts, port, client, units),
  );
  const messages: Message[] = [];
  const needs = new Map<string, Compile>();
  for (const [scope, plan] of neededScopes(plans)) {
    for (const unit of plan.units) needs.set(unit, units.get(unit)!);
    messages.push(...anyMessages(plan, `outbound|${port}|${scope}|*`, port));
  }
  return { messages, needs, findings: [] };
}

function planAny(
  parts: Parts,
  hosts: readonly string[],
  port: number,
  client: Client,
  units: Map<string, Compile>,
): AnyPlan {
  const virtualHosts: VirtualHost[] = [];
  const chains: FilterChain[] = [];
  const names = new Set<string>();
  let needed = false;
  let sniff = false;
  let rest: readonly WeightedCluster[] | undefined;
  for (const host of hosts) {
    const definition = parts.registry.findAny(host, client);
    const protocol = definition?.ports.find(({ number }) => number === port)?.protocol;
    // Hosts with addresses have listeners of their own.
    if (definition === undefined || protocol === undefined || hasAddresses(definition)) continue;
    const found = planPort(parts, host, port, client);
    if (found === undefined) continue;
    const { plan, destinations } = found;
    needed ||= plan.needed;
    for (const [name, compile] of destinations.units) units.set(name, compile);
    for (const unit of plan.units) names.add(unit);
    if (plan.routes !== undefined) {
      virtualHosts.push(virtualHost(`${host}:${port}`, [host], plan.routes));
      if (protocol === 'auto') sniff = true;
    }
    if (protocol === 'tls') chains.push(...tlsHost(host, plan));
    if (protocol === 'tcp' || protocol === 'auto') rest ??= plan.rest;
  }
  const other = passthrough(parts.imports.registryOnly(client));
  for (const [name, compile] of other.units) {
    units.set(name, compile);
    names.add(name);
  }
  if (virtualHosts.length > 0) virtualHosts.push(otherHosts(virtualHosts, other.share));
  return {
    needed,
    virtualHosts,
    chains,
    rest: rest ?? [other.share],
    sniff: sniff || chains.length > 0 || rest !== undefined,
    units: [...names].sort(),
  };
}

function tlsHost(host: string, plan: PortPlan): FilterChain[] {
  if (plan.chains.length > 0) return [...plan.chains];
  if (host === '*') return [];
  return [chain(host, tcpHandler(plan.rest), { serverNames: [host], transport: 'tls' })];
}

function otherHosts(known: readonly VirtualHost[], share: WeightedCluster): VirtualHost {
  const taken = known.some(({ domains }) => domains.includes('*'));
  const route = plainRoute('passthrough', ANY_REQUEST, forwardAction([share]));
  return virtualHost('passthrough', [taken ? 'passthrough.invalid' : '*'], [route]);
}

function anyMessages(plan: AnyPlan, name: string, port: number): Message[] {
  const { virtualHosts, chains, rest, sniff } = plan;
  const http = virtualHosts.length === 0 ? undefined : httpHandler(name);
  const all = [...chains];
  if (http !== undefined && sniff) {
    all.push(chain('http', http, { applicationProtocols: SNIFFED_HTTP }));
  }
  const last = http !== undefined && !sniff ? chain('http', http) : chain('tcp', tcpHandler(rest));
  const built = listener(name, 'outbound', port, [], all, last);
  if (http === undefined) return [listenerMessage(built)];
  return [listenerMessage(built), routesMessage(routeConfiguration(name, virtualHosts))];
}
