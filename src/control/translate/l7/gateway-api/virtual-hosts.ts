/**
 * Routes of a listener → virtual hosts.  A virtual host has the routes of every name that covers its own, the most
 * specific first: a request that none of these matches goes on to those of the next name, as the Gateway API has it.
 *
 * Listeners of one port are kept apart: a host is the most specific listener's alone, even when that one has no route for
 * it (listener isolation).
 */
import type { VirtualHost } from '../../../../model/route.ts';
import { virtualHost } from '../route-defaults.ts';
import type { Attached } from './attachment.ts';
import { covers, EVERY_HOST, mostSpecific } from './hostnames.ts';
import { byHostAndRank, type RankedRoute } from './precedence.ts';

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
  const domains = new Set([own]);
  for (const { attached } of hosted) for (const host of attached.hostnames) domains.add(host);
  return [...domains]
    .filter((domain) => mostSpecific(domain, siblings) === own)
    .toSorted()
    .map((domain) => virtualHost(domain, [domain], routesOf(domain, hosted)));
}

function routesOf(domain: string, hosted: readonly HostedRoutes[]) {
  return hosted
    .flatMap(({ attached, routes }) => {
      const host = mostSpecific(domain, attached.hostnames);
      return host === undefined || !covers(host, domain)
        ? []
        : routes.map((one) => ({ ...one, host }));
    })
    .toSorted(byHostAndRank)
    .map(({ route }) => route);
}
