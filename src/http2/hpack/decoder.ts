/** Header blocks to fields (RFC 7541), with limits that a peer cannot talk its way around. */
import { ConnectionError, ErrorCode } from '../error.ts';
import type { FieldList } from '../fields.ts';
import { DynamicTable, entrySize } from './dynamic-table.ts';
import { decodeHuffman, maxDecodedLength } from './huffman.ts';
import { STATIC_ENTRIES, STATIC_TABLE } from './static-table.ts';

const MAX_INTEGER = 0x0fff_ffff;
const MAX_RESIZES = 2;
const NOTHING = Buffer.alloc(0);

export interface DecoderOptions {
  /** what SETTINGS_HEADER_TABLE_SIZE announced */
  readonly maxTableSize: number;
  /** by the size of RFC 9113, 10.5.1: 32 for each field besides its bytes */
  readonly maxListSize: number;
  readonly maxFields: number;
}

export class HpackDecoder {
  readonly #options: DecoderOptions;
  readonly #table: DynamicTable;
  #bytes: Buffer = NOTHING;
  #at = 0;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#table = new DynamicTable(options.maxTableSize);
  }

  /**
   * The fields of one block; undefined when they are more than the limits allow. The table is right afterwards in both cases.
   *
   * @throws ConnectionError COMPRESSION_ERROR; the decoder must not be used again
   */
  decode(block: Buffer): FieldList | undefined {
    this.#bytes = block;
    this.#at = 0;
    const { maxListSize, maxFields } = this.#options;
    const fields: string[] = [];
    let size = 0;
    let count = 0;
    let resizes = 0;
    while (this.#at < block.length) {
      const first = block[this.#at] ?? 0;
      let name: string;
      let value: string;
      if (first & 0x80) {
        const index = this.#integer(0x7f);
        name = this.#name(index);
        value = this.#value(index);
      } else if ((first & 0xe0) === 0x20) {
        if (count > 0 || ++resizes > MAX_RESIZES)
          throw wrong('table size update in the wrong place');
        this.#resize(this.#integer(0x1f));
        continue;
      } else {
        const indexed = (first & 0x40) !== 0;
        const index = this.#integer(indexed ? 0x3f : 0x0f);
        name = index === 0 ? this.#text() : this.#name(index);
        value = this.#text();
        if (indexed) this.#table.add(name, value);
      }
      size += entrySize(name, value);
      count++;
      if (size <= maxListSize && count <= maxFields) fields.push(name, value);
    }
    this.#bytes = NOTHING;
    return size > maxListSize || count > maxFields ? undefined : fields;
  }

  #resize(size: number): void {
    if (size > this.#options.maxTableSize) throw wrong('table larger than announced');
    this.#table.resize(size);
  }

  #name(index: number): string {
    const entry = index <= STATIC_ENTRIES ? STATIC_TABLE[index]?.[0] : undefined;
    const name = entry ?? this.#table.name(index - STATIC_ENTRIES - 1);
    if (index === 0 || name === undefined) throw wrong(`no entry ${index}`);
    return name;
  }

  #value(index: number): string {
    if (index <= STATIC_ENTRIES) return STATIC_TABLE[index]?.[1] ?? '';
    return this.#table.value(index - STATIC_ENTRIES - 1) ?? '';
  }

  /** RFC 7541, 5.1; `prefix` is the mask of the first byte's part */
  #integer(prefix: number): number {
    const bytes = this.#bytes;
    let value = (bytes[this.#at++] ?? 0) & prefix;
    if (value < prefix) return value;
    for (let shift = 0; shift <= 28; shift += 7) {
      if (this.#at >= bytes.length) throw wrong('the block ends in an integer');
      const byte = bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (value > MAX_INTEGER) break;
      if (byte < 0x80) return value;
    }
    throw wrong('integer too large');
  }

  #text(): string {
    const bytes = this.#bytes;
    if (this.#at >= bytes.length) throw wrong('the block ends before a text');
    const huffman = ((bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const from = this.#at;
    const to = from + length;
    if (to > bytes.length) throw wrong('the block ends in a text');
    this.#at = to;
    if (!huffman) return bytes.toString('latin1', from, to);
    const decoded = Buffer.allocUnsafe(maxDecodedLength(length));
    const count = decodeHuffman(bytes, from, to, decoded);
    if (count < 0) throw wrong('Huffman code');
    return decoded.toString('latin1', 0, count);
  }
}

function wrong(detail: string): ConnectionError {
  return new ConnectionError(ErrorCode.COMPRESSION_ERROR, detail);
}
