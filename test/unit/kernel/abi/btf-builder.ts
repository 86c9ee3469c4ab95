/** Makes BTF blobs and ELF files for tests: what clang would emit, type by type. */

const KIND = { int: 1, ptr: 2, array: 3, struct: 4, union: 5, enum: 6, typedef: 8, const: 10 };
const KIND_VAR = 14;
const KIND_DATASEC = 15;
const KIND_ENUM64 = 19;

export interface MemberSpec {
  readonly name: string;
  readonly type: number;
  readonly bits: number;
  readonly bitfield?: number;
}

export class BtfBuilder {
  readonly #types: number[][] = [];
  #strings = '\0';

  int(name: string, size: number, encoding = 0): number {
    return this.#add(name, KIND.int, 0, size, [(encoding << 24) | (size * 8)]);
  }

  ptr(target: number): number {
    return this.#add('', KIND.ptr, 0, target, []);
  }

  array(element: number, count: number): number {
    return this.#add('', KIND.array, 0, 0, [element, 1, count]);
  }

  typedef(name: string, target: number): number {
    return this.#add(name, KIND.typedef, 0, target, []);
  }

  constant(target: number): number {
    return this.#add('', KIND.const, 0, target, []);
  }

  struct(name: string, size: number, members: readonly MemberSpec[], union = false): number {
    const bitfields = members.some((member) => member.bitfield !== undefined);
    const words = members.flatMap(({ name: member, type, bits, bitfield = 0 }) => [
      this.#string(member),
      type,
      bitfields ? (bitfield << 24) | bits : bits,
    ]);
    return this.#add(
      name,
      union ? KIND.union : KIND.struct,
      members.length,
      size,
      words,
      bitfields,
    );
  }

  enum(name: string, values: readonly (readonly [string, number])[], signed = false): number {
    const words = values.flatMap(([value, number]) => [this.#string(value), number]);
    return this.#add(name, KIND.enum, values.length, 4, words, signed);
  }

  enum64(name: string, values: readonly (readonly [string, bigint])[], signed = false): number {
    const words = values.flatMap(([value, number]) => [
      this.#string(value),
      Number(BigInt.asUintN(32, number)),
      Number(BigInt.asUintN(32, number >> 32n)),
    ]);
    return this.#add(name, KIND_ENUM64, values.length, 8, words, signed);
  }

  /** Anchors the types as bpf/abi.bpf.c does: pointers to const in section .abi. */
  anchors(types: readonly number[]): number {
    const variables = types.map((type) =>
      this.#add(`v${type}__abi`, KIND_VAR, 0, this.ptr(this.constant(type)), [1]),
    );
    const words = variables.flatMap((variable) => [variable, 0, 8]);
    return this.#add('.abi', KIND_DATASEC, variables.length, 0, words);
  }

  bytes(): Uint8Array {
    const types = Uint32Array.from(this.#types.flat());
    const strings = Buffer.from(this.#strings, 'latin1');
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    header.writeUInt8(1, 2);
    header.writeUInt32LE(24, 4);
    header.writeUInt32LE(0, 8);
    header.writeUInt32LE(types.byteLength, 12);
    header.writeUInt32LE(types.byteLength, 16);
    header.writeUInt32LE(strings.length, 20);
    return new Uint8Array(Buffer.concat([header, Buffer.from(types.buffer), strings]));
  }

  #add(
    name: string,
    kind: number,
    vlen: number,
    sizeOrType: number,
    words: readonly number[],
    flag = false,
  ): number {
    const info = ((flag ? 0x80000000 : 0) | (kind << 24) | vlen) >>> 0;
    this.#types.push([this.#string(name), info, sizeOrType, ...words]);
    return this.#types.length;
  }

  #string(text: string): number {
    if (text === '') return 0;
    const offset = this.#strings.length;
    this.#strings += `${text}\0`;
    return offset;
  }
}

/** A small schema with one of everything that the generator accepts. */
export function sampleBtf(): Uint8Array {
  const b = new BtfBuilder();
  const u8 = b.typedef('__u8', b.int('unsigned char', 1));
  const u16 = b.typedef('__u16', b.int('unsigned short', 2));
  const be16 = b.typedef('__be16', u16);
  const u32 = b.typedef('__u32', b.int('unsigned int', 4));
  const u64 = b.typedef('__u64', b.int('unsigned long long', 8));
  const s32 = b.typedef('__s32', b.int('int', 4, 1));
  const colour = b.enum('colour', [
    ['COLOUR_RED', 0],
    ['COLOUR_DARK_BLUE', 1],
    ['COLOUR_MAX', 2],
  ]);
  const inner = b.struct('inner_key', 16, [{ name: 'count', type: b.array(u64, 2), bits: 0 }]);
  const outer = b.struct('outer', 52, [
    { name: 'addr', type: b.array(u8, 16), bits: 0 },
    { name: 'port_be', type: be16, bits: 128 },
    { name: 'pad', type: u16, bits: 144 },
    { name: 'delta', type: s32, bits: 160 },
    { name: 'key', type: inner, bits: 192 },
    { name: 'flags', type: u32, bits: 320 },
    { name: 'pad2', type: b.array(u8, 8), bits: 352 },
  ]);
  b.anchors([colour, inner, outer]);
  return b.bytes();
}

/** An ELF64 file with one section besides the table of names. */
export function elfWith(name: string, content: Uint8Array): Uint8Array {
  const names = Buffer.from(`\0.shstrtab\0${name}\0`, 'latin1');
  const header = Buffer.alloc(64);
  header.writeUInt32BE(0x7f454c46, 0);
  header.writeUInt8(2, 4);
  header.writeUInt8(1, 5);
  header.writeBigUInt64LE(BigInt(64 + content.length + names.length), 0x28);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(3, 0x3c);
  header.writeUInt16LE(2, 0x3e);
  const section = (at: number, nameAt: number, offset: number, size: number): Buffer => {
    const entry = Buffer.alloc(64);
    entry.writeUInt32LE(nameAt, 0);
    entry.writeUInt32LE(at === 0 ? 0 : 1, 4);
    entry.writeBigUInt64LE(BigInt(offset), 0x18);
    entry.writeBigUInt64LE(BigInt(size), 0x20);
    return entry;
  };
  return new Uint8Array(
    Buffer.concat([
      header,
      content,
      names,
      section(0, 0, 0, 0),
      section(1, 11, 64, content.length),
      section(2, 1, 64 + content.length, names.length),
    ]),
  );
}
