/** Kernel counters: one row per CPU, added up here when somebody asks. */
import type { BpfMap } from './binding.ts';

/** Sums of the columns of a `counters` or `reasons` map, indexed by the enum. */
export function sumRows(map: BpfMap, columns: number): bigint[] {
  const sums = Array.from({ length: columns }, () => 0n);
  const { keys, values, count } = map.dump();
  const key = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const value = new DataView(values.buffer, values.byteOffset, values.byteLength);
  for (let i = 0; i < count; i++) {
    const column = key.getUint32(i * 4, true) % columns;
    sums[column] = (sums[column] ?? 0n) + value.getBigUint64(i * 8, true);
  }
  return sums;
}
