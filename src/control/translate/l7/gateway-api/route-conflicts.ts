/**
 * Routes of one listener that cannot stand side by side: the oldest is served.  HTTPRoutes and GRPCRoutes share no host
 * name, and a connection goes where the oldest route that may have it sends it.
 */
import type {
  GatewayApiGatewayResource,
  GatewayApiListener,
} from '../../../../model/resource/gateway-api.ts';
import { attachedTo, type Attached } from './attachment.ts';
import { overlap } from './hostnames.ts';
import { byAge } from './precedence.ts';
import type { ApiRoute, ApiView } from './view.ts';

const RIVALS = {
  HTTPRoute: 'GRPCRoute',
  GRPCRoute: 'HTTPRoute',
  TCPRoute: 'TCPRoute',
  TLSRoute: 'TLSRoute',
} as const;

/** The kind of route that can be in its way. */
export function rivalOf(kind: ApiRoute['kind']): ApiRoute['kind'] {
  return RIVALS[kind];
}

/** Of all routes of the listener, oldest first, those that are served. */
export function withoutConflicts(oldestFirst: readonly Attached[]): Attached[] {
  const kept = new Map<ApiRoute['kind'], Attached[]>();
  return oldestFirst.filter((one) => {
    const { kind } = one.route;
    if (areInTheWay(kept.get(rivalOf(kind)) ?? [], one)) return false;
    const same = kept.get(kind);
    if (same === undefined) kept.set(kind, [one]);
    else same.push(one);
    return true;
  });
}

function areInTheWay(older: readonly Attached[], one: Attached): boolean {
  const { route, hostnames } = one;
  if (route.kind !== 'TLSRoute') return older.some((other) => isInTheWay(other, one));
  return hostnames.every((host) => older.some((other) => other.hostnames.includes(host)));
}

function isInTheWay(older: Attached, { route, hostnames }: Attached): boolean {
  return route.kind === 'TCPRoute' || overlap(older.hostnames, hostnames);
}

/**
 * Whether withoutConflicts() would drop it, found without a look at more routes than can be in its way: a route is judged
 * again when one of these changes, and a Gateway may have thousands of others.
 */
export function isLeftOut(
  one: Attached,
  gateway: GatewayApiGatewayResource,
  listener: GatewayApiListener,
  view: ApiView,
  known = new Map<ApiRoute, boolean>(),
): boolean {
  const { route } = one;
  const found = known.get(route);
  if (found !== undefined) return found;
  const { namespace, name } = gateway;
  const older = view
    .routesOf('Gateway', namespace, name, rivalOf(route.kind))
    .filter((other) => other !== route && byAge(other, route) < 0)
    .flatMap((other) => attachedTo(other, gateway, listener, view) ?? []);
  const leftOut =
    route.kind === 'TLSRoute'
      ? // A name that one of them does not get is an even older one's.
        areInTheWay(older, one)
      : older
          .toSorted((a, b) => byAge(a.route, b.route))
          .some(
            (other) => isInTheWay(other, one) && !isLeftOut(other, gateway, listener, view, known),
          );
  known.set(route, leftOut);
  return leftOut;
}
