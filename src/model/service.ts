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
  readonly ports: readonly ServicePort[];
  /** endpoints that are not ready get traffic too (publishNotReadyAddresses) */
  readonly allowUnhealthy: boolean;
  /** extension podwire.io/lb of the message */
  readonly lbPolicy: LbPolicy;
}

/** primary key: "namespace/hostname" */
export function serviceKey(service: Pick<Service, 'namespace' | 'hostname'>): string {
  return `${service.namespace}/${service.hostname}`;
}
