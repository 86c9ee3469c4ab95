/**
 * The two messages the agent's store accepts, and how a change of them is handed over.
 *
 * Carriers (the xDS client, or control in the same process) deliver deltas of exactly these shapes.
 */
import type { Authorization } from './authorization.ts';
import type { Service } from './service.ts';
import { serviceKey } from './service.ts';
import type { Workload } from './workload.ts';

/** istio.workload.Address */
export type Address =
  | { readonly kind: 'workload'; readonly workload: Workload }
  | { readonly kind: 'service'; readonly service: Service };

export interface Delta<T> {
  readonly upserts: readonly T[];
  /** resource names; an Address name is tried as workload uid first, then as Service key */
  readonly removals: readonly string[];
}

/** A field that is absent had no response of its type in this update. */
export interface MeshUpdate {
  readonly addresses?: Delta<Address>;
  readonly authorizations?: Delta<Authorization>;
}

export function addressName(address: Address): string {
  return address.kind === 'workload' ? address.workload.uid : serviceKey(address.service);
}
