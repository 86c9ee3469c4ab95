/**
 * A BPF map with its key and value types: the codecs come from the generated layout, the descriptor from the addon.
 * A full map is an error somebody sees (ERR_MAP_FULL), never a silent limit.
 */
import { PodwireError } from '../errors.ts';
import type { BpfMap, NativeError } from './binding.ts';

/** `read` and `write` are for many values in one buffer: a DataView for each costs more than its fields do. */
export interface Codec<T> {
  readonly size: number;
  read(view: DataView, offset: number): T;
  write(view: DataView, offset: number, value: T): void;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array, offset?: number): T;
}

export const u32: Codec<number> = {
  size: 4,
  read: (view, offset) => view.getUint32(offset, true),
  write: (view, offset, value) => view.setUint32(offset, value, true),
  encode(value) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return bytes;
  },
  decode: (bytes, offset = 0) =>
    new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true),
};

export const u64: Codec<bigint> = {
  size: 8,
  read: (view, offset) => view.getBigUint64(offset, true),
  write: (view, offset, value) => view.setBigUint64(offset, value, true),
  encode(value) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return bytes;
  },
  decode: (bytes, offset = 0) =>
    new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true),
};

const FULL = new Set(['E2BIG', 'ENOSPC', 'ENOMEM']);

export class TypedMap<K, V> {
  readonly name: string;
  readonly map: BpfMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  constructor(name: string, map: BpfMap, key: Codec<K>, value: Codec<V>) {
    this.name = name;
    this.map = map;
    this.#key = key;
    this.#value = value;
  }

  get(key: K): V | undefined {
    const bytes = this.map.lookup(this.#key.encode(key));
    return bytes === undefined ? undefined : this.#value.decode(bytes);
  }

  set(key: K, value: V, flags = 0): void {
    this.#guard(() => this.map.update(this.#key.encode(key), this.#value.encode(value), flags));
  }

  delete(key: K): boolean {
    return this.map.delete(this.#key.encode(key));
  }

  /** One system call for all of them. */
  setMany(entries: readonly (readonly [K, V])[]): void {
    if (entries.length === 0) return;
    const keys = new Uint8Array(entries.length * this.#key.size);
    const values = new Uint8Array(entries.length * this.#value.size);
    const [keyView, valueView] = [new DataView(keys.buffer), new DataView(values.buffer)];
    entries.forEach(([key, value], i) => {
      this.#key.write(keyView, i * this.#key.size, key);
      this.#value.write(valueView, i * this.#value.size, value);
    });
    this.#guard(() => this.map.updateBatch(keys, values, entries.length));
  }

  deleteMany(keys: readonly K[]): void {
    if (keys.length === 0) return;
    const bytes = new Uint8Array(keys.length * this.#key.size);
    const view = new DataView(bytes.buffer);
    keys.forEach((key, i) => this.#key.write(view, i * this.#key.size, key));
    this.map.deleteBatch(bytes, keys.length);
  }

  entries(): [K, V][] {
    const { keys, values, count } = this.map.dump();
    const [keyView, valueView] = [viewOf(keys), viewOf(values)];
    const found: [K, V][] = [];
    for (let i = 0; i < count; i++) {
      found.push([
        this.#key.read(keyView, i * this.#key.size),
        this.#value.read(valueView, i * this.#value.size),
      ]);
    }
    return found;
  }

  #guard(write: () => void): void {
    try {
      write();
    } catch (cause) {
      const { code } = cause as NativeError;
      if (!FULL.has(code)) throw cause;
      const { maxEntries } = this.map.info();
      throw new PodwireError(
        'ERR_MAP_FULL',
        `BPF map ${this.name} is full (${maxEntries} entries)`,
        {
          cause,
          hint: 'fewer pods, services or policies on this node, or a larger limit in bpf/abi.h',
        },
      );
    }
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
