/**
 * What one stream asks for of one type, what it was sent, and what it must still be told.
 *
 * What is due is a set of resources, not of messages: a stream that takes nothing for an hour is behind by at most one
 * revision of each.
 */
import type { MeshResources, ResourceKey } from '../resource-types.ts';
import { Aliases } from './aliases.ts';
import type { Entry } from './entry.ts';
import { bytesOf, type Frame } from './frames.ts';
import { removalsOf, type Plan } from './plan.ts';
import type { Changes, ResourceTable, TypeTable } from './resource-table.ts';
import type { Scope } from './scope.ts';
import { HELD, SentRevisions } from './sent-revisions.ts';

export const WILDCARD = '*';

export class Subscription {
  readonly key: ResourceKey;
  readonly names = new Set<string>();
  wildcard = false;
  /** when the oldest change that is due came, performance.now() */
  since = Infinity;
  readonly #table: ResourceTable;
  readonly #type: TypeTable;
  readonly #scope: Scope;
  readonly #sent: SentRevisions;
  readonly #aliases: Aliases;
  readonly #dirty = new Set<Entry>();
  readonly #upserts = new Set<Entry>();
  readonly #removals = new Set<Entry>();
  readonly #strays = new Set<string>();
  /** what the last response in the state of the world said, where others may refer to it */
  #said: ReadonlyMap<Entry, Frame> = new Map();
  #rescan = false;
  /** an answer is owed even if it says nothing new */
  #owed = true;

  constructor(key: ResourceKey, table: ResourceTable, scope: Scope) {
    this.key = key;
    this.#table = table;
    this.#type = table.type(key);
    this.#scope = scope;
    this.#sent = new SentRevisions(this.#type);
    this.#aliases = new Aliases({
      index: table.addresses,
      cluster: scope.cluster,
      has: (entry) => this.#inScope(entry),
      frameOf: (entry) => this.#frameOf(entry),
      onService: (name) => this.#markEndpoints(name),
    });
  }

  /** something is to be sent before what refers to it */
  get due(): boolean {
    if (this.#owed || this.#rescan || this.#aliases.due) return true;
    return this.#dirty.size + this.#upserts.size + this.#strays.size > 0;
  }

  get removalsDue(): boolean {
    return this.#removals.size > 0;
  }

  /** resources the client has */
  get held(): number {
    return this.#sent.count;
  }

  /** Names a client asks for; what it has already is sent again, as it may have thrown it away. */
  subscribe(names: Iterable<string>): void {
    for (const name of names) {
      if (name === WILDCARD) {
        this.wildcard = true;
        this.#rescan = true;
        continue;
      }
      this.names.add(name);
      if (this.key === 'addresses' && this.#aliases.add(name)) continue;
      const entry = this.#type.get(name);
      if (entry !== undefined && this.#wants(entry)) this.#again(entry);
      else this.#strays.add(name);
      this.#markEndpoints(name);
    }
  }

  /** The client forgets what it no longer asks for without being told. */
  unsubscribe(names: Iterable<string>): void {
    for (const name of names) {
      if (name === WILDCARD) {
        this.#leaveWildcard();
        continue;
      }
      if (!this.names.delete(name)) continue;
      this.#strays.delete(name);
      this.#aliases.remove(name);
      const entry = this.#type.get(name);
      if (entry !== undefined) {
        // With a wildcard it forgets the name, and yet is to have it with everything else.
        if (this.#wants(entry)) this.#again(entry);
        else this.#sent.forget(entry);
      }
      this.#markEndpoints(name);
    }
  }

  /** All names of the state-of-the-world protocol. */
  setNames(names: readonly string[], first: boolean): void {
    if (names.length === 0 && (first || this.wildcard)) {
      if (first) this.subscribe([WILDCARD]);
      return;
    }
    const asked = new Set(names);
    const gone = [...this.names].filter((name) => !asked.has(name));
    if (this.wildcard && !asked.has(WILDCARD)) gone.push(WILDCARD);
    const fresh = names.filter(
      (name) => !this.names.has(name) && !(name === WILDCARD && this.wildcard),
    );
    this.unsubscribe(gone);
    this.subscribe(fresh);
    if (fresh.length > 0) this.#owed = true;
  }

  /** What the client has of an earlier stream: name → version. */
  hold(versions: Iterable<readonly [string, string]>): void {
    for (const [name, version] of versions) {
      if (this.#aliases.hold(name, version)) continue;
      const entry = this.#type.get(name);
      if (entry?.resource === undefined) {
        this.#strays.add(name);
        continue;
      }
      const same = this.#frameOf(entry).version === version;
      this.#sent.set(entry, same ? entry.revision : HELD);
      this.#dirty.add(entry);
    }
  }

  /** The client has all of it as it is now. */
  assume(): void {
    this.commit(this.planWhole());
  }

  mark(changes: Changes): void {
    for (const entry of changes.entries.get(this.key) ?? []) {
      const known = this.#upserts.has(entry) || this.#removals.has(entry);
      if (!known && this.#stateOf(entry) === 'none') continue;
      this.#dirty.add(entry);
      this.since = Math.min(this.since, entry.changedAt);
    }
    this.#aliases.mark(changes);
  }

  /** Look at everything again. */
  rescan(): void {
    this.#rescan = true;
    this.#aliases.markAll();
  }

  plan(kind: 'all' | 'upserts' | 'removals'): Plan {
    this.#prepare();
    const removals = kind === 'upserts' ? [] : [...this.#removals];
    if (kind === 'removals') return removalsOf(removals);
    const aliases = this.#aliases.plan();
    const upserts = [...this.#upserts];
    const frames = [...upserts.map((entry) => this.#frameOf(entry)), ...aliases.frames];
    const strays = [...aliases.gone];
    for (const name of this.#strays) if (!this.#isThere(name)) strays.push(name);
    const news = this.#owed || frames.length + removals.length + strays.length > 0;
    const bytes = bytesOf(frames);
    return { kind, upserts, kept: [], frames, removals, strays, aliases, bytes, news };
  }

  /** For the state-of-the-world protocol, in which what is not there is gone; `keep`: nothing is to go yet. */
  planWhole(keep = false): Plan {
    this.#prepare();
    const upserts = [...this.wanted()];
    const frames = upserts.map((entry) => this.#frameOf(entry));
    const says = (entry: Entry): boolean => keep && this.#said.has(entry);
    const kept = [...this.#removals].filter(says);
    const removals = [...this.#removals].filter((entry) => !says(entry));
    frames.push(...kept.map((entry) => this.#said.get(entry)!));
    const aliases = this.#aliases.plan();
    frames.push(...aliases.frames);
    const news = this.#owed || this.#upserts.size + removals.length + this.#strays.size > 0;
    return {
      kind: 'whole',
      upserts,
      kept,
      frames,
      removals,
      strays: [],
      aliases,
      bytes: bytesOf(frames),
      news,
    };
  }

  /** It is on its way, or there was no news in it. */
  commit({ kind, upserts, kept, frames, removals, aliases }: Plan): void {
    if (kind === 'whole' && this.key !== 'addresses') {
      this.#said = new Map([...upserts, ...kept].map((entry, at) => [entry, frames[at]!]));
    }
    for (const entry of upserts) {
      this.#upserts.delete(entry);
      this.#sent.set(entry, entry.revision);
    }
    for (const entry of removals) {
      this.#removals.delete(entry);
      this.#sent.forget(entry);
    }
    if (aliases !== undefined) this.#aliases.commit(aliases);
    if (kind === 'removals') return;
    this.#strays.clear();
    this.#owed = false;
    this.since = Infinity;
  }

  /** Everything the stream has when nothing is left to send, without aliases. */
  *wanted(): Iterable<Entry> {
    for (const entry of this.#type.entries()) if (this.#wants(entry)) yield entry;
  }

  close(): void {
    this.#sent.forgetAll();
  }

  #prepare(): void {
    // Which may bring or lose a Service's endpoints.
    this.#aliases.resolve();
    if (this.#rescan) {
      this.#upserts.clear();
      this.#removals.clear();
    }
    for (const entry of this.#rescan ? this.#type.entries() : this.#dirty) {
      this.#upserts.delete(entry);
      this.#removals.delete(entry);
      const state = this.#stateOf(entry);
      if (state === 'upsert') this.#upserts.add(entry);
      else if (state === 'removal') this.#removals.add(entry);
    }
    this.#dirty.clear();
    this.#rescan = false;
  }

  #stateOf(entry: Entry): 'upsert' | 'removal' | 'none' {
    if (entry.freed) return 'none';
    const sent = this.#sent.of(entry);
    if (this.#wants(entry)) return sent === entry.revision ? 'none' : 'upsert';
    return sent === 0 ? 'none' : 'removal';
  }

  #wants(entry: Entry): boolean {
    return this.#asks(entry) && this.#inScope(entry);
  }

  #inScope({ key, name, resource }: Entry): boolean {
    return resource !== undefined && this.#scope.has(key, name, resource);
  }

  #asks(entry: Entry): boolean {
    if (this.wildcard || this.names.has(entry.name)) return true;
    if (this.key !== 'addresses' || this.names.size === 0) return false;
    const address = entry.resource as MeshResources['addresses'] | undefined;
    if (address?.kind !== 'workload') return false;
    for (const service of address.workload.services.keys()) {
      if (this.names.has(service) || this.#aliases.standFor(service)) return true;
    }
    return false;
  }

  #again(entry: Entry): void {
    if (this.#sent.of(entry) !== 0) this.#sent.set(entry, HELD);
    this.#dirty.add(entry);
  }

  #markEndpoints(service: string): void {
    if (this.key !== 'addresses' || this.wildcard) return;
    for (const entry of this.#table.addresses.endpointsOf(service)) this.#dirty.add(entry);
  }

  #isThere(name: string): boolean {
    const entry = this.#type.get(name);
    return entry !== undefined && this.#wants(entry);
  }

  #leaveWildcard(): void {
    this.wildcard = false;
    for (const entry of this.#type.entries()) {
      if (!this.#asks(entry)) this.#sent.forget(entry);
    }
    for (const set of [this.#upserts, this.#removals]) {
      for (const entry of set) if (this.#stateOf(entry) === 'none') set.delete(entry);
    }
  }

  #frameOf(entry: Entry): Frame {
    return entry.frame(this.#table.codec, this.#scope.cluster);
  }
}
