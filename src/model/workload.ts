/**
 * istio.workload.Workload, decoded: one pod (or other endpoint) of the mesh.
 *
 * The fields are those of the message that podwire reads; empty strings keep the message's meaning ("elided").
 */
import type { GatewayAddress } from './gateway-address.ts';
import type { Ip } from './ip.ts';
import { formatSpiffe } from './identity.ts';

export type TunnelProtocol = 'NONE' | 'HBONE';
export type WorkloadType = 'DEPLOYMENT' | 'CRONJOB' | 'POD' | 'JOB';

export interface ServicePortTarget {
  /** port the Service is dialled at */
  readonly servicePort: number;
  /** port of this workload that serves it */
  readonly targetPort: number;
}

/** Where a node is; "" where that is not known. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** What routing preferences compare: see RoutingScope. */
export type Place = Pick<Workload, 'network' | 'locality' | 'node' | 'clusterId'>;

export interface Workload {
  /** primary key; pods: "<cluster>//Pod/<namespace>/<name>" */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly Ip[];
  readonly hostname: string;
  readonly network: string;
  readonly tunnelProtocol: TunnelProtocol;
  /** "" means cluster.local */
  readonly trustDomain: string;
  /** "" means default */
  readonly serviceAccount: string;
  readonly node: string;
  readonly locality: Locality;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadType: WorkloadType;
  readonly workloadName: string;
  readonly nativeTunnel: boolean;
  /** Services this workload is an endpoint of, by "namespace/hostname" */
  readonly services: ReadonlyMap<string, readonly ServicePortTarget[]>;
  /** names ("namespace/name") of WORKLOAD_SELECTOR policies only */
  readonly authorizationPolicies: readonly string[];
  readonly healthy: boolean;
  readonly clusterId: string;
  /** shares the node's address: it is never found by address */
  readonly hostNetwork: boolean;
  /** through which it is reached when it is dialled by its own address; absent: none */
  readonly waypoint?: GatewayAddress;
  /** share of the load among its Service's endpoints; 0 gets none */
  readonly capacity: number;
  /**
   * Extension podwire.io/scope: the class of clients it is one of, as L7 resources are scoped ("<namespace>~<class>");
   * "": its namespace says all.
   */
  readonly scope: string;
  /**
   * Extension podwire.io/inbound-class: "<namespace>/<class>", as in the names of the inbound listeners that decide at its
   * ports; "": it has none.
   */
  readonly inboundClass: string;
}

export const NO_LOCALITY: Locality = { region: '', zone: '', subzone: '' };
export const DEFAULT_TRUST_DOMAIN = 'cluster.local';

export function podUid(clusterId: string, namespace: string, name: string): string {
  return `${clusterId}//Pod/${namespace}/${name}`;
}

export function workloadIdentity(workload: Workload): string {
  return formatSpiffe({
    trustDomain: workload.trustDomain || DEFAULT_TRUST_DOMAIN,
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount || 'default',
  });
}
