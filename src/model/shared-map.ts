/**
 * An immutable string-keyed map whose versions share structure.
 *
 * A snapshot of 100,000 workloads must not be copied for one change: keys are spread over a fixed number of shards, an
 * edit copies only the shards it touches, and two versions are compared shard by shard (same reference = nothing
 * changed).  A trie would have a better bound and four times the code; at 512 shards one change copies about n/512
 * entries, microseconds at 100,000.
 */
const SHARDS = 512;

export class SharedMap<V> implements Iterable<[string, V]> {
  readonly #shards: readonly ReadonlyMap<string, V>[];
  readonly size: number;

  constructor(shards: readonly ReadonlyMap<string, V>[], size: number) {
    this.#shards = shards;
    this.size = size;
  }

  static empty<V>(): SharedMap<V> {
    return new SharedMap<V>(new Array<ReadonlyMap<string, V>>(SHARDS).fill(new Map()), 0);
  }

  static from<V>(entries: Iterable<readonly [string, V]>): SharedMap<V> {
    const editor = SharedMap.empty<V>().edit();
    for (const [key, value] of entries) editor.set(key, value);
    return editor.done();
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]!.get(key);
  }

  has(key: string): boolean {
    return this.#shards[shardOf(key)]!.has(key);
  }

  *[Symbol.iterator](): IterableIterator<[string, V]> {
    for (const shard of this.#shards) yield* shard;
  }

  *keys(): IterableIterator<string> {
    for (const shard of this.#shards) yield* shard.keys();
  }

  *values(): IterableIterator<V> {
    for (const shard of this.#shards) yield* shard.values();
  }

  edit(): SharedMapEditor<V> {
    return new SharedMapEditor<V>(this, this.#shards);
  }

  /** Keys whose value (by reference) differs from `previous`, added and removed ones included. */
  changedSince(previous: SharedMap<V>): string[] {
    const changed: string[] = [];
    for (let i = 0; i < SHARDS; i++) {
      const next = this.#shards[i]!;
      const before = previous.#shards[i]!;
      if (next === before) continue;
      for (const [key, value] of next) if (before.get(key) !== value) changed.push(key);
      for (const key of before.keys()) if (!next.has(key)) changed.push(key);
    }
    return changed;
  }
}

/** Collects edits; `done` gives a version with all so far, the same one as last time when nothing changed since. */
export class SharedMapEditor<V> {
  #base: SharedMap<V>;
  readonly #shards: ReadonlyMap<string, V>[];
  readonly #owned = new Map<number, Map<string, V>>();
  #size: number;

  constructor(base: SharedMap<V>, shards: readonly ReadonlyMap<string, V>[]) {
    this.#base = base;
    this.#shards = [...shards];
    this.#size = base.size;
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]!.get(key);
  }

  set(key: string, value: V): void {
    const index = shardOf(key);
    const shard = this.#shards[index]!;
    if (shard.has(key)) {
      if (shard.get(key) === value) return;
    } else {
      this.#size++;
    }
    this.#own(index).set(key, value);
  }

  delete(key: string): boolean {
    const index = shardOf(key);
    if (!this.#shards[index]!.has(key)) return false;
    this.#own(index).delete(key);
    this.#size--;
    return true;
  }

  done(): SharedMap<V> {
    if (this.#owned.size === 0) return this.#base;
    this.#owned.clear();
    this.#base = new SharedMap<V>([...this.#shards], this.#size);
    return this.#base;
  }

  #own(index: number): Map<string, V> {
    let shard = this.#owned.get(index);
    if (shard === undefined) {
      shard = new Map(this.#shards[index]);
      this.#owned.set(index, shard);
      this.#shards[index] = shard;
    }
    return shard;
  }
}

/** FNV-1a; the shard is not a security boundary, only a spread. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}
