/**
 * istio.workload.Service, decoded.  Its endpoints are not here: they are the workloads that name it.
 */
import type { Ip } from './ip.ts';

export type LbPolicy = 'round-robin' | 'random' | 'least-conn';
export const LB_POLICIES: readonly LbPolicy[] = ['round-robin', 'random', 'least-conn'];

export interface ServicePort {
  readonly servicePort: number;
  /** 0: a named port, every endpoint says its own */
  readonly targetPort: number;
}

export interface Service {
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
  /** endpoints that are not ready get traffic too (publishNotReadyAddresses) */
  readonly allowUnhealthy: boolean;
  /** extension podwire.io/lb of the message */
  readonly lbPolicy: LbPolicy;
}

/** The Service as a node of that cluster may see it. */
export function serviceForCluster(service: Service, cluster: string): Service {
  const { clusterAddresses, ...rest } = service;
  if (clusterAddresses === undefined) return service;
  return { ...rest, addresses: clusterAddresses.get(cluster) ?? [] };
}

/** primary key: "namespace/hostname" */
export function serviceKey(service: Pick<Service, 'namespace' | 'hostname'>): string {
  return `${service.namespace}/${service.hostname}`;
}
