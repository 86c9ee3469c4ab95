/**
 * envoy.config.endpoint.v3.ClusterLoadAssignment, decoded: the endpoints of one cluster.
 */
import type { Ip } from './ip.ts';

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export const NO_LOCALITY: Locality = Object.freeze({ region: '', zone: '', subZone: '' });

export interface LoadAssignment {
  /** the cluster's name, or its EDS service name */
  readonly name: string;
  readonly localities: readonly LocalityEndpoints[];
  /** percent; Envoy's default is 140 */
  readonly overprovisioning: number;
}

export interface LocalityEndpoints {
  readonly locality: Locality;
  /** 0 is used first, higher ones as lower ones fail */
  readonly priority: number;
  /** undefined: as many as its endpoints weigh */
  readonly weight: number | undefined;
  readonly endpoints: readonly Endpoint[];
}

export interface Endpoint {
  /** an address, or a host name to resolve (DNS clusters) */
  readonly address: Ip | { readonly host: string };
  readonly port: number;
  readonly healthy: boolean;
  readonly weight: number;
  /** uid of the Workload behind it, when it is one of the mesh */
  readonly workload: string | undefined;
}
