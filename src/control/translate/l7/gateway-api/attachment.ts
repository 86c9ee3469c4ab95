/**
 * Which routes a listener of a Gateway has: those that name it, that it admits, and whose host names meet its own.
 */
import {
  CONTROLLER_NAME,
  type GatewayApiGatewayResource,
  type GatewayApiListener,
  type NamespaceSelector,
  type ParentReference,
} from '../../../../model/resource/gateway-api.ts';
import { EVERY_HOST, intersection } from './hostnames.ts';
import { byAge } from './precedence.ts';
import { API_GROUP, type ApiRoute, type ApiView } from './view.ts';

export interface Attached {
  readonly route: ApiRoute;
  /** what the route and the listener have in common */
  readonly hostnames: readonly string[];
}

/** of the condition Accepted of a route */
export type RefusalReason =
  'NoMatchingParent' | 'NotAllowedByListeners' | 'NoMatchingListenerHostname';

/** the class that needs no GatewayClass */
const OWN_CLASS = 'podwire';

/** Whether podwire serves Gateways of the class. */
export function isOwnClass(name: string, view: Pick<ApiView, 'gatewayClass'>): boolean {
  const found = view.gatewayClass(name);
  if (found === undefined) return name === OWN_CLASS;
  return found.spec.controllerName === CONTROLLER_NAME;
}

export function isOwnGateway(
  { spec }: GatewayApiGatewayResource,
  view: Pick<ApiView, 'gatewayClass'>,
): boolean {
  return isOwnClass(spec.gatewayClassName, view);
}

export function isGatewayReference({ group, kind }: ParentReference): boolean {
  return group === API_GROUP && kind === 'Gateway';
}

/** Kinds of routes its protocol can carry; none: the protocol is not supported. */
export function protocolKinds({ protocol, tls }: GatewayApiListener): readonly ApiRoute['kind'][] {
  switch (protocol) {
    case 'HTTP':
    case 'HTTPS':
      return ['HTTPRoute', 'GRPCRoute'];
    case 'TLS':
      return tls?.mode === 'Passthrough' ? ['TLSRoute'] : ['TCPRoute', 'TLSRoute'];
    case 'TCP':
      return ['TCPRoute'];
    default:
      return [];
  }
}

/** Those that allowedRoutes names, of those its protocol can carry. */
export function admittedKinds(listener: GatewayApiListener): readonly ApiRoute['kind'][] {
  const { kinds = [] } = listener.allowedRoutes;
  const possible = protocolKinds(listener);
  if (kinds.length === 0) return possible;
  return possible.filter((kind) =>
    kinds.some((one) => one.group === API_GROUP && one.kind === kind),
  );
}

/** The host names it gets there, or why it gets none. */
export function attach(
  route: ApiRoute,
  { sectionName, port }: ParentReference,
  gateway: GatewayApiGatewayResource,
  listener: GatewayApiListener,
  view: ApiView,
): readonly string[] | RefusalReason {
  const named =
    (sectionName === undefined || sectionName === listener.name) &&
    (port === undefined || port === listener.port);
  if (!named) return 'NoMatchingParent';
  if (
    !admittedKinds(listener).includes(route.kind) ||
    !admitsNamespace(listener, gateway.namespace, route.namespace, view)
  ) {
    return 'NotAllowedByListeners';
  }
  const hostnames = hostnamesOn(listener, route);
  return hostnames.length === 0 ? 'NoMatchingListenerHostname' : hostnames;
}

/** TCP has no host names, neither does a TCPRoute. */
function hostnamesOn({ protocol, hostname }: GatewayApiListener, route: ApiRoute): string[] {
  if (protocol === 'TCP') return [EVERY_HOST];
  return intersection(hostname, route.kind === 'TCPRoute' ? undefined : route.spec.hostnames);
}

function admitsNamespace(
  { allowedRoutes: { namespaces } }: GatewayApiListener,
  own: string,
  namespace: string,
  view: ApiView,
): boolean {
  if (namespaces.from === 'All') return true;
  if (namespaces.from === 'Same') return namespace === own;
  return selectsNamespace(namespaces.selector, view.namespaceLabels(namespace));
}

/** An absent selector selects nothing, an empty one everything. */
export function selectsNamespace(
  selector: NamespaceSelector | undefined,
  labels: ReadonlyMap<string, string>,
): boolean {
  if (selector === undefined) return false;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels.get(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels.get(key);
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

/** Oldest first, also those an older one is in the way of. */
export function attachedRoutes(
  gateway: GatewayApiGatewayResource,
  listener: GatewayApiListener,
  view: ApiView,
): Attached[] {
  const { namespace, name } = gateway;
  return view
    .routesOf('Gateway', namespace, name)
    .toSorted(byAge)
    .flatMap((route) => attachedTo(route, gateway, listener, view) ?? []);
}

/** By the first of its parentRefs that the listener takes; undefined: there is none. */
export function attachedTo(
  route: ApiRoute,
  gateway: GatewayApiGatewayResource,
  listener: GatewayApiListener,
  view: ApiView,
): Attached | undefined {
  for (const parent of route.spec.parentRefs ?? []) {
    if (!isReferenceTo(parent, route, gateway)) continue;
    const hostnames = attach(route, parent, gateway, listener, view);
    if (typeof hostnames !== 'string') return { route, hostnames };
  }
  return undefined;
}

export function isReferenceTo(
  parent: ParentReference,
  route: ApiRoute,
  gateway: GatewayApiGatewayResource,
): boolean {
  return (
    isGatewayReference(parent) &&
    parent.name === gateway.name &&
    (parent.namespace ?? route.namespace) === gateway.namespace
  );
}
