/**
 * From the updates of control or of an xDS server to kernel state, in one thread and one order: store → plan → numbers to disk → operations.
 * A change reaches the kernel within the same turn of the event loop.
 */
import { diffPlans } from '../compile/kernel/diff.ts';
import { NodeNetwork } from '../compile/kernel/node-network.ts';
import type { Numbers } from '../compile/kernel/numbers.ts';
import { initialPlanState, nextPlan, type PlanState } from '../compile/kernel/plan.ts';
import type { TunnelMode } from '../compile/kernel/tunnels.ts';
import { prunePlanNumbers } from '../compile/kernel/prune.ts';
import type { Finding } from '../model/finding.ts';
import type { NodeEnrolment } from '../model/enrolment.ts';
import type { MeshUpdate } from '../model/messages.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Log } from '../log.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Settings } from '../kernel/settings.ts';
import { SnapshotStore } from '../store/snapshot-store.ts';
import type { StateFolder } from './state-folder.ts';

export interface MeshOptions {
  readonly numbers: Numbers | undefined;
  /** see SavedNumbers.since */
  readonly numbersSince: number;
  readonly state: StateFolder;
  readonly reconciler: Reconciler;
  readonly settings: Settings;
  readonly log: Log;
  /** name of this node; undefined: its pods say */
  readonly node: string | undefined;
  /** before the kernel learns of it; whether it changes what is in force at a pod, in the kernel or not */
  readonly onPlan: (state: PlanState) => boolean;
  /** policies or identities changed: live connections must be looked at again */
  readonly onPolicyChange: () => void;
  /** pods of this node came or went, or have another identity: the SPIFFE ids of all of them */
  readonly onIdentities: (identities: ReadonlySet<string>) => void;
  /** the kernel has what the mesh says */
  readonly onApplied: () => void;
  readonly tunnelMode: TunnelMode;
}

export interface MeshChange {
  readonly mesh?: MeshUpdate;
  readonly enrolled?: NodeEnrolment;
  /** read only when somebody asks: it walks the whole mesh */
  readonly findings?: () => readonly Finding[];
}

export class Mesh {
  readonly #options: MeshOptions;
  readonly #store = new SnapshotStore();
  #state: PlanState;
  #enrolled: NodeEnrolment = { pods: [], networkPolicies: [] };
  readonly #network = new NodeNetwork();
  #findings: () => readonly Finding[] = () => [];
  #onPods: (uids: readonly string[]) => void = () => {};
  #applied = 0;

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#state = initialPlanState(options.numbers, options.tunnelMode);
  }

  get state(): PlanState {
    return this.#state;
  }

  get findings(): readonly Finding[] {
    return this.#findings();
  }

  /** why there is no complete mesh yet */
  get incomplete(): string | undefined {
    return this.#store.incomplete;
  }

  /** Parts that are absent stay as they are; `enrolled` and `findings` are whole lists. */
  update(change: MeshChange): void {
    if (change.enrolled !== undefined) {
      this.#enrolled = change.enrolled;
      this.#onPods(change.enrolled.pods.map(({ uid }) => uid));
    }
    this.#findings = change.findings ?? this.#findings;
    if (change.mesh !== undefined) this.#store.apply(change.mesh);
    if (this.#store.incomplete) return;
    this.#plan();
  }

  /** what the store holds, as the compiler sees it */
  get snapshot(): Snapshot {
    return this.#store.current;
  }

  /** Told of the uids of the pods that are to be captured, now and when they change. */
  onPods(listener: (uids: readonly string[]) => void): void {
    this.#onPods = listener;
    listener(this.#enrolled.pods.map(({ uid }) => uid));
  }

  /** of the captured pod with this number in the kernel's maps; undefined: it is gone */
  uidOf(pod: number): string | undefined {
    const { reconciler } = this.#options;
    return reconciler.captured().find(({ id }) => id === pod)?.entry.uid;
  }

  /** Forgets numbers of names that are gone; `liveIdentities` are still carried by connections. */
  pruneNumbers(liveIdentities: ReadonlySet<number>): void {
    const pruned = prunePlanNumbers(this.#state, liveIdentities);
    const { state, numbersSince } = this.#options;
    state.saveNumbers({ numbers: pruned.numbers, since: numbersSince });
    this.#state = pruned;
  }

  #plan(): void {
    const {
      state: folder,
      numbersSince,
      reconciler,
      settings,
      log,
      node,
      onPlan,
      onPolicyChange,
      onIdentities,
      onApplied,
    } = this.#options;
    const started = performance.now();
    const previous = this.#state;
    const { pods, networkPolicies } = this.#enrolled;
    const next = nextPlan(previous, this.#store.current, pods, node);
    const operations = diffPlans(previous.plan, next.plan);
    if (next.numbers !== previous.numbers) {
      folder.saveNumbers({ numbers: next.numbers, since: numbersSince });
    }
    this.#state = next;
    const inForce = onPlan(next);
    const network = this.#network.next(pods, networkPolicies, next.plan.pods);
    const pairs = reconciler.setNetwork(network);
    reconciler.apply(operations, next.plan);
    reconciler.setNetwork(network); /* of the pods that have only now got their numbers */
    if (this.#applied++ === 0) reconciler.prune();
    const touchesPolicy = operations.some(
      ({ map }) => map === 'policies' || map === 'cidrTables' || map === 'locals' || map === 'pods',
    );
    if (touchesPolicy || inForce || pairs) {
      settings.nextEpoch();
      onPolicyChange();
    }
    if (next.plan.pods !== previous.plan.pods) {
      onIdentities(new Set([...next.plan.pods].map(([, { spiffe }]) => spiffe)));
    }
    onApplied();
    log.info(
      {
        snapshot: next.snapshot.version,
        operations: operations.length,
        ms: Math.round((performance.now() - started) * 10) / 10,
      },
      'mesh applied',
    );
  }
}
