/**
 * The policy tables of the node's pods, and the listeners of those that need the agent: because their TCP goes through it, or
 * because it decides for them. Listeners are open before the kernel sends anything there, and closed after it has stopped.
 *
 * A table the kernel has no room for is not left half written, and the pod does not stay under the old one: its connections
 * are asked of the agent until the kernel takes the table.
 */
import type { PolicyTable } from '../compile/kernel/policy/policy-table.ts';
import type { ListenerRole, PodListeners } from './pod-listeners.ts';
import type { CapturedPod } from './pod-table.ts';
import type { PolicyTables } from './policy-tables.ts';

export interface PodPolicy {
  readonly uid: string;
  readonly id: number;
  /** undefined: no policy */
  readonly table: PolicyTable | undefined;
}

export interface PodPoliciesOptions {
  readonly tables: PolicyTables;
  readonly listeners: PodListeners;
  readonly captured: (uid: string) => CapturedPod | undefined;
  /** what the plan says */
  readonly table: (uid: string) => PolicyTable | undefined;
}

const NO_ROLES: ReadonlySet<ListenerRole> = new Set();

export class PodPolicies {
  readonly #options: PodPoliciesOptions;
  /** uids of pods whose table was refused, and why */
  readonly #refused = new Map<string, string>();

  constructor(options: PodPoliciesOptions) {
    this.#options = options;
  }

  /** Why some or all connections to the pod are decided in user space; undefined: none is. */
  userSpace(uid: string): string | undefined {
    return this.#refused.get(uid) ?? this.#options.table(uid)?.userSpace;
  }

  /** Throws what the kernel said; the pod is then closed but for what the agent lets in. */
  put({ uid, id, table }: PodPolicy): void {
    const { tables } = this.#options;
    this.#serving([uid], () => {
      try {
        if (table) tables.put(id, table);
        else tables.delete(id);
        this.#refused.delete(uid);
      } catch (error) {
        this.#refused.set(uid, (error as Error).message);
        tables.ask(id);
        throw error;
      }
    });
  }

  /** All of them, or those before the one the kernel refuses. */
  putAll(policies: readonly PodPolicy[]): void {
    const uids = policies.map(({ uid }) => uid);
    this.#serving(uids, () => {
      this.#options.tables.putAll(
        new Map(policies.flatMap(({ id, table }) => (table ? [[id, table] as const] : []))),
      );
      for (const uid of uids) this.#refused.delete(uid);
    });
  }

  /** The pod has no policy any more. */
  delete(uid: string, id: number): void {
    this.#serving([uid], () => {
      this.#options.tables.delete(id);
      this.#refused.delete(uid);
    });
  }

  /** Before the kernel sends anything to its listeners. */
  begin(pod: CapturedPod): void {
    this.#options.listeners.open(pod, this.#wanted(pod));
  }

  /** After the kernel has stopped; `gone`: the pod was released. */
  end(pod: CapturedPod, gone = false): void {
    this.#options.listeners.keep(pod, gone ? NO_ROLES : this.#wanted(pod));
  }

  #wanted({ entry }: CapturedPod): ReadonlySet<ListenerRole> {
    const { captureProxy, tunnel } = entry;
    const roles = new Set<ListenerRole>();
    if (captureProxy || tunnel) roles.add('outbound');
    if (captureProxy || this.userSpace(entry.uid) !== undefined) roles.add('inbound');
    if (tunnel) roles.add('hbone');
    return roles;
  }

  /** Of pods that are captured already; the others get theirs when they are. */
  #serving(uids: readonly string[], write: () => void): void {
    const pods = uids.flatMap((uid) => this.#options.captured(uid) ?? []);
    for (const pod of pods) this.begin(pod);
    try {
      write();
    } finally {
      for (const pod of pods) this.begin(pod);
      for (const pod of pods) this.end(pod);
    }
  }
}
