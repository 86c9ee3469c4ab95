/**
 * Prints a Schema as TypeScript: the text of layout.gen.ts.  Pure and deterministic; the lines are wrapped here because
 * the file is outside prettier's reach.
 *
 * Readers and writers are straight lines of DataView calls: a generic decoder that walks a table costs 620-870 ns per
 * event, a flat function 60-130 ns.
 */
import { createHash } from 'node:crypto';
import { BtfError } from './btf.ts';
import { emitEnum } from './emit-enum.ts';
import { camel, pascal } from './names.ts';
import { type Field, type IntType, type Schema, type Struct, typeText } from './schema.ts';

const HASH_DIGITS = 16;

export function emitLayout(schema: Schema): string {
  refuseClashes(schema);
  return [
    header(abiHashOf(schema)),
    HELPERS,
    ...schema.enums.map(emitEnum),
    ...schema.structs.map(emitStruct),
    emitTable(schema.structs),
  ].join('\n');
}

/** Of everything shared: structs with their pads, enums and limits. */
export function abiHashOf(schema: Schema): string {
  const structs = schema.structs.map(tableRow);
  const enums = schema.enums.map(({ name, values }) => [
    name,
    values.map((v) => [v.name, v.value]),
  ]);
  const text = JSON.stringify([structs, enums]);
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_DIGITS);
}

function header(hash: string): string {
  return `// Generated from the BTF of bpf/abi.bpf.c by src/kernel/abi/generate.ts (npm run gen:abi). Do not edit.
/**
 * The layout of bpf/abi.h in TypeScript: constants, and per struct an interface,
 * a codec of the same name, a reader and a writer.
 *
 * For little-endian hosts only, as every host of podwire is (x86-64, arm64). Fields named pad, pad2… are not in the
 * interfaces; writers set them to 0. Byte arrays are copied, so that a value outlives the buffer it was read from.
 */

/** Of everything in this file that the kernel's side also knows. */
export const ABI_HASH = '${hash}';
`;
}

const HELPERS = `export interface StructCodec<T> {
  readonly size: number;
  read(view: DataView, offset: number): T;
  write(view: DataView, offset: number, value: T): void;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array, offset?: number): T;
}

function need(view: DataView, offset: number, size: number, name: string): void {
  if (offset < 0 || offset + size > view.byteLength) {
    throw new RangeError(
      \`struct \${name} needs \${size} bytes at offset \${offset}, the buffer has \${view.byteLength}\`,
    );
  }
}

function getBytes(view: DataView, offset: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, length).slice();
}

function setBytes(
  view: DataView,
  offset: number,
  length: number,
  value: Uint8Array,
  name: string,
): void {
  if (value.length !== length) {
    throw new RangeError(\`\${name} takes \${length} bytes, not \${value.length}\`);
  }
  new Uint8Array(view.buffer, view.byteOffset + offset, length).set(value);
}

function count(values: { readonly length: number }, length: number, name: string): void {
  if (values.length !== length) {
    throw new RangeError(\`\${name} takes \${length} numbers, not \${values.length}\`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
`;

function emitStruct(struct: Struct): string {
  const name = pascal(struct.name);
  const size = `${struct.name.toUpperCase()}_SIZE`;
  const fields = struct.fields.filter((field) => !isPad(field));
  return `/** struct ${struct.name} */
export interface ${name} {
${fields.map((field) => `  readonly ${camel(field.name)}: ${tsType(field)};`).join('\n')}
}

export const ${size} = ${struct.size};

export function read${name}(view: DataView, offset: number): ${name} {
  need(view, offset, ${size}, '${struct.name}');
  return {
${fields.map((field) => `    ${camel(field.name)}: ${readExpression(field)},`).join('\n')}
  };
}

export function write${name}(view: DataView, offset: number, value: ${name}): void {
  need(view, offset, ${size}, '${struct.name}');
${struct.fields.flatMap((field) => writeLines(struct, field)).join('\n')}
}

export function encode${name}(value: ${name}): Uint8Array {
  const bytes = new Uint8Array(${size});
  write${name}(viewOf(bytes), 0, value);
  return bytes;
}

export function decode${name}(bytes: Uint8Array, offset = 0): ${name} {
  return read${name}(viewOf(bytes), offset);
}

export const ${name}: StructCodec<${name}> = {
  size: ${size},
  read: read${name},
  write: write${name},
  encode: encode${name},
  decode: decode${name},
};
`;
}

function tsType({ type }: Field): string {
  switch (type.kind) {
    case 'int':
      return numberType(type);
    case 'bytes':
      return 'Uint8Array';
    case 'ints':
      return `readonly ${numberType(type.of)}[]`;
    case 'struct':
      return pascal(type.name);
  }
}

function readExpression({ type, offset }: Field): string {
  switch (type.kind) {
    case 'int':
      return `view.get${accessor(type)}(${at(offset)}${order(type)})`;
    case 'bytes':
      return `getBytes(view, ${at(offset)}, ${type.length})`;
    case 'ints': {
      const items = Array.from({ length: type.length }, (_, i) => {
        const place = at(offset + i * type.of.bytes);
        return `      view.get${accessor(type.of)}(${place}${order(type.of)}),\n`;
      });
      return `[\n${items.join('')}    ]`;
    }
    case 'struct':
      return `read${pascal(type.name)}(view, ${at(offset)})`;
  }
}

function writeLines(struct: Struct, field: Field): string[] {
  const { type, offset } = field;
  const value = `value.${camel(field.name)}`;
  const label = `'${struct.name}.${field.name}'`;
  if (isPad(field)) return padLines(offset, field.size);
  switch (type.kind) {
    case 'int':
      return [`  view.set${accessor(type)}(${at(offset)}, ${value}${order(type)});`];
    case 'bytes':
      return [`  setBytes(view, ${at(offset)}, ${type.length}, ${value}, ${label});`];
    case 'ints':
      return [
        `  count(${value}, ${type.length}, ${label});`,
        ...Array.from({ length: type.length }, (_, i) => {
          const place = at(offset + i * type.of.bytes);
          return `  view.set${accessor(type.of)}(${place}, ${value}[${i}]!${order(type.of)});`;
        }),
      ];
    case 'struct':
      return [`  write${pascal(type.name)}(view, ${at(offset)}, ${value});`];
  }
}

/** Zeroes in the widest steps. */
function padLines(offset: number, size: number): string[] {
  const lines: string[] = [];
  for (let done = 0; done < size;) {
    const bytes = ([4, 2, 1] as const).find((step) => done + step <= size) ?? 1;
    const int: IntType = { kind: 'int', bytes, signed: false, bigEndian: false };
    lines.push(`  view.set${accessor(int)}(${at(offset + done)}, 0${order(int)});`);
    done += bytes;
  }
  return lines;
}

function emitTable(structs: readonly Struct[]): string {
  const rows = structs.map((struct) => {
    const [name, size, fields] = tableRow(struct);
    const lines = fields.map(
      ([field, offset, bytes, type]) => `      ['${field}', ${offset}, ${bytes}, '${type}'],\n`,
    );
    return `  {\n    name: '${name}',\n    size: ${size},\n    fields: [\n${lines.join('')}    ],\n  },\n`;
  });
  return `export interface StructLayout {
  readonly name: string;
  readonly size: number;
  /** name, offset, bytes, type */
  readonly fields: readonly (readonly [string, number, number, string])[];
}

/** What verify.ts compares with the BTF of an object, pads included. */
export const STRUCT_LAYOUTS: readonly StructLayout[] = [
${rows.join('')}];
`;
}

function tableRow({
  name,
  size,
  fields,
}: Struct): [string, number, [string, number, number, string][]] {
  return [name, size, fields.map((f) => [f.name, f.offset, f.size, typeText(f.type)])];
}

function refuseClashes({ enums, structs }: Schema): void {
  const seen = new Map<string, string>();
  const claim = (name: string, owner: string): void => {
    const other = seen.get(name);
    if (other !== undefined) throw new BtfError(`${owner} and ${other} would both be ${name}`);
    seen.set(name, owner);
  };
  for (const { name } of enums) claim(pascal(name), `enum ${name}`);
  for (const { name } of structs) claim(pascal(name), `struct ${name}`);
}

function isPad(field: Field): boolean {
  return /^pad\d*$/.test(field.name);
}

function numberType(type: IntType): string {
  return type.bytes === 8 ? 'bigint' : 'number';
}

function accessor({ bytes, signed }: IntType): string {
  return `${bytes === 8 ? 'Big' : ''}${signed ? 'Int' : 'Uint'}${bytes * 8}`;
}

function order({ bytes, bigEndian }: IntType): string {
  return bytes === 1 ? '' : bigEndian ? ', false' : ', true';
}

function at(offset: number): string {
  return offset === 0 ? 'offset' : `offset + ${offset}`;
}
