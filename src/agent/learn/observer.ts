/**
 * Learns who may read spliced bytes: watches the executables of enrolled pods while their connections are plain, then
 * writes TRUSTED or DENIED in the `trust` map.  Owns every write to that map from user space.
 */
import type { Log } from '../../log.ts';
import { Attachment } from './attachment.ts';
import type { ExecutableInspector } from './executable.ts';
import { attribute } from './attribute.ts';
import type { ObservationSource } from './observation.ts';
import type { Processes } from './processes.ts';
import type { ObserverOptions, ObserverStatus, StalledReader } from './observer-options.ts';
import { Retirement } from './retirement.ts';
import { Subject } from './subject.ts';
import { kernelReason, keyText, TrustMap } from './trust-map.ts';
import type { NamedTrustEntry, TrustEntry } from './trust-map.ts';
import { decideTrust, DEFAULT_TRUST_LIMITS } from './trust-policy.ts';
import type { DenyReason, TrustDecision, TrustLimits } from './trust-policy.ts';
import { TrustMemory } from './trust-memory.ts';
import type { LearnPod } from './learn-pod.ts';
import { TrustState } from '../../kernel/abi/layout.gen.ts';
import type { TrustKey } from '../../kernel/abi/layout.gen.ts';

export type { ObserverOptions, ObserverStatus, StalledReader } from './observer-options.ts';

const ATTACHED_TICK_MS = 250;
const LEARNING_TICK_MS = 1_000;
/** for what the kernel marks by itself (socket options) and lost events */
const IDLE_TICK_MS = 5_000;
const INSPECT_AGAIN_MS = 1_000;

export class Observer {
  readonly #trust: TrustMap;
  readonly #observation: ObservationSource;
  readonly #attachment: Attachment;
  readonly #inspector: ExecutableInspector;
  readonly #processes: Processes;
  readonly #memory: TrustMemory;
  readonly #retirement: Retirement;
  readonly #pods: () => Iterable<LearnPod>;
  readonly #onInterpreter: () => void;
  readonly #log: Log;
  readonly #limits: TrustLimits;
  readonly #now: () => number;
  readonly #subjects = new Map<string, Subject>();
  readonly #denied: Partial<Record<DenyReason, number>> = {};
  #trusted = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #running = false;

  constructor(options: ObserverOptions) {
    this.#trust = new TrustMap(options.trust);
    this.#observation = options.observation;
    this.#inspector = options.inspector;
    this.#processes = options.processes;
    this.#memory = new TrustMemory({ store: options.store, pods: options.pods });
    this.#retirement = new Retirement({ processes: options.processes });
    this.#pods = options.pods;
    this.#onInterpreter = options.onInterpreter;
    this.#log = options.log;
    this.#limits = options.limits ?? DEFAULT_TRUST_LIMITS;
    this.#now = options.now ?? (() => performance.now());
    this.#attachment = new Attachment({
      observation: options.observation,
      pods: options.pods,
      now: this.#now,
    });
  }

  /** Continues with the entries an earlier agent left. */
  start(): void {
    this.#running = true;
    this.#schedule(0);
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#attachment.release();
    this.#memory.flush();
  }

  status(): ObserverStatus {
    return {
      attached: this.#attachment.attached,
      learning: this.#subjects.size,
      trusted: this.#trusted,
      denied: { ...this.#denied },
    };
  }

  /** Every executable the kernel has met in the enrolled pods, named as far as it is known. */
  listing(): readonly NamedTrustEntry[] {
    const entries = [...this.#trust.entries().values()];
    return entries.map((entry) => ({
      ...entry,
      names: { ...this.#memory.names(entry.key), argv: this.#memory.argv(entry.key) },
    }));
  }

  /** struct trust_event: an executable nobody has looked at; its process may be gone in a moment, so it is looked at now. */
  onTrustEvent(event: { readonly key: TrustKey; readonly tgid: number }): void {
    const { key, tgid } = event;
    if (!this.#running) return;
    const known = this.#subjects.get(keyText(key));
    if (known !== undefined) return this.#inspectUnknown(known, [tgid]);
    this.#guard(() => {
      this.#learn(new Subject({ key, tgid, nowMs: this.#now() }), new Map());
      this.#attachment.attach(this.#subjects);
    });
    this.#schedule(ATTACHED_TICK_MS);
  }

  /**
   * A connection of this reader was reset because it could not see its data.  Both are denied: the program that reads,
   * and the one the kernel goes by (it differs when a descriptor was inherited).
   */
  async denyStalled(reader: StalledReader): Promise<void> {
    try {
      await this.#denyStalled(reader);
    } catch (error) {
      this.#log.error({ err: error }, 'a stalled reader is not denied');
    }
  }

  async #denyStalled({ tgid, trust, workload }: StalledReader): Promise<void> {
    const key = tgid === undefined ? undefined : this.#processes.trustKey(tgid, workload);
    const inspection = key && tgid ? this.#inspector.inspect(tgid, key) : undefined;
    if (trust.inode !== 0n) this.#deny(trust, 'stalled-reader');
    if (key === undefined) return;
    if (keyText(key) !== keyText(trust)) this.#deny(key, 'stalled-reader');
    const result = await inspection;
    if (result?.ok !== true) return;
    this.#memory.know(key, result);
    this.#memory.remember(key, { state: 'denied', reason: 'stalled-reader' });
  }

  /** One round; public for tests. */
  tick(): void {
    const entries = this.#trust.entries();
    this.#syncSubjects(entries);
    if (this.#subjects.size > 0) this.#observe(entries);
    for (const entry of entries.values()) {
      const reason = kernelReason(entry);
      if (reason !== undefined) this.#deny(entry.key, reason);
    }
    for (const subject of this.#subjects.values()) this.#judge(subject);
    for (const { key } of this.#retirement.ended(this.#subjects.values(), this.#now())) {
      this.#subjects.delete(keyText(key));
      this.#trust.delete(key);
    }
    this.#attachment.attachOrDetach(this.#subjects);
  }

  /** Events only bring the next round nearer: a stream of them must not hold it up. */
  #schedule(delayMs: number): void {
    const dueMs = this.#now() + delayMs;
    if (this.#timer !== undefined && this.#dueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => this.#round(), delayMs).unref();
  }

  #round(): void {
    this.#timer = undefined;
    this.#guard(() => this.tick());
    if (!this.#running) return;
    const idle = this.#subjects.size > 0 ? LEARNING_TICK_MS : IDLE_TICK_MS;
    this.#schedule(this.#attachment.attached ? ATTACHED_TICK_MS : idle);
  }

  /** The kernel's refusals end a round, never the agent: what is not learnt stays plain. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#log.error({ err: error }, 'learning failed for now');
    }
  }

  #syncSubjects(entries: ReadonlyMap<string, TrustEntry>): void {
    for (const text of this.#subjects.keys()) {
      if (!entries.has(text)) this.#subjects.delete(text);
    }
    this.#memory.retain(entries);
    const older = [...entries].filter(
      ([text, { trust, flags }]) =>
        trust.state === TrustState.OBSERVING && !flags.interpreter && !this.#subjects.has(text),
    );
    if (older.length === 0) return;
    const live = this.#attachment.liveByKey();
    for (const [text, { key, trust }] of older) {
      const { tgid, quiet, connections } = trust;
      const nowMs = this.#now();
      const subject = new Subject({ key, tgid, nowMs, closedQuiet: quiet, connections });
      this.#learn(subject, live.get(text) ?? new Map());
    }
  }

  #learn(subject: Subject, live: ReadonlyMap<bigint, bigint>): void {
    this.#subjects.set(keyText(subject.key), subject);
    if (this.#attachment.attached) subject.attached(this.#now(), live);
    this.#inspectUnknown(subject, [subject.tgid]);
  }

  #inspectUnknown(subject: Subject, processes: readonly number[]): void {
    if (subject.executable !== undefined || subject.inspecting) return;
    subject.inspecting = true;
    subject.inspectedMs = this.#now();
    this.#inspectFirst(subject, processes)
      .catch((error: unknown) => this.#log.error({ err: error }, 'inspection failed'))
      .finally(() => (subject.inspecting = false));
  }

  async #inspectFirst(subject: Subject, processes: readonly number[]): Promise<void> {
    for (const tgid of processes) {
      const inspection = await this.#inspector.inspect(tgid, subject.key);
      if (!inspection.ok) {
        this.#log.debug({ reason: inspection.error }, 'executable not readable yet');
        continue;
      }
      subject.executable = inspection.executable;
      this.#memory.know(subject.key, inspection);
      this.#trust.markRead(subject.key);
      if (this.#running) this.#recallOrJudge(subject);
      return;
    }
  }

  #recallOrJudge(subject: Subject): void {
    const remembered = this.#memory.recall(subject.key);
    if (remembered !== undefined) this.#apply(subject, remembered);
    else this.#judge(subject);
  }

  #observe(entries: ReadonlyMap<string, TrustEntry>): void {
    const { attached } = this.#attachment;
    const live = attached ? this.#attachment.liveByKey() : new Map<string, never>();
    const nowMs = this.#now();
    for (const [text, subject] of this.#subjects) {
      const entry = entries.get(text);
      if (entry === undefined) continue;
      subject.see({
        closedQuiet: entry.trust.quiet,
        connections: entry.trust.connections,
        live: live.get(text) ?? new Map(),
        nowMs,
      });
      const stale = nowMs - subject.inspectedMs > INSPECT_AGAIN_MS;
      if (stale && subject.movedMs === nowMs && subject.executable === undefined) {
        this.#inspectUnknown(subject, this.#processes.running(subject.key));
      }
    }
    if (attached) this.#noteBehaviours(entries);
  }

  #noteBehaviours(entries: ReadonlyMap<string, TrustEntry>): void {
    for (const { entry, behaviours } of attribute(this.#observation, this.#pods(), entries)) {
      const subject = this.#subjects.get(keyText(entry.key));
      for (const name of behaviours) subject?.behaviours.add(name);
      const [first] = behaviours;
      const trusted = entry.trust.state === TrustState.TRUSTED;
      if (first !== undefined && trusted) this.#deny(entry.key, first);
    }
  }

  #judge(subject: Subject): void {
    if (!this.#subjects.has(keyText(subject.key))) return;
    const decision = decideTrust(subject.evidence(), this.#limits);
    // a ring made before the observer was attached has left its descriptor
    const ring = decision.state === 'trusted' && this.#processes.hasIoUring(subject.key);
    this.#apply(subject, ring ? { state: 'denied', reason: 'io-uring' } : decision);
  }

  #apply(subject: Subject, decision: TrustDecision): void {
    const { key } = subject;
    if (decision.state === 'observing') return;
    this.#subjects.delete(keyText(key));
    if (decision.state === 'denied') {
      this.#deny(key, decision.reason);
    } else if (decision.state === 'interpreter') {
      this.#trust.markInterpreter(key);
      this.#onInterpreter();
    } else {
      this.#trust.set(key, decision);
      this.#trusted++;
      this.#memory.remember(key, decision);
      this.#log.info({ ...this.#memory.names(key), ...subject.summary() }, 'executable trusted');
    }
  }

  #deny(key: TrustKey, reason: DenyReason): void {
    this.#subjects.delete(keyText(key));
    this.#trust.set(key, { state: 'denied', reason });
    this.#denied[reason] = (this.#denied[reason] ?? 0) + 1;
    this.#memory.remember(key, { state: 'denied', reason });
    this.#log.info({ ...this.#memory.names(key), reason }, 'executable will not be spliced');
  }
}
