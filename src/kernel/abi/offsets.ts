/** Where the fields of a struct are, for readers of many structs in place. */
import { STRUCT_LAYOUTS } from './layout.gen.ts';

/** Byte offset; throws when there is no such field. */
export function offsetOf(struct: string, field: string): number {
  return placeOf(struct, field).offset;
}

/** Byte offsets of the 32-bit words of a field. */
export function wordsOf(struct: string, field: string): number[] {
  const { offset, bytes } = placeOf(struct, field);
  return Array.from({ length: bytes / 4 }, (_, i) => offset + i * 4);
}

function placeOf(struct: string, name: string): { offset: number; bytes: number } {
  const layout = STRUCT_LAYOUTS.find((one) => one.name === struct);
  const field = layout?.fields.find(([known]) => known === name);
  if (!field) throw new Error(`struct ${struct} has no field ${name}`);
  const [, offset, bytes] = field;
  return { offset, bytes };
}
