/** The dynamic table of RFC 7541 as a ring: newest entry first by index, oldest out first. */

/** What an entry costs besides its bytes (RFC 7541, 4.1). */
export const ENTRY_OVERHEAD = 32;

export function entrySize(name: string, value: string): number {
  return name.length + value.length + ENTRY_OVERHEAD;
}

export class DynamicTable {
  #capacity: number;
  #size = 0;
  #names: string[] = [];
  #values: string[] = [];
  /** entries ever evicted and ever added */
  #first = 0;
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#next - this.#first;
  }

  get size(): number {
    return this.#size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Entries ever added: the newest has the number `added - 1`. */
  get added(): number {
    return this.#next;
  }

  /** Number of the oldest entry that is still there. */
  get oldest(): number {
    return this.#first;
  }

  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#evict();
  }

  /** `index` 0 is the newest. */
  name(index: number): string | undefined {
    return this.#names[this.#slot(index)];
  }

  value(index: number): string | undefined {
    return this.#values[this.#slot(index)];
  }

  #slot(index: number): number {
    return index >= this.length ? -1 : (this.#next - 1 - index) % this.#names.length;
  }

  /** An entry larger than the table empties it (RFC 7541, 4.4). */
  add(name: string, value: string): void {
    this.#size += entrySize(name, value);
    if (this.length === this.#names.length) this.#grow();
    const slot = this.#next++ % this.#names.length;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#capacity) {
      const slot = this.#first++ % this.#names.length;
      this.#size -= entrySize(this.#names[slot] ?? '', this.#values[slot] ?? '');
      this.#names[slot] = '';
      this.#values[slot] = '';
    }
  }

  /** The entries stand in order afterwards, at their number modulo the new length. */
  #grow(): void {
    const old = this.#names.length;
    const length = Math.max(8, old * 2);
    const names = new Array<string>(length).fill('');
    const values = new Array<string>(length).fill('');
    for (let number = this.#first; number < this.#next; number++) {
      names[number % length] = this.#names[number % old] ?? '';
      values[number % length] = this.#values[number % old] ?? '';
    }
    this.#names = names;
    this.#values = values;
  }
}
