/**
 * Growing pauses between retries.  Each is a random part of the current step, so that a node's or a cluster's agents do
 * not come back in one wave: its upper half ("equal" jitter, no pause is next to nothing), or any part of it from the
 * first step on ("full" jitter, the widest spread).
 */

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor?: number;
  readonly jitter?: 'equal' | 'full';
  /** from [0, 1) */
  readonly random?: () => number;
}

export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #factor: number;
  readonly #jitter: 'equal' | 'full';
  readonly #random: () => number;
  #stepMs: number;

  constructor(options: BackoffOptions) {
    const { firstMs, maxMs, factor = 2, jitter = 'equal', random = Math.random } = options;
    if (!(firstMs > 0) || !(maxMs >= firstMs) || !(factor >= 1)) {
      throw new RangeError(`backoff from ${firstMs} to ${maxMs} ms by ${factor} cannot grow`);
    }
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#factor = factor;
    this.#jitter = jitter;
    this.#random = random;
    this.#stepMs = firstMs;
  }

  /**
   * The pause before the next try: half of the current step to all of it, or the first step to all of it.  `limitMs` is a
   * lower limit than maxMs for now, and holds for the growth too.
   */
  nextMs(limitMs = this.#maxMs): number {
    const maxMs = Math.min(this.#maxMs, limitMs);
    const stepMs = Math.min(maxMs, this.#stepMs);
    this.#stepMs = Math.min(maxMs, stepMs * this.#factor);
    const leastMs = this.#jitter === 'equal' ? stepMs / 2 : this.#firstMs;
    return leastMs + (stepMs - leastMs) * this.#random();
  }

  /** After a success. */
  reset(): void {
    this.#stepMs = this.#firstMs;
  }
}
