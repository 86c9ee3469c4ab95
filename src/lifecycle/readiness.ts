/**
 * Ready is the absence of named blockers: each is logged with the time it took as it clears, and those that are left say
 * why the process is not ready.  Once ready, always ready: draining is told elsewhere.
 */
import type { Log } from '../log.ts';

export interface ReadinessOptions {
  readonly log: Pick<Log, 'info'>;
  readonly blockers: readonly string[];
  /** milliseconds of a monotonic clock */
  readonly now?: () => number;
}

export class Readiness {
  readonly #log: Pick<Log, 'info'>;
  readonly #now: () => number;
  readonly #startMs: number;
  readonly #blockers: Set<string>;
  readonly #whenReady: Promise<void>;
  #announce: () => void = () => {};

  constructor({ log, blockers, now = () => performance.now() }: ReadinessOptions) {
    this.#log = log;
    this.#now = now;
    this.#startMs = now();
    this.#blockers = new Set(blockers);
    this.#whenReady = new Promise((resolve) => {
      this.#announce = resolve;
    });
    if (this.ready) this.#announce();
  }

  get ready(): boolean {
    return this.#blockers.size === 0;
  }

  /** In the order in which they were named. */
  get blockers(): readonly string[] {
    return [...this.#blockers];
  }

  /** Resolves when the last blocker clears. */
  whenReady(): Promise<void> {
    return this.#whenReady;
  }

  /** A second clear of one name, or of a name that never blocked, does nothing. */
  clear(name: string): void {
    if (!this.#blockers.delete(name)) return;
    const afterMs = Math.round(this.#now() - this.#startMs);
    this.#log.info({ blocker: name, afterMs, left: this.blockers }, 'readiness blocker cleared');
    if (!this.ready) return;
    this.#log.info({ afterMs }, 'ready');
    this.#announce();
  }
}
