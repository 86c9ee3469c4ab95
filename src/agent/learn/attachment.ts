/**
 * When the observer's program is attached and which namespaces they watch: those of pods with something to learn.
 * An executable that shows no traffic for a minute is left alone (its connections stay plain) until it moves again, so
 * that a quiet program does not tax every system call of the node.
 */
import type { LearnPod } from './learn-pod.ts';
import type { ObservationSource } from './observation.ts';
import type { Subject } from './subject.ts';
import { keyText } from './trust-map.ts';

/** By keyText(): bytes received by each live connection, by cookie. */
export type LiveByKey = ReadonlyMap<string, ReadonlyMap<bigint, bigint>>;

type Subjects = ReadonlyMap<string, Subject>;

const IDLE_DETACH_MS = 60_000;
const NONE: ReadonlyMap<bigint, bigint> = new Map();

export class Attachment {
  readonly #observation: ObservationSource;
  readonly #pods: () => Iterable<LearnPod>;
  readonly #now: () => number;

  constructor(options: {
    observation: ObservationSource;
    pods: () => Iterable<LearnPod>;
    now: () => number;
  }) {
    this.#observation = options.observation;
    this.#pods = options.pods;
    this.#now = options.now;
  }

  get attached(): boolean {
    return this.#observation.attached;
  }

  /** False: there is nothing to watch. */
  attach(subjects: Subjects): boolean {
    const nowMs = this.#now();
    const workloads = new Set<number>();
    for (const { key, movedMs } of subjects.values()) {
      if (nowMs - movedMs < IDLE_DETACH_MS) workloads.add(key.workload);
    }
    const pods = [...this.#pods()].filter((pod) => pod.learn && workloads.has(pod.workload));
    this.#observation.watch(new Set(pods.map((pod) => pod.netns)));
    if (pods.length === 0) return false;
    if (this.attached) return true;
    this.#observation.attach();
    const live = this.liveByKey();
    for (const [text, subject] of subjects) subject.attached(nowMs, live.get(text) ?? NONE);
    return true;
  }

  attachOrDetach(subjects: Subjects): void {
    if (this.attach(subjects) || !this.attached) return;
    this.#observation.detach();
    for (const subject of subjects.values()) subject.detached();
  }

  release(): void {
    this.#observation.watch(new Set());
    this.#observation.detach();
  }

  liveByKey(): LiveByKey {
    const byKey = new Map<string, Map<bigint, bigint>>();
    for (const { trust, cookie, received } of this.#observation.liveConnections()) {
      const text = keyText(trust);
      const live = byKey.get(text) ?? new Map<bigint, bigint>();
      byKey.set(text, live.set(cookie, received));
    }
    return byKey;
  }
}
