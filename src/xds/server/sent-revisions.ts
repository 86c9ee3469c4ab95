/**
 * Which revision of each resource a client has: four bytes per resource, so that a thousand streams of a hundred thousand
 * resources fit into memory.
 */
import type { Entry } from './entry.ts';
import type { TypeTable } from './resource-table.ts';

/** some version of it, not the newest */
export const HELD = 1;
const LEAST_SLOTS = 64;

export class SentRevisions {
  readonly #type: TypeTable;
  #revisions = new Uint32Array(0);
  /** resources the client has */
  count = 0;

  constructor(type: TypeTable) {
    this.#type = type;
  }

  /** 0: it has none */
  of({ slot }: Entry): number {
    return slot < this.#revisions.length ? this.#revisions[slot]! : 0;
  }

  set(entry: Entry, revision: number): void {
    const { slot } = entry;
    if (slot >= this.#revisions.length) {
      const grown = new Uint32Array(Math.max(LEAST_SLOTS, this.#type.slots));
      grown.set(this.#revisions);
      this.#revisions = grown;
    }
    if (this.#revisions[slot] === 0) {
      entry.holders++;
      this.count++;
    }
    this.#revisions[slot] = revision;
  }

  forget(entry: Entry): void {
    if (entry.freed || this.of(entry) === 0) return;
    this.#revisions[entry.slot] = 0;
    this.count--;
    this.#type.release(entry);
  }

  forgetAll(): void {
    for (const entry of this.#type.entries()) this.forget(entry);
  }
}
