/**
 * When to push: the first change after a quiet time at once, then changes together when none has come for some
 * milliseconds, but none later than a bound.
 */
export interface DebounceOptions {
  /** changes are put together until none has come for so long */
  readonly quietMs: number;
  /** no change waits for longer */
  readonly maxMs: number;
  readonly run: () => void;
  /** milliseconds of a monotonic clock */
  readonly now?: () => number;
}

export class Debounce {
  readonly #options: DebounceOptions;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #firstAt = 0;
  #lastAt = -Infinity;
  #ranAt = -Infinity;
  #closed = false;
  /** times anything waited, and times nothing had to */
  readonly figures = { together: 0, atOnce: 0 };

  constructor(options: DebounceOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Something has changed. */
  poke(): void {
    if (this.#closed) return;
    const now = this.#now();
    const idle = now - Math.max(this.#lastAt, this.#ranAt) >= this.#options.quietMs;
    this.#lastAt = now;
    if (this.#timer !== undefined || this.#immediate !== undefined) return;
    this.#firstAt = now;
    if (idle) {
      this.figures.atOnce++;
      // What else this turn of the event loop brings is of the same change.
      this.#immediate = setImmediate(() => this.#run());
      return;
    }
    this.figures.together++;
    this.#wait(this.#options.quietMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#check(), ms);
  }

  #check(): void {
    const now = this.#now();
    const { quietMs, maxMs } = this.#options;
    const left = Math.min(this.#lastAt + quietMs, this.#firstAt + maxMs) - now;
    // timers of less than a millisecond are of one
    if (left >= 1) this.#wait(left);
    else this.#run();
  }

  #run(): void {
    this.#timer = undefined;
    this.#immediate = undefined;
    this.#ranAt = this.#now();
    this.#options.run();
  }
}
