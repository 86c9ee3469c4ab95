/**
 * What istiod is told by users and does not reach this node's connections, or not as written.
 *
 * istiod computes listeners, routes and clusters for the namespace of who asks, which is the agent's and not that of the
 * pods, so they are not asked for; what it sends a node agent are workloads, services and the part of policies that needs
 * no request.  Requests are the business of waypoints, which pods that speak HBONE go through.
 */
import type { SharedMap } from '../../model/shared-map.ts';
import type { GatewayAddress } from '../../model/gateway-address.ts';
import type { Service } from '../../model/service.ts';
import type { Codec } from '../codec.ts';
import type { WireAuthorizationPolicy } from '../codec-istio-config.ts';
import type { IstioObject } from './config-reader.ts';

export interface LeftOutService {
  readonly host: string;
  /** "namespace/hostname", or its address; "": it has none */
  readonly waypoint: string;
}

export interface LeftOutResource {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** not-in-force: nothing of it; stricter: it refuses more than is written */
  readonly effect: 'not-in-force' | 'stricter';
  readonly reason: string;
  readonly fix: string;
  /** whose requests it is about, where it says so */
  readonly services: readonly LeftOutService[];
}

const SERVE_BY_CONTROL =
  'serve the mesh by podwire control --kubernetes, which reads the same resources';
const KEEP_AT_ISTIO = "keep it at a waypoint or gateway of Istio's";
const HTTP_AT_CONTROL = `${SERVE_BY_CONTROL}, or write the policy without conditions on requests`;
const AT_WAYPOINTS = 'in force at waypoints only, which pods that speak HBONE go through';
/** Names a generated resource's origin: "HTTPRoute/name.namespace", with commas between several. */
const PARENTS = 'internal.istio.io/parents';
const DRY_RUN = 'istio.io/dry-run';
/** conditions that need no request */
const L4_KEYS: ReadonlySet<string> = new Set([
  'source.ip',
  'source.namespace',
  'source.principal',
  'destination.ip',
  'destination.port',
]);

type Services = Pick<SharedMap<Service>, 'values'>;

/** Sorted by kind, namespace and name. */
export function leftOutOf(
  objects: readonly IstioObject[],
  services: Services,
  codec: Codec,
): LeftOutResource[] {
  const all = [...services.values()];
  const rows = new Map<string, LeftOutResource>();
  for (const object of objects) {
    const row = readRow(object, all, codec);
    if (row === undefined) continue;
    for (const origin of originsOf(object)) {
      const key = `${origin.kind} ${origin.namespace}/${origin.name}`;
      // a route of several hosts comes as several VirtualServices
      const more = rows.get(key)?.services ?? [];
      rows.set(key, { ...row, ...origin, services: [...more, ...row.services] });
    }
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** One that cannot be read says so, and keeps none of the others from being named. */
function readRow(
  object: IstioObject,
  services: readonly Service[],
  codec: Codec,
): LeftOutResource | undefined {
  try {
    return rowOf(object, services, codec);
  } catch (error) {
    const { kind, namespace, name } = object;
    const reason = `what istiod says of it cannot be read: ${(error as Error).message}`;
    const own = { kind, namespace, name, effect: 'not-in-force', services: [] } as const;
    return { ...own, reason, fix: SERVE_BY_CONTROL };
  }
}

/** undefined: nothing of it is left out here.  Throws on bytes that are no message. */
function rowOf(
  object: IstioObject,
  services: readonly Service[],
  codec: Codec,
): LeftOutResource | undefined {
  const { kind, namespace, name, spec } = object;
  const own = { kind, namespace, name, effect: 'not-in-force', fix: SERVE_BY_CONTROL } as const;
  const { virtualService, destinationRule, authorizationPolicy } = codec.istioConfig;
  switch (kind) {
    case 'VirtualService': {
      const { hosts, gateways } = virtualService.decode(spec);
      // of Istio's gateways, which go on as they are
      if (gateways.length > 0 && !gateways.includes('mesh')) return undefined;
      const named = hosts.flatMap((host) => servicesOf(host, namespace, services));
      return { ...own, reason: AT_WAYPOINTS, services: named };
    }
    case 'DestinationRule': {
      const { host } = destinationRule.decode(spec);
      return { ...own, reason: AT_WAYPOINTS, services: servicesOf(host, namespace, services) };
    }
    case 'Sidecar':
      return { ...own, reason: 'istiod tells node agents of all services', services: [] };
    case 'EnvoyFilter':
    case 'WasmPlugin':
      return { ...own, fix: KEEP_AT_ISTIO, reason: 'it is about Envoy', services: [] };
    case 'AuthorizationPolicy':
      return policyRow({ ...own, services: [] }, object, authorizationPolicy.decode(spec));
    case 'RequestAuthentication':
      return { ...own, reason: `tokens are not checked: ${AT_WAYPOINTS}`, services: [] };
    case 'Telemetry':
      return { ...own, reason: 'istiod does not send it to node agents', services: [] };
    default:
      return undefined;
  }
}

function policyRow(
  own: Omit<LeftOutResource, 'reason'>,
  { annotations }: IstioObject,
  policy: WireAuthorizationPolicy,
): LeftOutResource | undefined {
  const { action, targetRef, targetRefs } = policy;
  if (targetRef !== null || targetRefs.length > 0) {
    return { ...own, reason: `of what targetRefs names: ${AT_WAYPOINTS}` };
  }
  if (action !== 'ALLOW' && action !== 'DENY') {
    return { ...own, reason: `istiod sends no policies with action ${action} to node agents` };
  }
  if (annotations[DRY_RUN] === 'true') {
    const fix = `${SERVE_BY_CONTROL}, or remove the policy`;
    const reason = 'it is enforced: istiod does not say that it is a dry run';
    return { ...own, effect: 'stricter', reason, fix };
  }
  const conditions = conditionsOf(policy);
  if (conditions.length === 0) return undefined;
  const what = conditions.join(', ');
  const reason =
    action === 'ALLOW'
      ? `rules about requests (${what}) allow nothing`
      : `rules about requests (${what}) refuse without these conditions`;
  return { ...own, effect: 'stricter', reason, fix: HTTP_AT_CONTROL };
}

/** The conditions that need a request to be seen, by name. */
function conditionsOf({ rules }: WireAuthorizationPolicy): string[] {
  const found = new Set<string>();
  const note = (fields: object | null): void => {
    for (const [name, value] of Object.entries(fields ?? {})) {
      if (Array.isArray(value) && value.length > 0) found.add(name);
    }
  };
  for (const { from, to, when } of rules) {
    for (const { source } of from) note(source);
    for (const { operation } of to) note(operation);
    for (const { key } of when) if (!L4_KEYS.has(key)) found.add(key);
  }
  return [...found].sort();
}

type Origin = Pick<LeftOutResource, 'kind' | 'namespace' | 'name'>;

/** As the user wrote it: istiod makes VirtualServices of routes of the Gateway API. */
function originsOf({ kind, namespace, name, annotations }: IstioObject): Origin[] {
  const parents = (annotations[PARENTS] ?? '').split(',').flatMap((parent): Origin[] => {
    const [, of, called, from] = /^(\w+)\/(.+)\.([^.]+)$/.exec(parent) ?? [];
    return of === undefined ? [] : [{ kind: of, namespace: from!, name: called! }];
  });
  return parents.length > 0 ? parents : [{ kind, namespace, name }];
}

function servicesOf(
  host: string,
  namespace: string,
  services: readonly Service[],
): LeftOutService[] {
  const is = (service: Service): boolean => {
    if (host.startsWith('*')) return service.hostname.endsWith(host.slice(1));
    if (!host.includes('.')) return service.name === host && service.namespace === namespace;
    return service.hostname === host;
  };
  const found = services.filter(is).map(({ hostname, waypoint }) => ({
    host: hostname,
    waypoint: waypoint === undefined ? '' : waypointName(waypoint),
  }));
  return found.length > 0 ? found : [{ host, waypoint: '' }];
}

function waypointName(waypoint: GatewayAddress): string {
  return 'address' in waypoint ? waypoint.address : waypoint.service;
}
