/**
 * istio.workload.Service, decoded.  Its endpoints are not here: they are the workloads that name it.
 */
import type { Ip } from './ip.ts';

export type LbPolicy = 'round-robin' | 'random' | 'least-conn' | 'least-latency';
export const LB_POLICIES: readonly LbPolicy[] = [
  'round-robin',
  'random',
  'least-conn',
  'least-latency',
];
export const DEFAULT_LB_POLICY: LbPolicy = 'round-robin';

export interface ServicePort {
  readonly servicePort: number;
  /** 0: a named port, every endpoint says its own */
  readonly targetPort: number;
}

/** What a client and an endpoint may have in common. */
export type RoutingScope = 'NETWORK' | 'REGION' | 'ZONE' | 'SUBZONE' | 'NODE' | 'CLUSTER';

/**
 * UNSPECIFIED: all endpoints alike.  STRICT: only those that share every scope.  FAILOVER: those that share the most.
 * PASSTHROUGH: none is chosen, the connection goes where it was sent.
 */
export type LoadBalancingMode = 'UNSPECIFIED' | 'STRICT' | 'FAILOVER' | 'PASSTHROUGH';

export interface LocalityPreference {
  readonly mode: LoadBalancingMode;
  /** most important first: an endpoint's rank is how many it shares before the first it does not */
  readonly routingPreference: readonly RoutingScope[];
}

export interface LoadBalancing extends LocalityPreference {
  /** ALLOW_ALL: endpoints that are not ready get traffic too (publishNotReadyAddresses) */
  readonly healthPolicy: 'ONLY_HEALTHY' | 'ALLOW_ALL';
}

/** podwire's own extension podwire.io/lb of the message. */
export interface LoadBalancer {
  readonly lbPolicy: LbPolicy;
  /** a client pod keeps its endpoint until it has not connected for so long; 0: no affinity */
  readonly sessionAffinitySeconds: number;
  /** most connections open from one node to each port of the Service; 0: any number */
  readonly maxConnections: number;
}

export interface Service extends LoadBalancer {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** virtual addresses; none for a headless Service */
  readonly addresses: readonly Ip[];
  /**
   * Virtual addresses by cluster, when the mesh has more than one: clusters give out the same ranges, so an address means
   * something in its own cluster only.  Absent in messages, which are for one cluster.
   */
  readonly clusterAddresses?: ReadonlyMap<string, readonly Ip[]>;
  readonly ports: readonly ServicePort[];
  readonly loadBalancing: LoadBalancing;
  /** through which istiod wants its requests to go; absent: it has none, or control is not istiod */
  readonly waypoint?: Waypoint;
}

/** istio.workload.GatewayAddress */
export type Waypoint = (
  | { readonly namespace: string; readonly hostname: string }
  | { readonly network: string; readonly ip: Ip }
) & { readonly port: number };

/** The Service as a node of that cluster may see it. */
export function serviceForCluster(service: Service, cluster: string): Service {
  const { clusterAddresses, ...rest } = service;
  if (clusterAddresses === undefined) return service;
  return { ...rest, addresses: clusterAddresses.get(cluster) ?? [] };
}

/**
 * What a DestinationRule's trafficPolicy says of a Service as far as the kernel carries it out.  A field that is absent
 * leaves what the Service itself says in force.
 */
export interface ServiceTrafficPolicy {
  readonly lbPolicy?: LbPolicy;
  /** see LoadBalancer; 0 is no limit */
  readonly maxConnections?: number;
  readonly sessionAffinitySeconds?: number;
  readonly localityPreference?: LocalityPreference;
}

export const ALL_ENDPOINTS: LocalityPreference = { mode: 'UNSPECIFIED', routingPreference: [] };

/** primary key: "namespace/hostname" */
export function serviceKey(service: Pick<Service, 'namespace' | 'hostname'>): string {
  return `${service.namespace}/${service.hostname}`;
}
