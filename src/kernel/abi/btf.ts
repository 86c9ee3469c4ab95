/**
 * Reader of BTF (the kernel's Documentation/bpf/btf.rst): the types of a BPF object, without root or native code.
 *
 * It decodes one whole blob with its own string table (no split BTF) and is total over its input: a damaged blob ends in
 * a BtfError that names the type, never in a loop or a read beyond the end.  Type 0 is void.
 */
import { elfSection } from './elf-section.ts';

export class BtfError extends Error {
  override readonly name = 'BtfError';
}

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0: no bitfield */
  readonly bitfieldBits: number;
}

export interface BtfEnumValue {
  readonly name: string;
  readonly value: bigint;
}

export interface BtfInt {
  readonly kind: 'int';
  readonly size: number;
  readonly signed: boolean;
  readonly bool: boolean;
}

export interface BtfComposite {
  readonly kind: 'struct' | 'union';
  readonly name: string;
  readonly size: number;
  readonly members: readonly BtfMember[];
}

export interface BtfEnum {
  readonly kind: 'enum';
  readonly name: string;
  readonly size: number;
  readonly values: readonly BtfEnumValue[];
}

/** typedef, const, volatile, restrict and type tags: other names for the target */
export interface BtfAlias {
  readonly kind: 'alias';
  readonly name: string;
  readonly target: number;
}

export type BtfType =
  | { readonly kind: 'void' }
  | BtfInt
  | BtfComposite
  | BtfEnum
  | BtfAlias
  | { readonly kind: 'ptr'; readonly target: number }
  | { readonly kind: 'array'; readonly element: number; readonly count: number }
  | { readonly kind: 'var'; readonly name: string; readonly target: number }
  | { readonly kind: 'datasec'; readonly name: string; readonly variables: readonly number[] }
  /** forward declarations, functions, floats, declaration tags */
  | { readonly kind: 'other'; readonly name: string };

const MAGIC = 0xeb9f;
const MAGIC_SWAPPED = 0x9feb;
const VERSION = 1;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
/** the kernel's own limit for names is 512 */
const MAX_NAME = 512;
/** aliases and arrays of a well-formed object nest a handful deep */
const MAX_DEPTH = 32;

const INT_SIGNED = 1;
const INT_BOOL = 4;

/** Bytes of each kind's own data; `each` is repeated vlen times. */
const EXTRA: { readonly [kind: number]: { readonly fixed: number; readonly each: number } } = {
  1: { fixed: 4, each: 0 }, // int
  2: { fixed: 0, each: 0 }, // ptr
  3: { fixed: 12, each: 0 }, // array
  4: { fixed: 0, each: 12 }, // struct
  5: { fixed: 0, each: 12 }, // union
  6: { fixed: 0, each: 8 }, // enum
  7: { fixed: 0, each: 0 }, // fwd
  8: { fixed: 0, each: 0 }, // typedef
  9: { fixed: 0, each: 0 }, // volatile
  10: { fixed: 0, each: 0 }, // const
  11: { fixed: 0, each: 0 }, // restrict
  12: { fixed: 0, each: 0 }, // func
  13: { fixed: 0, each: 8 }, // func_proto
  14: { fixed: 4, each: 0 }, // var
  15: { fixed: 0, each: 12 }, // datasec
  16: { fixed: 0, each: 0 }, // float
  17: { fixed: 4, each: 0 }, // decl_tag
  18: { fixed: 0, each: 0 }, // type_tag
  19: { fixed: 0, each: 12 }, // enum64
};

export class Btf {
  readonly #types: readonly BtfType[];

  private constructor(types: readonly BtfType[]) {
    this.#types = types;
  }

  /** The contents of a .BTF section. */
  static parse(bytes: Uint8Array): Btf {
    return new Btf(new Decoder(bytes).types());
  }

  static fromElf(file: Uint8Array): Btf {
    const section = elfSection(file, '.BTF');
    if (section === undefined) throw new BtfError('the object has no .BTF section: build with -g');
    return Btf.parse(section);
  }

  get types(): readonly BtfType[] {
    return this.#types;
  }

  type(id: number): BtfType {
    const type = this.#types[id];
    if (type === undefined) {
      throw new BtfError(`type ${id} does not exist: there are ${this.#types.length}`);
    }
    return type;
  }

  /** The type behind all its aliases. */
  resolve(id: number): Exclude<BtfType, BtfAlias> {
    let type = this.type(id);
    for (let depth = 0; type.kind === 'alias'; depth++) {
      if (depth === MAX_DEPTH) throw new BtfError(`type ${id} has more than ${MAX_DEPTH} aliases`);
      type = this.type(type.target);
    }
    return type;
  }

  /** True when the type is, or is another name of, the typedef `name`. */
  isTypedef(id: number, name: string): boolean {
    let type = this.type(id);
    for (let depth = 0; type.kind === 'alias' && depth < MAX_DEPTH; depth++) {
      if (type.name === name) return true;
      type = this.type(type.target);
    }
    return false;
  }

  sizeOf(id: number, depth = 0): number {
    const type = this.resolve(id);
    switch (type.kind) {
      case 'int':
      case 'struct':
      case 'union':
      case 'enum':
        return type.size;
      case 'ptr':
        return 8;
      case 'array':
        if (depth === MAX_DEPTH) throw new BtfError(`type ${id} nests too many arrays`);
        return type.count * this.sizeOf(type.element, depth + 1);
      default:
        throw new BtfError(`type ${id} (${type.kind}) has no size`);
    }
  }
}

class Decoder {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #typesStart: number;
  readonly #typesEnd: number;
  readonly #stringsStart: number;
  readonly #stringsEnd: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER_BYTES) throw new BtfError(`${bytes.length} bytes are no BTF header`);
    const magic = this.#view.getUint16(0, true);
    if (magic === MAGIC_SWAPPED) throw new BtfError('big-endian BTF on a little-endian host');
    if (magic !== MAGIC) throw new BtfError(`magic 0x${magic.toString(16)} is not that of BTF`);
    if (bytes[2] !== VERSION) throw new BtfError(`BTF version ${bytes[2]} is not known`);
    const header = this.#u32(4);
    if (header < HEADER_BYTES) throw new BtfError(`a header of ${header} bytes is too short`);
    this.#typesStart = header + this.#u32(8);
    this.#typesEnd = this.#typesStart + this.#u32(12);
    this.#stringsStart = header + this.#u32(16);
    this.#stringsEnd = this.#stringsStart + this.#u32(20);
    if (this.#typesEnd > bytes.length) throw new BtfError('the types end behind the data');
    if (this.#stringsEnd > bytes.length) throw new BtfError('the strings end behind the data');
  }

  types(): BtfType[] {
    const types: BtfType[] = [{ kind: 'void' }];
    for (let at = this.#typesStart; at < this.#typesEnd;) {
      const id = types.length;
      if (at + TYPE_BYTES > this.#typesEnd) throw new BtfError(`type ${id} is cut short`);
      const info = this.#u32(at + 4);
      const kind = (info >>> 24) & 0x1f;
      const vlen = info & 0xffff;
      const extra = EXTRA[kind];
      if (extra === undefined) throw new BtfError(`type ${id} has the unknown kind ${kind}`);
      const end = at + TYPE_BYTES + extra.fixed + extra.each * vlen;
      if (end > this.#typesEnd) throw new BtfError(`type ${id} is cut short`);
      types.push(this.#decode(at, kind, vlen, info >>> 31 === 1));
      at = end;
    }
    return types;
  }

  #decode(at: number, kind: number, vlen: number, flag: boolean): BtfType {
    const name = this.#name(this.#u32(at));
    const size = this.#u32(at + 8);
    const target = size; // one word, by kind
    const data = at + TYPE_BYTES;
    const each = <T>(bytes: number, read: (at: number) => T): T[] =>
      Array.from({ length: vlen }, (_, i) => read(data + i * bytes));
    switch (kind) {
      case 1:
        return this.#int(size, this.#u32(data));
      case 2:
        return { kind: 'ptr', target };
      case 3:
        return { kind: 'array', element: this.#u32(data), count: this.#u32(data + 8) };
      case 4:
      case 5:
        return {
          kind: kind === 4 ? 'struct' : 'union',
          name,
          size,
          members: each(12, (member) => this.#member(member, flag)),
        };
      case 6:
        return { kind: 'enum', name, size, values: each(8, (v) => this.#enum32(v, flag)) };
      case 19:
        return { kind: 'enum', name, size, values: each(12, (v) => this.#enum64(v, flag)) };
      case 8:
      case 9:
      case 10:
      case 11:
      case 18:
        return { kind: 'alias', name: kind === 8 ? name : '', target };
      case 14:
        return { kind: 'var', name, target };
      case 15:
        return { kind: 'datasec', name, variables: each(12, (variable) => this.#u32(variable)) };
      default:
        return { kind: 'other', name };
    }
  }

  #int(size: number, data: number): BtfInt {
    const encoding = (data >>> 24) & 0xf;
    const signed = (encoding & INT_SIGNED) !== 0;
    return { kind: 'int', size, signed, bool: (encoding & INT_BOOL) !== 0 };
  }

  #member(at: number, hasBitfields: boolean): BtfMember {
    const offset = this.#u32(at + 8);
    return {
      name: this.#name(this.#u32(at)),
      type: this.#u32(at + 4),
      bitOffset: hasBitfields ? offset & 0xffffff : offset,
      bitfieldBits: hasBitfields ? offset >>> 24 : 0,
    };
  }

  #enum32(at: number, signed: boolean): BtfEnumValue {
    const value = signed ? this.#view.getInt32(at + 4, true) : this.#u32(at + 4);
    return { name: this.#name(this.#u32(at)), value: BigInt(value) };
  }

  #enum64(at: number, signed: boolean): BtfEnumValue {
    const bits = BigInt(this.#u32(at + 4)) | (BigInt(this.#u32(at + 8)) << 32n);
    return { name: this.#name(this.#u32(at)), value: signed ? BigInt.asIntN(64, bits) : bits };
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #name(offset: number): string {
    const start = this.#stringsStart + offset;
    const limit = Math.min(this.#stringsEnd, start + MAX_NAME);
    let end = start;
    while (end < limit && this.#bytes[end] !== 0) end++;
    if (end >= limit) throw new BtfError(`the name at ${offset} of the strings has no end`);
    return String.fromCharCode(...this.#bytes.subarray(start, end));
  }
}
