/**
 * Everything the server can send, by type and name, with the number of the change that brought it.
 */
import type { Log } from '../../log.ts';
import type { Address, Delta, MeshUpdate } from '../../model/messages.ts';
import type { Codec } from '../codec.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPES,
  type ResourceKey,
  type ResourceType,
} from '../resource-types.ts';
import { AddressIndex, ipsOf } from './address-index.ts';
import { Entry, type AnyResource } from './entry.ts';

/** What one or several updates have touched. */
export class Changes {
  readonly entries = new Map<ResourceKey, Set<Entry>>();
  /** addresses that belong to somebody else, or to nobody, now */
  readonly ips = new Set<string>();
  /** performance.now() of the first of them */
  since = Infinity;

  get empty(): boolean {
    return this.entries.size === 0;
  }

  add(entry: Entry): void {
    const there = this.entries.get(entry.key);
    if (there === undefined) this.entries.set(entry.key, new Set([entry]));
    else there.add(entry);
  }
}

export interface ResourceTableOptions {
  readonly codec: Codec;
  readonly log: Log;
  readonly now?: () => number;
}

export class ResourceTable {
  readonly codec: Codec;
  readonly addresses = new AddressIndex();
  readonly #log: Log;
  readonly #now: () => number;
  readonly #types = new Map<ResourceKey, TypeTable>(
    RESOURCE_ORDER.map((key) => [key, new TypeTable(key)]),
  );
  #change = 1;
  /** resources that could not be encoded: the last good one stays */
  failures = 0;

  constructor({ codec, log, now = () => performance.now() }: ResourceTableOptions) {
    this.codec = codec;
    this.#log = log;
    this.#now = now;
  }

  /** changes so far: a version for people */
  get change(): number {
    return this.#change;
  }

  type(key: ResourceKey): TypeTable {
    return this.#types.get(key)!;
  }

  /** Adds what has changed to `changes`; what comes again as it was has not. */
  apply(update: MeshUpdate, changes: Changes): void {
    for (const key of RESOURCE_ORDER) {
      const delta = update[key] as Delta<AnyResource> | undefined;
      if (delta === undefined) continue;
      const type = RESOURCE_TYPES[key] as ResourceType;
      const table = this.type(key);
      for (const name of delta.removals) this.#remove(table, name, changes);
      for (const resource of delta.upserts) {
        this.#upsert(table, type.nameOf(resource), resource, changes);
      }
    }
  }

  #upsert(table: TypeTable, name: string, resource: AnyResource, changes: Changes): void {
    const entry = table.get(name) ?? table.make(name);
    const before = entry.resource;
    try {
      if (!entry.set(this.codec, resource)) return;
    } catch (err) {
      this.failures++;
      this.#log.error({ err, type: table.key, name }, 'a resource cannot be encoded');
      if (entry.resource === undefined && entry.holders === 0) table.free(entry);
      return;
    }
    if (before === undefined) table.count++;
    this.#note(entry, before, changes);
  }

  #remove(table: TypeTable, name: string, changes: Changes): void {
    const entry = table.get(name);
    const before = entry?.resource;
    if (entry === undefined || before === undefined) return;
    entry.clear();
    table.count--;
    this.#note(entry, before, changes);
    if (entry.holders === 0) table.free(entry);
  }

  #note(entry: Entry, before: AnyResource | undefined, changes: Changes): void {
    this.#change++;
    entry.revision++;
    entry.changedAt = this.#now();
    changes.add(entry);
    if (entry.changedAt < changes.since) changes.since = entry.changedAt;
    if (entry.key !== 'addresses') return;
    const [was, is] = [before, entry.resource] as [Address | undefined, Address | undefined];
    this.addresses.replace(entry, was, is);
    for (const address of [was, is]) {
      if (address !== undefined) for (const ip of ipsOf(address)) changes.ips.add(ip);
    }
  }
}

/** Resources of one type, and the slots they have in what streams keep. */
export class TypeTable {
  readonly key: ResourceKey;
  readonly #entries = new Map<string, Entry>();
  readonly #free: number[] = [];
  #slots = 0;
  /** without those that are gone */
  count = 0;

  constructor(key: ResourceKey) {
    this.key = key;
  }

  /** all slots are below */
  get slots(): number {
    return this.#slots;
  }

  /** those that are gone too */
  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  get(name: string): Entry | undefined {
    return this.#entries.get(name);
  }

  make(name: string): Entry {
    const entry = new Entry(this.key, name, this.#free.pop() ?? this.#slots++);
    this.#entries.set(name, entry);
    return entry;
  }

  /** A stream no longer has it. */
  release(entry: Entry): void {
    if (--entry.holders === 0 && entry.resource === undefined) this.free(entry);
  }

  free(entry: Entry): void {
    if (entry.freed) return;
    entry.freed = true;
    this.#entries.delete(entry.name);
    this.#free.push(entry.slot);
  }
}
