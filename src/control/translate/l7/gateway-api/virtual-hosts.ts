/**
 * Routes of a listener → virtual hosts.  A virtual host has the routes of every name that covers its own, the most
 * specific first: a request that none of these matches goes on to those of the next name, as the Gateway API has it.
 *
 * Listeners of one port are kept apart: a host is the most specific listener's alone, even when that one has no route for
 * it (listener isolation).
 */
import type { Route, VirtualHost } from '../../../../model/route.ts';
import { virtualHost } from '../route-defaults.ts';
import type { Attached } from './attachment.ts';
import { coveringNames, EVERY_HOST, mostSpecific } from './hostnames.ts';
import { byRank, type RankedRoute } from './precedence.ts';

export interface HostedRoutes {
  readonly attached: Attached;
  readonly routes: readonly RankedRoute[];
}

/** `siblings`: the host names of all listeners of the port, this one's too */
export function virtualHosts(
  hostname: string | undefined,
  siblings: readonly string[],
  hosted: readonly HostedRoutes[],
): VirtualHost[] {
  const own = (hostname || EVERY_HOST).toLowerCase();
  const byHost = new Map<string, HostedRoutes[]>([[own, []]]);
  for (const one of hosted) {
    for (const host of one.attached.hostnames) {
      byHost.set(host, [...(byHost.get(host) ?? []), one]);
    }
  }
  return [...byHost.keys()]
    .filter((domain) => mostSpecific(domain, siblings) === own)
    .toSorted()
    .map((domain) => virtualHost(domain, [domain], routesOf(domain, byHost)));
}

/** A route with several names that fit stands where the most specific one puts it. */
function routesOf(domain: string, byHost: ReadonlyMap<string, readonly HostedRoutes[]>): Route[] {
  const seen = new Set<HostedRoutes>();
  const found: Route[] = [];
  for (const host of coveringNames(domain)) {
    const fresh = (byHost.get(host) ?? []).filter((one) => !seen.has(one));
    for (const one of fresh) seen.add(one);
    const ranked = fresh.flatMap(({ routes }) => routes).toSorted(byRank);
    found.push(...ranked.map(({ route }) => route));
  }
  return found;
}
