/**
 * Services in the kernel. The slots of a service are written beside the old ones under a new generation, then its value is
 * replaced, then the old slots go: no connect() ever meets half a table. Counts belong to backends and to limits, and outlive
 * tables.
 */
import type { Backend, ServiceEntry } from '../compile/kernel/services.ts';
import { addrFromText } from './abi/address.ts';
import {
  AbiLimits,
  Backend as BackendValue,
  BackendLoad,
  LbPolicy,
  MemberKey,
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
  'least-latency': LbPolicy.LEAST_LATENCY,
} as const satisfies Record<ServiceEntry['policy'], number>;

interface Table {
  readonly service: number;
  readonly generation: number;
  readonly slots: readonly Backend[];
  readonly count: number;
  /** its backends are in lb_members too */
  readonly members: boolean;
  readonly limit: number;
}

const NO_LOAD: BackendLoad = { active: 0n, sampledNs: 0n, latencyNs: 0n };

export class ServiceTable {
  readonly #services: TypedMap<ServiceKey, Service>;
  readonly #slots: TypedMap<SlotKey, BackendValue>;
  readonly #members: TypedMap<MemberKey, BackendValue>;
  readonly #tables = new Map<string, Table>();
  readonly #loads: Counts<BackendLoad>;
  readonly #limits: Counts<bigint>;

  constructor(map: (name: string) => BpfMap) {
    this.#services = new TypedMap('services', map('services'), ServiceKey, Service);
    this.#slots = new TypedMap('lb_slots', map('lb_slots'), SlotKey, BackendValue);
    this.#members = new TypedMap('lb_members', map('lb_members'), MemberKey, BackendValue);
    this.#loads = new Counts(
      new TypedMap('lb_loads', map('lb_loads'), u32, BackendLoad),
      NO_LOAD,
      ({ active }) => active === 0n,
    );
    this.#limits = new Counts(
      new TypedMap('lb_limits', map('lb_limits'), u32, u64),
      0n,
      (taken) => taken === 0n,
    );
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
      members: entry.affinitySeconds > 0,
      limit: entry.limit,
    };
    this.#use(table);
    this.#slots.setMany(
      entry.slots.map((backend, slot) => [
        { service: entry.id, generation, slot },
        backendValue(backend),
      ]),
    );
    if (table.members) {
      this.#members.setMany(
        distinct(entry.slots).map((backend) => [
          { service: entry.id, generation, backend: backend.id },
          backendValue(backend),
        ]),
      );
    }
    this.#services.set(key, {
      id: entry.id,
      generation,
      slots: entry.slots.length,
      policy: POLICIES[entry.policy],
      cursorSlot: entry.id % AbiLimits.MAX_SERVICES,
      affinityS: entry.affinitySeconds,
      maxConnections: entry.maxConnections,
      limit: entry.limit,
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
    this.#members.deleteMany(
      this.#members
        .entries()
        .map(([key]) => key)
        .filter((key) => kept.get(key.service) !== key.generation),
    );
    this.#loads.prune();
    this.#limits.prune();
  }

  /** Per backend number, as the kernel has it now. */
  loads(): Map<number, BackendLoad> {
    return this.#loads.read();
  }

  /** Connections taken, per limit number. */
  limits(): Map<number, bigint> {
    return this.#limits.read();
  }

  #found(key: ServiceKey): Table | undefined {
    const value = this.#services.get(key);
    if (value === undefined) return undefined;
    const { id: service, generation, slots: count } = value;
    // Its members go with prune(): who they are is not in the value.
    return { service, generation, slots: [], count, members: false, limit: 0 };
  }

  #use({ slots, limit }: Table): void {
    this.#loads.use(distinct(slots).map(({ id }) => id));
    if (limit > 0) this.#limits.use([limit]);
  }

  #drop({ service, generation, slots, count, members, limit }: Table): void {
    this.#slots.deleteMany(
      Array.from({ length: count }, (_, slot) => ({ service, generation, slot })),
    );
    const backends = distinct(slots).map(({ id }) => id);
    if (members) {
      this.#members.deleteMany(backends.map((backend) => ({ service, generation, backend })));
    }
    this.#loads.release(backends);
    if (limit > 0) this.#limits.release([limit]);
  }
}

/** What the kernel counts under a number: there while a table refers to it, and until the count is zero. */
class Counts<V> {
  readonly #map: TypedMap<number, V>;
  readonly #initial: V;
  readonly #isZero: (value: V) => boolean;
  /** number → tables that refer to it */
  readonly #uses = new Map<number, number>();

  constructor(map: TypedMap<number, V>, initial: V, isZero: (value: V) => boolean) {
    this.#map = map;
    this.#initial = initial;
    this.#isZero = isZero;
  }

  /** `numbers` are distinct */
  use(numbers: readonly number[]): void {
    const fresh: [number, V][] = [];
    for (const number of numbers) {
      const uses = this.#uses.get(number) ?? 0;
      this.#uses.set(number, uses + 1);
      if (uses === 0 && this.#map.get(number) === undefined) fresh.push([number, this.#initial]);
    }
    this.#map.setMany(fresh);
  }

  release(numbers: readonly number[]): void {
    for (const number of numbers) {
      const uses = (this.#uses.get(number) ?? 1) - 1;
      if (uses > 0) {
        this.#uses.set(number, uses);
        continue;
      }
      this.#uses.delete(number);
      const value = this.#map.get(number);
      if (value !== undefined && this.#isZero(value)) this.#map.delete(number);
    }
  }

  prune(): void {
    for (const [number, value] of this.#map.entries()) {
      if (!this.#uses.has(number) && this.#isZero(value)) this.#map.delete(number);
    }
  }

  read(): Map<number, V> {
    return new Map(this.#map.entries());
  }
}

function distinct(slots: readonly Backend[]): Backend[] {
  return [...new Map(slots.map((backend) => [backend.id, backend])).values()];
}

function backendValue({ addr, port, id }: Backend): BackendValue {
  return { addr: addrFromText(addr), port, id };
}

function keyOf(entry: ServiceEntry): ServiceKey {
  return { addr: addrFromText(entry.addr), port: entry.port };
}
