/**
 * Merges messages into the next Snapshot.
 *
 * Every derived index is kept up to date resource by resource, so that a change costs what it touches and not what the
 * mesh holds; unchanged resources and index entries are shared with the previous version.
 */
import { authorizationKey, type Authorization } from '../model/authorization.ts';
import { equal } from '../model/equal.ts';
import type { Address, Delta, MeshUpdate } from '../model/messages.ts';
import { serviceKey, type Service } from '../model/service.ts';
import type { SharedMap, SharedMapEditor } from '../model/shared-map.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Workload } from '../model/workload.ts';

/** The base itself when the update changes nothing. */
export function buildSnapshot(base: Snapshot, update: MeshUpdate): Snapshot {
  const edit = new SnapshotEdit(base);
  for (const name of update.addresses?.removals ?? []) edit.removeAddress(name);
  for (const address of update.addresses?.upserts ?? []) edit.putAddress(address);
  for (const name of update.authorizations?.removals ?? []) edit.removeAuthorization(name);
  for (const policy of update.authorizations?.upserts ?? []) edit.putAuthorization(policy);
  return edit.done({
    listeners: applyNamed(base.listeners, update.listeners),
    routes: applyNamed(base.routes, update.routes),
    clusters: applyNamed(base.clusters, update.clusters),
    loadAssignments: applyNamed(base.loadAssignments, update.loadAssignments),
    secrets: applyNamed(base.secrets, update.secrets),
  });
}

/** What no index of the snapshot is derived from. */
type Named = Pick<Snapshot, 'listeners' | 'routes' | 'clusters' | 'loadAssignments' | 'secrets'>;

function applyNamed<T extends { readonly name: string }>(
  base: SharedMap<T>,
  delta: Delta<T> | undefined,
): SharedMap<T> {
  if (delta === undefined) return base;
  const edit = base.edit();
  for (const name of delta.removals) edit.delete(name);
  for (const resource of delta.upserts) {
    if (!equal(edit.get(resource.name), resource)) edit.set(resource.name, resource);
  }
  return edit.done();
}

class SnapshotEdit {
  readonly #base: Snapshot;
  readonly #workloads: SharedMapEditor<Workload>;
  readonly #services: SharedMapEditor<Service>;
  readonly #authorizations: SharedMapEditor<Authorization>;
  readonly #endpoints: SharedMapEditor<ReadonlyMap<string, Workload>>;
  readonly #byAddress: SharedMapEditor<readonly string[]>;
  readonly #scopedPolicies: SharedMapEditor<readonly string[]>;
  /** endpoint maps this edit has copied already and may write to */
  readonly #ownEndpoints = new Map<string, Map<string, Workload>>();

  constructor(base: Snapshot) {
    this.#base = base;
    this.#workloads = base.workloads.edit();
    this.#services = base.services.edit();
    this.#authorizations = base.authorizations.edit();
    this.#endpoints = base.endpoints.edit();
    this.#byAddress = base.byAddress.edit();
    this.#scopedPolicies = base.scopedPolicies.edit();
  }

  putAddress(address: Address): void {
    if (address.kind === 'service') {
      const key = serviceKey(address.service);
      if (!equal(this.#services.get(key), address.service)) {
        this.#services.set(key, address.service);
      }
      return;
    }
    const { workload } = address;
    const before = this.#workloads.get(workload.uid);
    if (equal(before, workload)) return;
    if (before !== undefined) this.#unindex(before);
    this.#workloads.set(workload.uid, workload);
    for (const key of workload.services.keys()) this.#endpointsOf(key).set(workload.uid, workload);
    if (workload.hostNetwork) return;
    for (const ip of workload.addresses) {
      const uids = this.#byAddress.get(ip);
      // A literal holds just its one element, a spread leaves room for 17.
      const claims = uids === undefined ? [workload.uid] : [...uids, workload.uid].sort(byClaim);
      this.#byAddress.set(ip, claims);
    }
  }

  /** An Address name is a workload's uid or a Service's key. */
  removeAddress(name: string): void {
    const workload = this.#workloads.get(name);
    if (workload === undefined) {
      this.#services.delete(name);
      return;
    }
    this.#unindex(workload);
    this.#workloads.delete(name);
  }

  putAuthorization(policy: Authorization): void {
    const key = authorizationKey(policy);
    const before = this.#authorizations.get(key);
    if (equal(before, policy)) return;
    if (before !== undefined) this.#unscope(before, key);
    this.#authorizations.set(key, policy);
    const scope = scopeOf(policy);
    if (scope === undefined) return;
    this.#scopedPolicies.set(scope, [...(this.#scopedPolicies.get(scope) ?? []), key].sort());
  }

  removeAuthorization(name: string): void {
    const before = this.#authorizations.get(name);
    if (before === undefined) return;
    this.#unscope(before, name);
    this.#authorizations.delete(name);
  }

  done(named: Named): Snapshot {
    const base = this.#base;
    const next = {
      ...named,
      workloads: this.#workloads.done(),
      services: this.#services.done(),
      authorizations: this.#authorizations.done(),
      endpoints: this.#endpoints.done(),
      byAddress: this.#byAddress.done(),
      scopedPolicies: this.#scopedPolicies.done(),
    };
    const same = (Object.keys(next) as (keyof typeof next)[]).every(
      (part) => next[part] === base[part],
    );
    return same ? base : { version: base.version + 1, ...next };
  }

  #unindex(workload: Workload): void {
    for (const key of workload.services.keys()) {
      const endpoints = this.#endpointsOf(key);
      endpoints.delete(workload.uid);
      if (endpoints.size > 0) continue;
      this.#ownEndpoints.delete(key);
      this.#endpoints.delete(key);
    }
    if (workload.hostNetwork) return;
    for (const ip of workload.addresses) {
      const rest = (this.#byAddress.get(ip) ?? []).filter((uid) => uid !== workload.uid);
      if (rest.length > 0) this.#byAddress.set(ip, rest);
      else this.#byAddress.delete(ip);
    }
  }

  #endpointsOf(key: string): Map<string, Workload> {
    let own = this.#ownEndpoints.get(key);
    if (own === undefined) {
      own = new Map(this.#endpoints.get(key));
      this.#ownEndpoints.set(key, own);
      this.#endpoints.set(key, own);
    }
    return own;
  }

  #unscope(policy: Authorization, key: string): void {
    const scope = scopeOf(policy);
    if (scope === undefined) return;
    const rest = (this.#scopedPolicies.get(scope) ?? []).filter((other) => other !== key);
    if (rest.length > 0) this.#scopedPolicies.set(scope, rest);
    else this.#scopedPolicies.delete(scope);
  }
}

/** undefined: applies only to the workloads that name it */
function scopeOf(policy: Authorization): string | undefined {
  if (policy.scope === 'GLOBAL') return '';
  return policy.scope === 'NAMESPACE' ? policy.namespace : undefined;
}

/** A pod's claim on an address outranks any other workload's. */
function byClaim(a: string, b: string): number {
  const rank = (uid: string): number => (uid.includes('//Pod/') ? 0 : 1);
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}
