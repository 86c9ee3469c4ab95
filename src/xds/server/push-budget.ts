/**
 * Bytes of large responses that are on their way: when there are too many, further ones wait for their turn, so that a
 * thousand agents that come at once do not make a thousand copies of the mesh.
 */
export interface BudgetUser {
  /** There may be room now. */
  resume(): void;
}

/** responses below are not counted */
const SMALL_BYTES = 64 * 1024;

export class PushBudget {
  readonly #maxBytes: number;
  readonly #waiting = new Set<BudgetUser>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  waits(user: BudgetUser): boolean {
    return this.#waiting.has(user);
  }

  /** The bytes to give back later; undefined: `user` will be called. One response is always let through. */
  take(bytes: number, user: BudgetUser): number | undefined {
    if (bytes < SMALL_BYTES) return 0;
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) {
      this.#waiting.add(user);
      return undefined;
    }
    this.#bytes += bytes;
    this.#waiting.delete(user);
    return bytes;
  }

  give(bytes: number): void {
    if (bytes === 0) return;
    this.#bytes -= bytes;
    // Who still finds no room comes back to the end of the queue.
    for (const user of [...this.#waiting]) {
      if (this.#bytes > 0 && this.#bytes >= this.#maxBytes) return;
      this.#waiting.delete(user);
      user.resume();
    }
  }

  leave(user: BudgetUser): void {
    this.#waiting.delete(user);
  }
}
