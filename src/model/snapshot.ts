/**
 * One immutable view of the mesh.  Versions share structure: an unchanged resource is the same object in the next one.
 */
import type { Authorization } from './authorization.ts';
import type { Cluster } from './cluster.ts';
import type { Listener } from './listener.ts';
import type { LoadAssignment } from './load-assignment.ts';
import type { RouteConfiguration } from './route.ts';
import type { Secret } from './secret.ts';
import type { Service } from './service.ts';
import { SharedMap } from './shared-map.ts';
import type { Workload } from './workload.ts';

export interface Snapshot {
  /** raised with every change */
  readonly version: number;
  /** by uid */
  readonly workloads: SharedMap<Workload>;
  /** by "namespace/hostname" */
  readonly services: SharedMap<Service>;
  /** by "namespace/name" */
  readonly authorizations: SharedMap<Authorization>;
  /** by name, as the next four */
  readonly listeners: SharedMap<Listener>;
  readonly routes: SharedMap<RouteConfiguration>;
  readonly clusters: SharedMap<Cluster>;
  readonly loadAssignments: SharedMap<LoadAssignment>;
  readonly secrets: SharedMap<Secret>;
  /** Service key → its workloads by uid, also before the Service itself has come */
  readonly endpoints: SharedMap<ReadonlyMap<string, Workload>>;
  /** address → uids of the workloads that claim it, best claim first */
  readonly byAddress: SharedMap<readonly string[]>;
  /** namespace ("" for the whole mesh) → sorted names of the policies that apply without a selector */
  readonly scopedPolicies: SharedMap<readonly string[]>;
}

export function emptySnapshot(): Snapshot {
  return {
    version: 0,
    workloads: SharedMap.empty(),
    services: SharedMap.empty(),
    authorizations: SharedMap.empty(),
    listeners: SharedMap.empty(),
    routes: SharedMap.empty(),
    clusters: SharedMap.empty(),
    loadAssignments: SharedMap.empty(),
    secrets: SharedMap.empty(),
    endpoints: SharedMap.empty(),
    byAddress: SharedMap.empty(),
    scopedPolicies: SharedMap.empty(),
  };
}
