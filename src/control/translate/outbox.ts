/**
 * The messages last sent, by name: only what really differs is sent again.
 */
import { equal } from '../../model/equal.ts';
import type { Delta } from '../../model/messages.ts';

export class Outbox<T> {
  readonly #sent = new Map<string, T>();
  readonly #upserts = new Map<string, T>();
  readonly #removals = new Set<string>();

  put(name: string, message: T): void {
    this.#removals.delete(name);
    if (equal(this.#sent.get(name), message)) this.#upserts.delete(name);
    else this.#upserts.set(name, message);
  }

  remove(name: string): void {
    this.#upserts.delete(name);
    if (this.#sent.has(name)) this.#removals.add(name);
  }

  /** What has changed since the last call. */
  flush(): Delta<T> {
    const delta = { upserts: [...this.#upserts.values()], removals: [...this.#removals] };
    for (const [name, message] of this.#upserts) this.#sent.set(name, message);
    for (const name of this.#removals) this.#sent.delete(name);
    this.#upserts.clear();
    this.#removals.clear();
    return delta;
  }
}
