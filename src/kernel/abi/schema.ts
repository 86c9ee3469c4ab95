/**
 * The shared types of bpf/abi.h as a plain list: what generate.ts prints and verify.ts compares.
 *
 * It refuses everything that has no single obvious form in TypeScript (bitfields, pointers, unions, holes between
 * fields), with the struct and field named, so that such a field cannot enter abi.h unnoticed.
 */
import { type Btf, type BtfComposite, type BtfEnum, BtfError, type BtfMember } from './btf.ts';

export interface IntType {
  readonly kind: 'int';
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
  readonly bigEndian: boolean;
}

export type FieldType =
  | IntType
  | { readonly kind: 'bytes'; readonly length: number }
  | { readonly kind: 'ints'; readonly of: IntType; readonly length: number }
  | { readonly kind: 'struct'; readonly name: string };

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly type: FieldType;
}

export interface Struct {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
}

export interface Enum {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly value: number }[];
}

export interface Schema {
  readonly enums: readonly Enum[];
  readonly structs: readonly Struct[];
}

const ANCHOR_SECTION = '.abi';

/** Everything anchored in section .abi, in the order of the anchors. */
export function readSchema(btf: Btf): Schema {
  const enums: Enum[] = [];
  const structs: Struct[] = [];
  for (const type of anchored(btf)) {
    if (type.name === '') throw new BtfError(`an anonymous ${type.kind} is anchored: name it`);
    if (type.kind === 'enum') enums.push(readEnum(type));
    else structs.push(readStruct(btf, type));
  }
  const known = new Set(structs.map((struct) => struct.name));
  for (const struct of structs) {
    for (const { name, type } of struct.fields) {
      if (type.kind === 'struct' && !known.has(type.name)) {
        throw new BtfError(`struct ${struct.name}.${name}: struct ${type.name} is not anchored`);
      }
    }
  }
  return { enums, structs };
}

function anchored(btf: Btf): (BtfComposite | BtfEnum)[] {
  const section = btf.types.find((type) => type.kind === 'datasec' && type.name === ANCHOR_SECTION);
  if (section?.kind !== 'datasec')
    throw new BtfError(`no variable is in section ${ANCHOR_SECTION}`);
  return section.variables.map((id) => {
    const variable = btf.type(id);
    if (variable.kind !== 'var')
      throw new BtfError(`type ${id} in ${ANCHOR_SECTION} is no variable`);
    const pointer = btf.resolve(variable.target);
    const target = pointer.kind === 'ptr' ? btf.resolve(pointer.target) : pointer;
    if (target.kind !== 'struct' && target.kind !== 'enum') {
      throw new BtfError(`${variable.name} points at neither a struct nor an enum`);
    }
    return target;
  });
}

function readEnum(type: BtfEnum): Enum {
  return {
    name: type.name,
    values: type.values.map(({ name, value }) => {
      if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
        throw new BtfError(`enum ${type.name}.${name}: ${value} does not fit into a number`);
      }
      return { name, value: Number(value) };
    }),
  };
}

function readStruct(btf: Btf, type: BtfComposite): Struct {
  const fields: Field[] = [];
  let end = 0;
  for (const member of type.members) {
    const field = readField(btf, type, member);
    if (field.offset !== end) {
      throw new BtfError(
        `struct ${type.name}.${field.name}: starts at ${field.offset} and the field before ends at ${end}: make the padding a field`,
      );
    }
    end = field.offset + field.size;
    fields.push(field);
  }
  if (end !== type.size) {
    throw new BtfError(
      `struct ${type.name}: has ${type.size} bytes and its last field ends at ${end}: make the padding a field`,
    );
  }
  return { name: type.name, size: type.size, fields };
}

function readField(btf: Btf, struct: BtfComposite, member: BtfMember): Field {
  const where = `struct ${struct.name}.${member.name || '(anonymous)'}`;
  if (member.name === '') throw new BtfError(`${where}: anonymous members are refused: name it`);
  if (member.bitfieldBits !== 0 || member.bitOffset % 8 !== 0) {
    throw new BtfError(`${where}: bitfields are refused: use a whole integer`);
  }
  return {
    name: member.name,
    offset: member.bitOffset / 8,
    size: btf.sizeOf(member.type),
    type: readFieldType(btf, member.type, where),
  };
}

function readFieldType(btf: Btf, id: number, where: string): FieldType {
  const type = btf.resolve(id);
  switch (type.kind) {
    case 'int':
    case 'enum':
      return readInt(btf, id, where);
    case 'struct':
      return { kind: 'struct', name: type.name };
    case 'array': {
      const of = readInt(btf, type.element, where);
      if (of.bytes === 1) return { kind: 'bytes', length: type.count };
      return { kind: 'ints', of, length: type.count };
    }
    default:
      throw new BtfError(`${where}: a ${type.kind} cannot be shared with user space`);
  }
}

function readInt(btf: Btf, id: number, where: string): IntType {
  const type = btf.resolve(id);
  if (type.kind === 'int' && type.bool) throw new BtfError(`${where}: bool is refused: use __u8`);
  if (type.kind !== 'int' && type.kind !== 'enum') {
    throw new BtfError(`${where}: arrays of ${type.kind} are refused`);
  }
  const bytes = type.size;
  if (bytes !== 1 && bytes !== 2 && bytes !== 4 && bytes !== 8) {
    throw new BtfError(`${where}: integers of ${bytes} bytes are refused`);
  }
  return {
    kind: 'int',
    bytes,
    signed: type.kind === 'int' && type.signed,
    bigEndian: bytes !== 1 && btf.isTypedef(id, `__be${bytes * 8}`),
  };
}

/** C-like text of a type: "u32", "be16", "u8[16]", "struct trust_key". */
export function typeText(type: FieldType): string {
  switch (type.kind) {
    case 'int':
      return `${type.bigEndian ? 'be' : type.signed ? 's' : 'u'}${type.bytes * 8}`;
    case 'bytes':
      return `u8[${type.length}]`;
    case 'ints':
      return `${typeText(type.of)}[${type.length}]`;
    case 'struct':
      return `struct ${type.name}`;
  }
}
