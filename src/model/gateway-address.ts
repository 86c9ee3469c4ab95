/**
 * istio.workload.GatewayAddress, decoded: where a waypoint is, by the name of its Service or by an address of it.
 */
import type { Ip } from './ip.ts';

/** Where a workload, or a gateway whose message names no port, takes HBONE (as ztunnel's). */
export const HBONE_PORT = 15008;

export type GatewayAddress =
  | { readonly service: string /* "namespace/hostname" */; readonly port: number }
  | { readonly address: Ip; readonly port: number };
