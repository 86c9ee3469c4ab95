/**
 * What the data-plane workers must know of policy: for each captured pod of this node the policies in force. Told before the
 * kernel learns of a plan, each policy once, changes only; a worker that starts is told everything.
 */
import { policiesOf } from '../../compile/kernel/policy/cache.ts';
import type { PlanState } from '../../compile/kernel/plan.ts';
import { authorizationKey, type Authorization } from '../../model/authorization.ts';
import { equal } from '../../model/equal.ts';
import type { PolicyChanges } from './policy-view.ts';

export class PolicyFeed {
  readonly #policies = new Map<string, Authorization>();
  readonly #pods = new Map<string, readonly string[]>();
  readonly #identities = new Map<number, string>();

  #last: PlanState | undefined;

  /** undefined: nothing that concerns the workers */
  next(state: PlanState): PolicyChanges | undefined {
    const last = this.#last;
    this.#last = state;
    return last && !concerns(last, state) ? undefined : this.#changes(state);
  }

  #changes({ plan, snapshot }: PlanState): PolicyChanges | undefined {
    const policies = new Map<string, Authorization>();
    const pods: [string, readonly string[] | null][] = [];
    const identities: [number, string][] = [];
    for (const { uid, identity, spiffe } of plan.pods.values()) {
      const workload = snapshot.workloads.get(uid);
      const inForce = workload ? policiesOf(snapshot, workload) : [];
      for (const policy of inForce) policies.set(authorizationKey(policy), policy);
      const keys = inForce.map(authorizationKey);
      if (this.#pods.get(uid)?.join(' ') !== keys.join(' ')) pods.push([uid, keys]);
      if (this.#identities.get(identity) !== spiffe) identities.push([identity, spiffe]);
    }
    for (const uid of this.#pods.keys()) if (!plan.pods.has(uid)) pods.push([uid, null]);
    const changes = { policies: this.#changed(policies), pods, identities };
    if (changes.policies.length + pods.length + identities.length === 0) return undefined;
    this.#keep(changes);
    return changes;
  }

  /** For a worker that starts. */
  get all(): PolicyChanges {
    return {
      policies: [...this.#policies],
      pods: [...this.#pods],
      identities: [...this.#identities],
    };
  }

  #changed(policies: ReadonlyMap<string, Authorization>): [string, Authorization | null][] {
    const changed: [string, Authorization | null][] = [];
    for (const [key, policy] of policies) {
      if (!equal(this.#policies.get(key), policy)) changed.push([key, policy]);
    }
    for (const key of this.#policies.keys()) if (!policies.has(key)) changed.push([key, null]);
    return changed;
  }

  #keep({ policies, pods, identities }: PolicyChanges): void {
    for (const [key, policy] of policies) {
      if (policy === null) this.#policies.delete(key);
      else this.#policies.set(key, policy);
    }
    for (const [uid, keys] of pods) {
      if (keys === null) this.#pods.delete(uid);
      else this.#pods.set(uid, keys);
    }
    for (const [number, spiffe] of identities) this.#identities.set(number, spiffe);
  }
}

/** Most plans are about endpoints. */
function concerns(last: PlanState, { plan, snapshot }: PlanState): boolean {
  const before = last.snapshot;
  return (
    plan.pods !== last.plan.pods ||
    snapshot.authorizations !== before.authorizations ||
    snapshot.scopedPolicies !== before.scopedPolicies ||
    snapshot.workloads.changedSince(before.workloads).some((uid) => plan.pods.has(uid))
  );
}
