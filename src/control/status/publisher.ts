/**
 * Hands control's findings to the status writer, some time after the last change: a status is for people, and a roll-out
 * changes the same resource many times.
 */
import type { Finding } from '../../model/finding.ts';

/** What the writer offers. */
export interface StatusSink {
  writeStatus(resourceId: string, findings: readonly Finding[] | undefined): void;
  touch(resourceId: string): void;
}

const QUIET_MS = 500;

export class StatusPublisher {
  readonly #sink: StatusSink;
  readonly #findings: () => ReadonlyMap<string, readonly Finding[]>;
  readonly #published = new Set<string>();
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** `findings`: of every origin, as control has them now */
  constructor(sink: StatusSink, findings: () => ReadonlyMap<string, readonly Finding[]>) {
    this.#sink = sink;
    this.#findings = findings;
  }

  /** To be called with the origins of every change. */
  changed(origins: Iterable<string>): void {
    for (const origin of origins) this.#changed.add(origin);
    this.#timer ??= setTimeout(() => this.#publish(), QUIET_MS);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** All of them: a change of one resource may mend another. */
  #publish(): void {
    this.#timer = undefined;
    const all = this.#findings();
    for (const [origin, findings] of all) {
      this.#sink.writeStatus(origin, findings);
      this.#published.add(origin);
    }
    for (const origin of this.#published) {
      if (all.has(origin)) continue;
      this.#sink.writeStatus(origin, undefined);
      this.#published.delete(origin);
    }
    for (const origin of this.#changed) this.#sink.touch(origin);
    this.#changed.clear();
  }
}
