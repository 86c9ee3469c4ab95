/**
 * Stable numbers for names: the kernel compares 32-bit numbers, the mesh has names (SPIFFE ids, addresses of backends,
 * policies).
 *
 * A name keeps its number for as long as the table holds it, across restarts when the table is saved; a number that was
 * dropped is not given out again before all 2^32 have been used, so nothing that still carries it can be mistaken for
 * something new.  0 is never given out: in the kernel it means "none".
 */
import { SharedMap, type SharedMapEditor } from '../../model/shared-map.ts';

export interface NumberTable {
  readonly next: number;
  readonly byKey: SharedMap<number>;
  /** by the number as text */
  readonly byNumber: SharedMap<string>;
}

export interface NumberTableJson {
  readonly version: 1;
  readonly next: number;
  readonly numbers: Readonly<Record<string, number>>;
}

const MAX_NUMBER = 0xffffffff;

export function emptyNumberTable(): NumberTable {
  return { next: 1, byKey: SharedMap.empty(), byNumber: SharedMap.empty() };
}

export function numberOf(table: NumberTable, key: string): number | undefined {
  return table.byKey.get(key);
}

export function keyOf(table: NumberTable, number: number): string | undefined {
  return table.byNumber.get(String(number));
}

/** Gives every key that has none a number. */
export function assignNumbers(table: NumberTable, keys: Iterable<string>): NumberTable {
  const allocator = new NumberAllocator(table);
  for (const key of keys) allocator.number(key);
  return allocator.table();
}

/** Forgets the keys `keep` refuses; their numbers stay unused. */
export function pruneNumbers(
  table: NumberTable,
  keep: (key: string, number: number) => boolean,
): NumberTable {
  const byKey = table.byKey.edit();
  const byNumber = table.byNumber.edit();
  for (const [key, number] of table.byKey) {
    if (keep(key, number)) continue;
    byKey.delete(key);
    byNumber.delete(String(number));
  }
  const kept = byKey.done();
  return kept === table.byKey
    ? table
    : { next: table.next, byKey: kept, byNumber: byNumber.done() };
}

/** Assigns numbers one by one during one computation; the table it started from does not change. */
export class NumberAllocator {
  #table: NumberTable;
  readonly #byKey: SharedMapEditor<number>;
  readonly #byNumber: SharedMapEditor<string>;
  #next: number;

  constructor(base: NumberTable) {
    this.#table = base;
    this.#byKey = base.byKey.edit();
    this.#byNumber = base.byNumber.edit();
    this.#next = base.next;
  }

  number(key: string): number {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    while (this.#byNumber.get(String(this.#next)) !== undefined) this.#advance();
    const number = this.#next;
    this.#byKey.set(key, number);
    this.#byNumber.set(String(number), key);
    this.#advance();
    return number;
  }

  table(): NumberTable {
    const byKey = this.#byKey.done();
    if (byKey !== this.#table.byKey) {
      this.#table = { next: this.#next, byKey, byNumber: this.#byNumber.done() };
    }
    return this.#table;
  }

  #advance(): void {
    this.#next = this.#next >= MAX_NUMBER ? 1 : this.#next + 1;
  }
}

export function numberTableToJson(table: NumberTable): NumberTableJson {
  return { version: 1, next: table.next, numbers: Object.fromEntries(table.byKey) };
}

/** What `next` holds more than `previous`; undefined when anything was removed or renumbered. */
export function numberTableAdded(
  previous: NumberTable,
  next: NumberTable,
): NumberTableJson | undefined {
  const numbers: [string, number][] = [];
  for (const key of next.byKey.changedSince(previous.byKey)) {
    const number = next.byKey.get(key);
    if (number === undefined || previous.byKey.has(key)) return undefined;
    numbers.push([key, number]);
  }
  return { version: 1, next: next.next, numbers: Object.fromEntries(numbers) };
}

/** undefined when it is not a table this version wrote whole: no number may ever stand for two names. */
export function numberTableFromJson(json: unknown): NumberTable | undefined {
  return addToNumberTable(emptyNumberTable(), json);
}

/** The same for what numberTableAdded gave. */
export function addToNumberTable(table: NumberTable, json: unknown): NumberTable | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { version, next, numbers } = json as Partial<Record<keyof NumberTableJson, unknown>>;
  if (version !== 1 || !isNumber(next) || typeof numbers !== 'object' || numbers === null) {
    return undefined;
  }
  const byKey = table.byKey.edit();
  const byNumber = table.byNumber.edit();
  for (const [key, number] of Object.entries(numbers)) {
    if (!isNumber(number) || byNumber.get(String(number)) !== undefined) return undefined;
    if (byKey.get(key) !== undefined) return undefined;
    byKey.set(key, number);
    byNumber.set(String(number), key);
  }
  return { next, byKey: byKey.done(), byNumber: byNumber.done() };
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_NUMBER;
}
