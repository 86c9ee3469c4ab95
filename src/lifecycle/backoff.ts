/**
 * Growing pauses between retries.  Each is a random part of the current step ("equal jitter": its upper half), so that
 * a node's or a cluster's agents do not come back in one wave, and no pause is next to nothing.
 */

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor?: number;
  /** from [0, 1) */
  readonly random?: () => number;
}

export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #factor: number;
  readonly #random: () => number;
  #stepMs: number;

  constructor({ firstMs, maxMs, factor = 2, random = Math.random }: BackoffOptions) {
    if (!(firstMs > 0) || !(maxMs >= firstMs) || !(factor >= 1)) {
      throw new RangeError(`backoff from ${firstMs} to ${maxMs} ms by ${factor} cannot grow`);
    }
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#factor = factor;
    this.#random = random;
    this.#stepMs = firstMs;
  }

  /** The pause before the next try: half of the current step to all of it. */
  nextMs(): number {
    const stepMs = this.#stepMs;
    this.#stepMs = Math.min(this.#maxMs, stepMs * this.#factor);
    return (stepMs / 2) * (1 + this.#random());
  }

  /** After a success. */
  reset(): void {
    this.#stepMs = this.#firstMs;
  }
}
