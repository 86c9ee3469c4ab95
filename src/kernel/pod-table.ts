/**
 * The pods of this node in the kernel: their numbers, addresses, port modes, policy tables and sk_lookup programs. What fails
 * for one pod (its namespace is not there yet) is kept, shown and tried again.
 */
import type { KernelPlan } from '../compile/kernel/plan.ts';
import type { PodEntry } from '../compile/kernel/pods.ts';
import type { SpliceMode } from '../model/enrolment.ts';
import type { Log } from '../log.ts';
import { formatFinding } from '../model/finding.ts';
import type { Binding } from './binding.ts';
import type { DataPath } from './data-path.ts';
import { knownPodIds, PodIds } from './pod-ids.ts';
import { captureFinding, hostNetns, type PodFailure, takenNetns } from './pod-failure.ts';
import { podFlags, PodMaps } from './pod-maps.ts';
import type { PodListeners } from './pod-listeners.ts';
import { PodPolicies, type PodPolicy } from './pod-policies.ts';
import type { PolicyTables } from './policy-tables.ts';

/** A pod the kernel knows. */
export interface CapturedPod {
  readonly entry: PodEntry;
  readonly id: number;
  readonly netnsCookie: bigint;
  readonly since: Date;
}

export interface PodTableOptions {
  readonly binding: Binding;
  readonly path: DataPath;
  readonly policies: PolicyTables;
  readonly listeners: PodListeners;
  readonly workers: number;
  readonly log: Log;
  /** numbers of pods that live connections carry */
  readonly podsInUse: () => ReadonlySet<number>;
}

export class PodTable {
  readonly #options: PodTableOptions;
  readonly #policies: PodPolicies;
  readonly #maps: PodMaps;
  readonly #ids: PodIds;
  readonly #captured = new Map<string, CapturedPod>();
  readonly #failed = new Map<string, PodFailure>();
  /** also of pods that are gone, until their number is given again: their last connections still end */
  readonly #uids = new Map<number, string>();
  /** in the maps, so that their connections have records, but without a program of their own yet */
  readonly #introduced = new Map<string, bigint>();
  #plan: KernelPlan | undefined;

  constructor(options: PodTableOptions) {
    this.#options = options;
    this.#policies = new PodPolicies({
      tables: options.policies,
      listeners: options.listeners,
      captured: (uid) => this.#captured.get(uid),
      table: (uid) => this.#plan?.policies.get(uid),
    });
    const { binding, path, podsInUse } = options;
    this.#maps = new PodMaps((name) => path.map(name));
    this.#ids = new PodIds((id) => podsInUse().has(id));
    for (const [cookie, id] of knownPodIds(binding, path)) this.#ids.adopt(cookie, id);
    for (const id of podsInUse()) this.#ids.skip(id);
  }

  captured(): readonly CapturedPod[] {
    return [...this.#captured.values()];
  }

  failures(): readonly PodFailure[] {
    return [...this.#failed.values()];
  }

  /** uid of the pod that has, or last had, this number */
  uidOf(id: number): string | undefined {
    return this.#uids.get(id);
  }

  byUid(uid: string): CapturedPod | undefined {
    return this.#captured.get(uid);
  }

  /** The plan whose operations follow. */
  setPlan(plan: KernelPlan): void {
    this.#plan = plan;
  }

  /** Pods whose namespace was missing. */
  retry(): void {
    for (const { entry } of [...this.#failed.values()]) this.capture(entry);
  }

  #cookie(entry: PodEntry): bigint | undefined {
    try {
      return this.#options.binding.netnsCookie(entry.netnsPath);
    } catch {
      return undefined;
    }
  }

  /** Why some or all connections to the pod are decided in user space; undefined: none is. */
  userSpace(uid: string): string | undefined {
    return this.#policies.userSpace(uid);
  }

  /** undefined: capture() reports it, and writes the policy when the namespace is there */
  #policyOf(entry: PodEntry | undefined): PodPolicy | undefined {
    const cookie = entry && this.#cookie(entry);
    if (!entry || cookie === undefined) return undefined;
    return { uid: entry.uid, id: this.#ids.of(cookie), table: this.#plan?.policies.get(entry.uid) };
  }

  writePolicy(entry: PodEntry): void {
    const policy = this.#policyOf(entry);
    if (policy) this.#policies.put(policy);
  }

  /** Those of one plan together. */
  writePolicies(uids: readonly string[]): void {
    this.#policies.putAll(uids.flatMap((uid) => this.#policyOf(this.#plan?.pods.get(uid)) ?? []));
  }

  writePortMode(uid: string, port: number, mode: SpliceMode): void {
    const entry = this.#plan?.pods.get(uid);
    const cookie = entry && this.#cookie(entry);
    if (cookie !== undefined) this.#maps.writePortMode(this.#ids.of(cookie), port, mode);
  }

  writeLocal(addr: string, uid: string): void {
    const pod = this.#captured.get(uid);
    if (!pod) return; /* written by #capture */
    const { netnsCookie: netns, id, entry } = pod;
    this.#maps.writeLocal(addr, { netns, pod: id, identity: entry.identity });
  }

  /**
   * New pods of one plan together, before the first gets a program that asks for provenance: otherwise those that come later
   * in the plan would be strangers to it. Nothing is sent to the agent yet.
   */
  introduce(uids: readonly string[]): void {
    for (const uid of uids) {
      const entry = this.#plan?.pods.get(uid);
      const cookie = entry && this.#cookie(entry);
      if (!entry || cookie === undefined) continue; /* capture() reports it */
      if (this.#owner(cookie) || this.#isOwnNamespace(cookie) || this.#maps.has(cookie)) continue;
      try {
        this.#introduced.set(uid, cookie);
        this.#writePod(entry, cookie, podFlags(entry, false));
        this.#writeLocals(entry, cookie);
      } catch {
        this.#withdraw(entry); /* capture() meets and reports the same */
      }
    }
    this.#options.path.serve();
  }

  /** What introduce() wrote of a pod that cannot be captured. */
  #withdraw(entry: PodEntry): void {
    const cookie = this.#introduced.get(entry.uid);
    if (cookie === undefined) return;
    this.#introduced.delete(entry.uid);
    this.#forget(cookie);
    for (const addr of entry.addrs) this.#maps.deleteLocal(addr);
  }

  #owner(cookie: bigint): CapturedPod | undefined {
    return this.captured().find(({ netnsCookie }) => netnsCookie === cookie);
  }

  #isOwnNamespace(cookie: bigint): boolean {
    return cookie === this.#options.binding.netnsCookie('/proc/self/ns/net');
  }

  #writePod(entry: PodEntry, cookie: bigint, flags: number): void {
    const { workers } = this.#options;
    this.#maps.write(entry, { cookie, id: this.#ids.of(cookie), flags, workers });
  }

  /** Addresses that two pods claim belong to the one that the plan names. */
  #writeLocals(entry: PodEntry, cookie: bigint): void {
    const local = { netns: cookie, pod: this.#ids.of(cookie), identity: entry.identity };
    for (const addr of entry.addrs) {
      if (this.#plan?.locals.get(addr)?.uid === entry.uid) this.#maps.writeLocal(addr, local);
    }
  }

  capture(entry: PodEntry): void {
    const { binding, path, workers, log } = this.#options;
    let before = this.#captured.get(entry.uid);
    try {
      /* The namespace it named before is no longer this pod's, whatever comes of the new one. */
      if (before && before.entry.netns !== entry.netns) before = this.release(entry.uid);
      const cookie = binding.netnsCookie(entry.netnsPath);
      if (this.#isOwnNamespace(cookie)) throw hostNetns(entry);
      const owner = this.#owner(cookie)?.entry;
      if (owner && owner.uid !== entry.uid) throw takenNetns(entry, owner);
      if (before && before.netnsCookie !== cookie) before = this.release(entry.uid);
      const pod: CapturedPod = {
        entry,
        id: this.#ids.of(cookie),
        netnsCookie: cookie,
        since: before?.since ?? new Date(),
      };
      const flags = podFlags(entry, true);
      try {
        this.writePolicy(entry);
      } catch {
        /* closed until the reconciler, which met the same, succeeds; not captured it would be open */
      }
      for (const [port, mode] of entry.portModes) this.#maps.writePortMode(pod.id, port, mode);
      this.#maps.writeProbes(pod.id, entry.probePorts, before?.entry.probePorts ?? []);
      this.#policies.begin(pod);
      path.attachPod({
        netnsCookie: cookie,
        netnsPath: entry.netnsPath,
        id: pod.id,
        identity: entry.identity,
        flags,
        workers,
      });
      this.#captured.set(entry.uid, pod);
      this.#uids.set(pod.id, entry.uid);
      this.#introduced.delete(entry.uid);
      this.#writePod(entry, cookie, flags);
      this.#writeLocals(entry, cookie);
      this.#policies.end(pod);
      this.#failed.delete(entry.uid);
      if (!before)
        log.info(
          { pod: `${entry.namespace}/${entry.name}`, netns: entry.netns, id: pod.id },
          'pod captured',
        );
    } catch (error) {
      this.#withdraw(entry);
      this.#fail(entry, error as Error);
    }
  }

  #fail(entry: PodEntry, error: Error): void {
    const before = this.#failed.get(entry.uid);
    const finding = captureFinding(entry, error);
    this.#failed.set(entry.uid, { entry, finding, since: before?.since ?? new Date() });
    const line = formatFinding(finding);
    if (before && formatFinding(before.finding) === line) return;
    const { code, file, resource, path } = finding;
    this.#options.log.error({ code, file, resource, path }, `pod not captured: ${line}`);
  }

  release(uid: string): undefined {
    this.#failed.delete(uid);
    const pod = this.#captured.get(uid);
    if (!pod) return;
    this.#captured.delete(uid);
    for (const addr of pod.entry.addrs) this.#maps.deleteLocal(addr);
    this.#forget(pod.netnsCookie);
    this.#options.path.detachPod(pod.netnsCookie);
    this.#policies.delete(uid, pod.id);
    this.#maps.writeProbes(pod.id, [], pod.entry.probePorts);
    for (const port of pod.entry.portModes.keys()) this.#maps.deletePortMode(pod.id, port);
    this.#policies.end(pod, true);
    this.#options.log.info({ pod: `${pod.entry.namespace}/${pod.entry.name}` }, 'pod released');
  }

  #forget(cookie: bigint): void {
    this.#maps.delete(cookie);
    this.#ids.release(cookie);
  }

  deletePolicy(uid: string): void {
    const pod = this.#captured.get(uid);
    if (pod) this.#policies.delete(uid, pod.id);
  }

  deletePortMode(uid: string, port: number): void {
    const pod = this.#captured.get(uid);
    if (pod) this.#maps.deletePortMode(pod.id, port);
  }

  deleteLocal(addr: string): void {
    this.#maps.deleteLocal(addr);
  }

  /** After the first plan of an agent that adopted maps: removes what the mesh no longer has. */
  prune(plan: KernelPlan): void {
    const { path } = this.#options;
    const cookies = new Set(this.captured().map(({ netnsCookie }) => netnsCookie));
    for (const cookie of this.#maps.cookies()) if (!cookies.has(cookie)) this.#forget(cookie);
    for (const cookie of this.#ids.cookies()) if (!cookies.has(cookie)) this.#ids.release(cookie);
    for (const cookie of path.attachedPods()) if (!cookies.has(cookie)) path.detachPod(cookie);
    this.#maps.keepLocals(plan.locals.keys());
    this.#maps.keepProbes(new Map(this.captured().map(({ id, entry }) => [id, entry.probePorts])));
  }
}
