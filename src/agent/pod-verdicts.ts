/**
 * What policy says of connections to this node's pods, for the main thread: revocation, and what dry-run policies would have
 * done. One index per pod, kept for as long as its policies stay the same.
 */
import { policiesOf } from '../compile/kernel/policy/cache.ts';
import type { Connection, Decision } from '../compile/kernel/policy/evaluate.ts';
import { RuleIndex } from '../compile/kernel/policy/rule-index.ts';
import type { PlanState } from '../compile/kernel/plan.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Workload } from '../model/workload.ts';

interface PodIndex {
  readonly workload: Workload;
  readonly enforced: RuleIndex;
  /** undefined: no policy of the pod only runs dry */
  readonly dryRun: RuleIndex | undefined;
}

export class PodVerdicts {
  readonly #state: () => PlanState;
  readonly #pods = new Map<string, PodIndex>();
  #policies: Pick<Snapshot, 'authorizations' | 'scopedPolicies'> | undefined;

  constructor(state: () => PlanState) {
    this.#state = state;
  }

  /** undefined: the mesh does not know the pod (any more) */
  enforced(uid: string, connection: Connection): Decision | undefined {
    return this.#index(uid)?.enforced.evaluate(connection);
  }

  /** What would be, were the dry-run policies enforced as well; undefined: the pod has none. */
  dryRun(uid: string, connection: Connection): Decision | undefined {
    return this.#index(uid)?.dryRun?.evaluate(connection);
  }

  #index(uid: string): PodIndex | undefined {
    const { snapshot } = this.#state();
    const { authorizations, scopedPolicies } = snapshot;
    if (
      this.#policies?.authorizations !== authorizations ||
      this.#policies.scopedPolicies !== scopedPolicies
    ) {
      this.#pods.clear();
      this.#policies = { authorizations, scopedPolicies };
    }
    const workload = snapshot.workloads.get(uid);
    if (workload === undefined) return undefined;
    const known = this.#pods.get(uid);
    if (known?.workload === workload) return known;
    const policies = policiesOf(snapshot, workload);
    const dry = policies.some(({ dryRun }) => dryRun);
    const index = {
      workload,
      enforced: new RuleIndex(policies),
      dryRun: dry ? new RuleIndex(policies, { withDryRun: true }) : undefined,
    };
    this.#pods.set(uid, index);
    return index;
  }
}
