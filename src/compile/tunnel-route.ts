/**
 * Where one captured connection goes: straight to its target, over HBONE to the target's workload, or over HBONE to a
 * waypoint.  The rules are ztunnel's (src/proxy/outbound.rs, src/state.rs).
 */
import { HBONE_PORT, type GatewayAddress } from '../model/gateway-address.ts';
import { hostPort } from '../model/host-port.ts';
import { ipFamily, type Ip } from '../model/ip.ts';
import { serviceKey, type Service } from '../model/service.ts';
import type { SharedMap } from '../model/shared-map.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { workloadIdentity, type Place, type Workload } from '../model/workload.ts';
import { preferred } from './kernel/locality.ts';

export interface IpPort {
  readonly address: Ip;
  readonly port: number;
}

export interface HboneRoute {
  readonly kind: 'hbone';
  /** where the TLS connection goes */
  readonly gateway: IpPort;
  /** of the CONNECT */
  readonly authority: string;
  /** SPIFFE ids of which the peer must have one */
  readonly acceptedIds: readonly string[];
  /** of the Service that was dialled, "" when none */
  readonly hostname: string;
  /** the same for every connection of the pod to this target, until the mesh changes */
  readonly lasting: boolean;
}

export type TunnelRoute =
  | { readonly kind: 'direct' }
  | HboneRoute
  /** there is a waypoint to go through and none of it can be reached */
  | { readonly kind: 'none'; readonly reason: string };

export interface TunnelQuestion {
  readonly source: Workload;
  /** what the application asked for */
  readonly dialled: IpPort;
  /** after load balancing */
  readonly target: IpPort;
}

export interface TunnelMesh {
  readonly snapshot: Snapshot;
  /** by "address|port": the Services that claim it, the one in force first */
  readonly claims: SharedMap<readonly string[]>;
  /** of this node */
  readonly place: Place;
}

const DIRECT: TunnelRoute = { kind: 'direct' };

/** `random`: in [0, 1) */
export function tunnelRoute(
  mesh: TunnelMesh,
  { source, dialled, target }: TunnelQuestion,
  random: () => number = Math.random,
): TunnelRoute {
  const { snapshot, claims } = mesh;
  const service = snapshot.services.get(
    claims.get(`${dialled.address}|${dialled.port}`)?.[0] ?? '',
  );
  const workload = workloadAt(snapshot, target.address);
  const waypoint = service ? service.waypoint : workload?.waypoint;
  if (waypoint && !isWaypoint(snapshot, source, waypoint)) {
    return toWaypoint(mesh, waypoint, source, { dialled, service, random });
  }
  if (workload?.tunnelProtocol !== 'HBONE') return DIRECT;
  return {
    kind: 'hbone',
    gateway: { address: target.address, port: HBONE_PORT },
    authority: hostPort(target.address, target.port),
    acceptedIds: acceptedIds(workload, service),
    hostname: service?.hostname ?? '',
    lasting: true,
  };
}

function toWaypoint(
  mesh: TunnelMesh,
  waypoint: GatewayAddress,
  source: Workload,
  call: { dialled: IpPort; service: Service | undefined; random: () => number },
): TunnelRoute {
  const { dialled, service, random } = call;
  const found = waypointEndpoint(mesh, waypoint, source, { like: dialled.address, random });
  if (typeof found === 'string') return { kind: 'none', reason: found };
  return {
    kind: 'hbone',
    gateway: found.gateway,
    authority: hostPort(dialled.address, dialled.port),
    acceptedIds: found.acceptedIds,
    hostname: service?.hostname ?? '',
    lasting: false,
  };
}

interface Endpoint {
  readonly gateway: IpPort;
  readonly acceptedIds: readonly string[];
}

/** One endpoint of the waypoint; text: why there is none */
function waypointEndpoint(
  { snapshot, claims, place }: TunnelMesh,
  waypoint: GatewayAddress,
  source: Workload,
  { like, random }: { like: Ip; random: () => number },
): Endpoint | string {
  const service = waypointService(snapshot, claims, waypoint);
  if (!service) {
    if (!('address' in waypoint)) return `the waypoint ${waypoint.service} is not known`;
    const workload = workloadAt(snapshot, waypoint.address);
    if (!workload) return `the waypoint at ${waypoint.address} is not known`;
    return {
      gateway: { address: waypoint.address, port: waypoint.port },
      acceptedIds: [workloadIdentity(workload)],
    };
  }
  const key = serviceKey(service);
  const candidates = [...(snapshot.endpoints.get(key)?.values() ?? [])].filter(
    (workload) =>
      workload.capacity > 0 &&
      workload.addresses.length > 0 &&
      (workload.healthy || service.loadBalancing.healthPolicy === 'ALLOW_ALL'),
  );
  const from: Place = { ...place, network: source.network || place.network };
  const workload = pick(preferred(candidates, service.loadBalancing, from), random);
  if (!workload) return `the waypoint ${key} has no ready endpoint`;
  const address =
    workload.addresses.find((ip) => ipFamily(ip) === ipFamily(like)) ?? workload.addresses[0]!;
  const port = targetPort(service, workload, waypoint.port);
  return { gateway: { address, port }, acceptedIds: acceptedIds(workload, service) };
}

function waypointService(
  snapshot: Snapshot,
  claims: TunnelMesh['claims'],
  waypoint: GatewayAddress,
): Service | undefined {
  const key =
    'service' in waypoint
      ? waypoint.service
      : claims.get(`${waypoint.address}|${waypoint.port}`)?.[0];
  return snapshot.services.get(key ?? '');
}

function targetPort(service: Service, workload: Workload, port: number): number {
  const own = workload.services
    .get(serviceKey(service))
    ?.find(({ servicePort }) => servicePort === port);
  const shared = service.ports.find(({ servicePort }) => servicePort === port);
  return own?.targetPort || shared?.targetPort || port;
}

/** By capacity; undefined: nobody to choose from */
function pick(workloads: readonly Workload[], random: () => number): Workload | undefined {
  const total = workloads.reduce((sum, { capacity }) => sum + capacity, 0);
  let at = random() * total;
  return workloads.find(({ capacity }) => (at -= capacity) < 0) ?? workloads.at(-1);
}

/** What the waypoint itself sends goes past it. */
function isWaypoint(snapshot: Snapshot, source: Workload, waypoint: GatewayAddress): boolean {
  if ('address' in waypoint && source.addresses.includes(waypoint.address)) return true;
  const key = 'service' in waypoint ? waypoint.service : undefined;
  return key !== undefined && snapshot.endpoints.get(key)?.has(source.uid) === true;
}

function acceptedIds(workload: Workload, service: Service | undefined): readonly string[] {
  return [...new Set([workloadIdentity(workload), ...(service?.subjectAltNames ?? [])])];
}

function workloadAt(snapshot: Snapshot, address: Ip): Workload | undefined {
  return snapshot.workloads.get(snapshot.byAddress.get(address)?.[0] ?? '');
}
