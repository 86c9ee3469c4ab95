/**
 * Growing pauses between retries.  Each is a random part of the current step, so that a node's or a cluster's agents do
 * not come back in one wave: its upper half ("equal" jitter, no pause is next to nothing), any part of it from the
 * first step on ("full" jitter, the widest spread), or the step give or take a fifth ("fifth", where the step itself is known
 * to others: ztunnel's certificate retries).
 */

export type Jitter = 'equal' | 'full' | 'fifth';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor?: number;
  readonly jitter?: Jitter;
  /** from [0, 1) */
  readonly random?: () => number;
}

export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #factor: number;
  readonly #jitter: Jitter;
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

  /** The pause before the next try, never above `maxMs`.  `limitMs` is a lower limit for now, and holds for the growth too. */
  nextMs(limitMs = this.#maxMs): number {
    const maxMs = Math.min(this.#maxMs, limitMs);
    const stepMs = Math.min(maxMs, this.#stepMs);
    this.#stepMs = Math.min(maxMs, stepMs * this.#factor);
    if (this.#jitter === 'fifth') {
      return Math.min(maxMs, stepMs * (0.8 + 0.4 * this.#random()));
    }
    const leastMs = this.#jitter === 'equal' ? stepMs / 2 : this.#firstMs;
    return leastMs + (stepMs - leastMs) * this.#random();
  }

  /** After a success. */
  reset(): void {
    this.#stepMs = this.#firstMs;
  }
}
