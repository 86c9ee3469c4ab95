/** What the metrics read of the kernel at scrape: counters of every generation, and how full the maps are. */
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { Counter, Reason } from './abi/layout.gen.ts';
import type { Binding, BpfMap } from './binding.ts';
import type { Connections } from './connections.ts';
import { sumRows } from './counters.ts';
import type { DataPath } from './data-path.ts';

/** Maps whose filling up somebody must see. */
const WATCHED = [
  'pods',
  'locals',
  'records',
  'services',
  'lb_slots',
  'cidr_rules',
  'trust',
  'listening',
] as const;

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

  /** Older generations count on until their last connection is gone; enums only grow before MAX, so columns agree. */
  #sum(name: 'counters' | 'reasons', columns: number): bigint[] {
    const sums = sumRows(this.#path.map(name), columns);
    for (const { maps } of this.#connections.older()) {
      const pin = join(maps, name);
      if (!existsSync(pin)) continue;
      const map: BpfMap = this.#binding.openPinnedMap(pin);
      const older = map.info().maxEntries / this.#binding.possibleCpus();
      sumRows(map, older).forEach((value, i) => {
        if (i < Math.min(columns, older)) sums[i] = (sums[i] ?? 0n) + value;
      });
      map.close();
    }
    return sums;
  }
}
