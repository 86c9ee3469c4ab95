/**
 * The messages the agent's store accepts, and how a change of them is handed over.
 *
 * Carriers (the xDS client, or control in the same process) deliver deltas of exactly these shapes.
 */
import type { Authorization } from './authorization.ts';
import type { Cluster } from './cluster.ts';
import type { Listener } from './listener.ts';
import type { LoadAssignment } from './load-assignment.ts';
import type { RouteConfiguration } from './route.ts';
import type { Secret } from './secret.ts';
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

export function joinedDeltas<T>(a: Delta<T>, b: Delta<T>): Delta<T> {
  return { upserts: [...a.upserts, ...b.upserts], removals: [...a.removals, ...b.removals] };
}

/** A field that is absent had no response of its type in this update. */
export interface MeshUpdate {
  readonly addresses?: Delta<Address>;
  readonly authorizations?: Delta<Authorization>;
  readonly secrets?: Delta<Secret>;
  readonly clusters?: Delta<Cluster>;
  readonly loadAssignments?: Delta<LoadAssignment>;
  readonly routes?: Delta<RouteConfiguration>;
  readonly listeners?: Delta<Listener>;
}

/** Of a carrier that answers for the L4 types every time. */
export type L4Update = MeshUpdate & Required<Pick<MeshUpdate, 'addresses' | 'authorizations'>>;

export function addressName(address: Address): string {
  return address.kind === 'workload' ? address.workload.uid : serviceKey(address.service);
}
