/** What the metrics read of the kernel at scrape: counters of every generation, and how full the maps are. */
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { Counter, Reason } from './abi/layout.gen.ts';
import type { Binding, BpfMap } from './binding.ts';
import type { Connections } from './connections.ts';
import { addToOwnRow, columnsOf, sumRows } from './counters.ts';
import type { DataPath } from './data-path.ts';
import type { Generation } from './generations.ts';

/** Maps whose filling up somebody must see. */
const WATCHED = [
  'pods',
  'locals',
  'records',
  'services',
  'lb_slots',
  'cidr_rules',
  'pairs',
  'trust',
  'listening',
] as const;

const COUNTED = ['counters', 'reasons'] as const;
type CountedMap = (typeof COUNTED)[number];

export class KernelReadings {
  readonly #binding: Binding;
  readonly #path: DataPath;
  readonly #connections: Connections;

  constructor(options: { binding: Binding; path: DataPath; connections: Connections }) {
    this.#binding = options.binding;
    this.#path = options.path;
    this.#connections = options.connections;
  }

  counters(): bigint[] {
    return this.#sum('counters', Counter.MAX);
  }

  reasons(): bigint[] {
    return this.#sum('reasons', Reason.MAX);
  }

  maps(): { map: string; entries: number; capacity: number }[] {
    return WATCHED.map((name) => {
      const map = this.#path.map(name);
      return { map: name, entries: map.dump().count, capacity: map.info().maxEntries };
    });
  }

  /** Before an older generation is removed: what it counted is kept, because counters never fall. */
  inherit(generation: Generation): void {
    for (const name of COUNTED) {
      addToOwnRow(
        this.#path.map(name),
        this.#binding.possibleCpus(),
        this.#older(generation, name),
      );
    }
  }

  /** Older generations count on until their last connection is gone. */
  #sum(name: CountedMap, columns: number): bigint[] {
    const sums = sumRows(this.#path.map(name), columns);
    for (const generation of this.#connections.older()) {
      this.#older(generation, name)
        .slice(0, columns)
        .forEach((value, i) => (sums[i] = (sums[i] ?? 0n) + value));
    }
    return sums;
  }

  #older({ maps }: Generation, name: CountedMap): bigint[] {
    const pin = join(maps, name);
    if (!existsSync(pin)) return [];
    const map: BpfMap = this.#binding.openPinnedMap(pin);
    try {
      return sumRows(map, columnsOf(map, this.#binding.possibleCpus()));
    } finally {
      map.close();
    }
  }
}
