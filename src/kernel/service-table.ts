/**
 * Services in the kernel. The slots of a service are written beside the old ones under a new generation, then its value is
 * replaced, then the old slots go: no connect() ever meets half a table. Active counts belong to backends and outlive tables.
 */
import type { Backend, ServiceEntry } from '../compile/kernel/services.ts';
import { addrFromText } from './abi/address.ts';
import {
  AbiLimits,
  Backend as BackendValue,
  LbPolicy,
  Service,
  ServiceKey,
  SlotKey,
} from './abi/layout.gen.ts';
import type { BpfMap } from './binding.ts';
import { TypedMap, u32, u64 } from './typed-map.ts';

const POLICIES = {
  'round-robin': LbPolicy.ROUND_ROBIN,
  random: LbPolicy.RANDOM,
  'least-conn': LbPolicy.LEAST_CONN,
} as const satisfies Record<ServiceEntry['policy'], number>;

interface Table {
  readonly service: number;
  readonly generation: number;
  readonly slots: readonly Backend[];
  readonly count: number;
}

export class ServiceTable {
  readonly #services: TypedMap<ServiceKey, Service>;
  readonly #slots: TypedMap<SlotKey, BackendValue>;
  readonly #active: TypedMap<number, bigint>;
  readonly #tables = new Map<string, Table>();
  /** backend → services that use it */
  readonly #uses = new Map<number, number>();

  constructor(map: (name: string) => BpfMap) {
    this.#services = new TypedMap('services', map('services'), ServiceKey, Service);
    this.#slots = new TypedMap('lb_slots', map('lb_slots'), SlotKey, BackendValue);
    this.#active = new TypedMap('lb_active', map('lb_active'), u32, u64);
  }

  put(entry: ServiceEntry): void {
    const key = keyOf(entry);
    const before = this.#tables.get(entry.key) ?? this.#found(key);
    const generation = (before?.generation ?? 0) + 1;
    const table: Table = {
      service: entry.id,
      generation,
      slots: entry.slots,
      count: entry.slots.length,
    };
    this.#use(entry.slots);
    this.#slots.setMany(
      entry.slots.map((backend, slot) => [
        { service: entry.id, generation, slot },
        { addr: addrFromText(backend.addr), port: backend.port, id: backend.id },
      ]),
    );
    this.#services.set(key, {
      id: entry.id,
      generation,
      slots: entry.slots.length,
      policy: POLICIES[entry.policy],
      cursorSlot: entry.id % AbiLimits.MAX_SERVICES,
      flags: 0,
    });
    this.#tables.set(entry.key, table);
    if (before) this.#drop(before);
  }

  delete(entry: ServiceEntry): void {
    const key = keyOf(entry);
    const before = this.#tables.get(entry.key) ?? this.#found(key);
    this.#services.delete(key);
    this.#tables.delete(entry.key);
    if (before) this.#drop(before);
  }

  /** After the first plan: removes what an earlier agent left and the mesh no longer has. */
  prune(): void {
    const kept = new Map(
      [...this.#tables.values()].map((table) => [table.service, table.generation]),
    );
    for (const [key, { id }] of this.#services.entries()) {
      if (!kept.has(id)) this.#services.delete(key);
    }
    this.#slots.deleteMany(
      this.#slots
        .entries()
        .map(([key]) => key)
        .filter((key) => kept.get(key.service) !== key.generation),
    );
    for (const [id, count] of this.#active.entries()) {
      if (!this.#uses.has(id) && count === 0n) this.#active.delete(id);
    }
  }

  /** Connections per backend number, as the kernel counts them now. */
  active(): Map<number, bigint> {
    return new Map(this.#active.entries());
  }

  #found(key: ServiceKey): Table | undefined {
    const value = this.#services.get(key);
    return (
      value && { service: value.id, generation: value.generation, slots: [], count: value.slots }
    );
  }

  #use(slots: readonly Backend[]): void {
    const fresh: [number, bigint][] = [];
    for (const id of new Set(slots.map((backend) => backend.id))) {
      const uses = this.#uses.get(id) ?? 0;
      this.#uses.set(id, uses + 1);
      if (uses === 0 && this.#active.get(id) === undefined) fresh.push([id, 0n]);
    }
    this.#active.setMany(fresh);
  }

  #drop(table: Table): void {
    this.#slots.deleteMany(
      Array.from({ length: table.count }, (_, slot) => ({
        service: table.service,
        generation: table.generation,
        slot,
      })),
    );
    for (const id of new Set(table.slots.map((backend) => backend.id))) {
      const uses = (this.#uses.get(id) ?? 1) - 1;
      if (uses > 0) {
        this.#uses.set(id, uses);
        continue;
      }
      this.#uses.delete(id);
      if (this.#active.get(id) === 0n) this.#active.delete(id);
    }
  }
}

function keyOf(entry: ServiceEntry): ServiceKey {
  return { addr: addrFromText(entry.addr), port: entry.port };
}
