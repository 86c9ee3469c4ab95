/** Kernel counters: one row per CPU, added up here when somebody asks, and one of ours for generations that are gone. */
import type { BpfMap } from './binding.ts';
import { u32, u64 } from './typed-map.ts';

export function counterRows(cpus: number): number {
  return cpus + 1;
}

/** Columns the writer of this map knew; enums only grow before MAX, so the first ones agree with ours. */
export function columnsOf(map: BpfMap, cpus: number): number {
  return map.info().maxEntries / counterRows(cpus);
}

/** Adds to the row that no CPU writes. */
export function addToOwnRow(map: BpfMap, cpus: number, sums: readonly bigint[]): void {
  const columns = columnsOf(map, cpus);
  sums.slice(0, columns).forEach((value, column) => {
    const key = u32.encode(cpus * columns + column);
    map.update(key, u64.encode(u64.decode(map.lookup(key) ?? new Uint8Array(8)) + value));
  });
}

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
