/**
 * Outbound: listeners and routes for the ports of a host that has addresses of its own.
 */
import type { Ip } from '../../../model/ip.ts';
import type { FilterChain, Listener } from '../../../model/listener.ts';
import { ANY_CLIENT } from './client.ts';
import type { Destinations } from './destinations.ts';
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
import type { Host } from './registry.ts';
import { virtualHost } from './route-defaults.ts';
import { compileScopes } from './scopes.ts';

export function compileHost(parts: Parts, host: string): Product {
  const definitions = parts.registry.definitions(host).filter((found) => hasAddresses(found));
  if (definitions.length === 0 || !isConfigured(parts, host, definitions)) return EMPTY_PRODUCT;
  const ports = new Set(definitions.flatMap((found) => found.ports.map(({ number }) => number)));
  const messages: Message[] = [];
  const needs = new Map<string, Compile>();
  for (const port of ports) compilePort(parts, host, port, definitions, messages, needs);
  return { messages, needs, findings: [] };
}

/** Without any of these every client gets what the kernel does, and nobody needs to be asked who it is. */
function isConfigured(parts: Parts, host: string, definitions: readonly Host[]): boolean {
  return (
    parts.virtualServices.mentions(host) ||
    parts.rules.mentions(host) ||
    parts.apiRoutes.mentions(definitions) ||
    definitions.some(({ resolution }) => resolution.startsWith('DNS'))
  );
}

/** A ServiceEntry without addresses is found by what the client says: see any-address.ts. */
export function hasAddresses({ entry, addresses, blocks }: Host): boolean {
  return entry === undefined || addresses.length + blocks.length > 0;
}

function compilePort(
  parts: Parts,
  host: string,
  port: number,
  definitions: readonly Host[],
  messages: Message[],
  needs: Map<string, Compile>,
): void {
  const units = new Map<string, Compile>();
  const plans = compileScopes(parts.classes, (client) => {
    const found = planPort(parts, host, port, client);
    if (found !== undefined) collect(found.destinations, units);
    return found?.plan;
  });
  const addresses = [...new Set(definitions.flatMap((found) => found.addresses))];
  for (const [scope, plan] of neededScopes(plans)) {
    for (const unit of plan.units) needs.set(unit, units.get(unit)!);
    messages.push(...portMessages(plan, `outbound|${port}|${scope}|${host}`, host, addresses));
  }
}

function collect({ units }: Destinations, into: Map<string, Compile>): void {
  for (const [name, compile] of units) into.set(name, compile);
}

/** What the kernel does alone is said only where a wider scope says something else. */
export function neededScopes<T extends { readonly needed: boolean }>(
  plans: ReadonlyMap<string, T | undefined>,
): Map<string, T> {
  const needed = new Map<string, T>();
  // "*" comes first and a namespace before its classes.
  for (const [scope, plan] of plans) {
    if (plan === undefined) continue;
    const [namespace = ''] = scope.split('~');
    const wider = scope !== namespace && plans.has(namespace) ? namespace : ANY_CLIENT;
    if (plan.needed || (scope !== ANY_CLIENT && needed.has(wider))) needed.set(scope, plan);
  }
  return needed;
}

function portMessages(
  plan: PortPlan,
  name: string,
  host: string,
  addresses: readonly Ip[],
): Message[] {
  const { routes } = plan;
  const built = portListener(plan, name, addresses);
  if (routes === undefined) return [listenerMessage(built)];
  const config = routeConfiguration(name, [virtualHost(`${host}:${plan.port}`, ['*'], routes)]);
  return [listenerMessage(built), routesMessage(config)];
}

export function portListener(plan: PortPlan, name: string, addresses: readonly Ip[]): Listener {
  const { routes, sniff, chains, rest, port, idleTimeoutMs } = plan;
  const http = routes === undefined ? undefined : httpHandler(name);
  const all: FilterChain[] = [...chains];
  if (http !== undefined && sniff) {
    all.push(chain('http', http, { applicationProtocols: SNIFFED_HTTP }));
  }
  const last =
    http !== undefined && !sniff
      ? chain('http', http)
      : rest.length > 0
        ? chain('tcp', tcpHandler(rest, idleTimeoutMs))
        : undefined;
  return listener(name, 'outbound', port, addresses, all, last);
}
