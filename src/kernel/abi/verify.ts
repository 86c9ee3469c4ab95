/**
 * Compares the structs of a BPF object with the layout this program was built with, before the object is loaded: an
 * image with objects of another build cannot run.  Structs that the object does not mention are fine.
 */
import { PodwireError } from '../../errors.ts';
import { Btf, type BtfComposite } from './btf.ts';
import { ABI_HASH, STRUCT_LAYOUTS, type StructLayout } from './layout.gen.ts';

/** Of all structs, enums and limits shared with the kernel. */
export function abiHash(): string {
  return ABI_HASH;
}

/** `btf` is the .BTF section of the object; throws ERR_ABI_MISMATCH with one line per difference. */
export function verifyAbi(btf: Uint8Array, objectName: string): void {
  const lines = differences(parse(btf, objectName));
  if (lines.length === 0) return;
  throw new PodwireError(
    'ERR_ABI_MISMATCH',
    `${objectName} was built from another bpf/abi.h:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    { hint: 'build both from one source: npm run gen:abi && npm run build' },
  );
}

function parse(btf: Uint8Array, objectName: string): Btf {
  try {
    return Btf.parse(btf);
  } catch (cause) {
    throw new PodwireError('ERR_ABI_MISMATCH', `the type information of ${objectName} is damaged`, {
      cause,
      hint: 'build it again: npm run build:bpf',
    });
  }
}

function differences(btf: Btf): string[] {
  const layouts = new Map(STRUCT_LAYOUTS.map((layout) => [layout.name, layout]));
  const lines: string[] = [];
  for (const type of btf.types) {
    if (type.kind !== 'struct') continue;
    const layout = layouts.get(type.name);
    if (layout !== undefined) lines.push(...compare(btf, layout, type));
  }
  return lines;
}

function compare(btf: Btf, layout: StructLayout, type: BtfComposite): string[] {
  const lines: string[] = [];
  if (layout.size !== type.size) {
    lines.push(`struct ${layout.name}: size ${layout.size} here, ${type.size} in object`);
  }
  const members = new Map(type.members.map((member) => [member.name, member]));
  for (const [name, offset, size] of layout.fields) {
    const where = `struct ${layout.name}.${name}`;
    const member = members.get(name);
    members.delete(name);
    if (member === undefined) {
      lines.push(`${where}: missing in object`);
      continue;
    }
    const itsOffset = member.bitOffset / 8;
    if (offset !== itsOffset) lines.push(`${where}: offset ${offset} here, ${itsOffset} in object`);
    const itsSize = sizeOf(btf, member.type);
    if (size !== itsSize) lines.push(`${where}: size ${size} here, ${itsSize} in object`);
  }
  for (const name of members.keys()) lines.push(`struct ${layout.name}.${name}: missing here`);
  return lines;
}

function sizeOf(btf: Btf, type: number): number | string {
  try {
    return btf.sizeOf(type);
  } catch {
    return 'unknown';
  }
}
