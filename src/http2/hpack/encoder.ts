/**
 * Fields to header blocks (RFC 7541): static and dynamic table, no Huffman code. On a pooled connection the same fields come
 * again and again and cost a byte each; a code for the first time would not pay.
 */
import { DEFAULT_HEADER_TABLE_SIZE } from '../frame.ts';
import type { FieldList } from '../fields.ts';
import { DynamicTable, entrySize } from './dynamic-table.ts';
import { STATIC_ENTRIES, STATIC_TABLE } from './static-table.ts';

/** Never in a table, not even in that of an intermediary (RFC 7541, 7.1.3). */
const SENSITIVE = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie']);
/** Other at every request: in the table they would only drive out what repeats. */
const CHANGING = new Set([
  ':path',
  'age',
  'content-length',
  'date',
  'etag',
  'forwarded',
  'last-modified',
  'traceparent',
  'tracestate',
  'x-b3-spanid',
  'x-b3-traceid',
  'x-request-id',
]);

const STATIC_FIELDS = new Map(
  STATIC_TABLE.map(([name, value], index) => [`${name}\0${value}`, index]).slice(1) as [
    string,
    number,
  ][],
);
const STATIC_NAMES = new Map(
  [...STATIC_TABLE.entries()]
    .slice(1)
    .reverse()
    .map(([index, [name]]) => [name, index]),
);

const Prefix = { INDEXED: 0x80, ADD: 0x40, RESIZE: 0x20, NEVER: 0x10, LITERAL: 0x00 } as const;

export class HpackEncoder {
  readonly #table = new DynamicTable(DEFAULT_HEADER_TABLE_SIZE);
  /** numbers of the entries in the table, by name and value */
  readonly #entries = new Map<string, number>();
  #out: Buffer = Buffer.alloc(0);
  #at = 0;
  /** sizes to announce at the next block: the smallest since the last one, and the current */
  #resizes: number[] = [];

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; more than the default is not used. */
  setMaxTableSize(max: number): void {
    const size = Math.min(max, DEFAULT_HEADER_TABLE_SIZE);
    if (size === this.#table.capacity) return;
    const smallest = Math.min(size, ...this.#resizes);
    this.#resizes = smallest < size ? [smallest, size] : [size];
    this.#table.resize(size);
    this.#forget();
  }

  /** The bytes are the caller's. */
  encode(fields: FieldList): Buffer {
    let bytes = 16;
    for (const text of fields) bytes += text.length + 6;
    this.#out = Buffer.allocUnsafe(bytes);
    this.#at = 0;
    for (const size of this.#resizes) this.#integer(Prefix.RESIZE, 0x1f, size);
    this.#resizes = [];
    for (let index = 0; index < fields.length; index += 2)
      this.#field(fields[index] ?? '', fields[index + 1] ?? '');
    return this.#out.subarray(0, this.#at);
  }

  #field(name: string, value: string): void {
    if (SENSITIVE.has(name)) {
      this.#literal(Prefix.NEVER, 0x0f, name, value);
      return;
    }
    const key = `${name}\0${value}`;
    const found = STATIC_FIELDS.get(key) ?? this.#dynamicIndex(key);
    if (found !== undefined) {
      this.#integer(Prefix.INDEXED, 0x7f, found);
    } else if (CHANGING.has(name) || entrySize(name, value) > this.#table.capacity / 2) {
      this.#literal(Prefix.LITERAL, 0x0f, name, value);
    } else {
      this.#literal(Prefix.ADD, 0x3f, name, value);
      this.#entries.set(key, this.#table.added);
      this.#table.add(name, value);
      this.#forget();
    }
  }

  #dynamicIndex(key: string): number | undefined {
    const number = this.#entries.get(key);
    return number === undefined ? undefined : STATIC_ENTRIES + this.#table.added - number;
  }

  /** Entries were added in the order of the map, and leave the table in the same order. */
  #forget(): void {
    for (const [key, number] of this.#entries) {
      if (number >= this.#table.oldest) return;
      this.#entries.delete(key);
    }
  }

  #literal(form: number, prefix: number, name: string, value: string): void {
    const index = STATIC_NAMES.get(name) ?? 0;
    this.#integer(form, prefix, index);
    if (index === 0) this.#text(name);
    this.#text(value);
  }

  #integer(form: number, prefix: number, value: number): void {
    const out = this.#out;
    if (value < prefix) {
      out[this.#at++] = form | value;
      return;
    }
    out[this.#at++] = form | prefix;
    let rest = value - prefix;
    for (; rest > 0x7f; rest >>>= 7) out[this.#at++] = (rest & 0x7f) | 0x80;
    out[this.#at++] = rest;
  }

  #text(text: string): void {
    this.#integer(0, 0x7f, text.length);
    this.#at += this.#out.write(text, this.#at, 'latin1');
  }
}
