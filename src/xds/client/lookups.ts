/**
 * On-demand Address: who waits for "<network>/<ip>", and when the wait is over.
 *
 * The answer is a resource or a removal with exactly that name; the store then has it, or there is none.
 */
import type { Accepted } from './decode-push.ts';

interface Waiter {
  readonly promise: Promise<boolean>;
  readonly resolve: (found: boolean) => void;
}

export class Lookups {
  readonly #waiting = new Map<string, Waiter>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether there is one; callers that ask for the same name share the wait. */
  wait(name: string): Promise<boolean> {
    let waiter = this.#waiting.get(name);
    if (waiter === undefined) {
      let resolve: (found: boolean) => void = () => {};
      const promise = new Promise<boolean>((settle) => {
        resolve = settle;
      });
      waiter = { promise, resolve };
      this.#waiting.set(name, waiter);
    }
    return waiter.promise;
  }

  /** Nobody is interested any more. */
  drop(name: string): void {
    this.#settle(name, false);
  }

  /** After the push is in the store. */
  answer({ upserts, removals, refused }: Accepted): void {
    if (this.#waiting.size === 0) return;
    for (const { name, aliases } of upserts) {
      this.#settle(name, true);
      for (const alias of aliases) this.#settle(alias, true);
    }
    for (const name of [...removals, ...refused.keys()]) this.#settle(name, false);
  }

  #settle(name: string, found: boolean): void {
    this.#waiting.get(name)?.resolve(found);
    this.#waiting.delete(name);
  }
}
