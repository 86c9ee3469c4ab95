/**
 * What one stream asks for by address, "<network>/<ip>": ztunnel's on-demand mode.
 *
 * The answer is a resource, or a removal, of exactly that name.  Who asks for a Service's address gets its endpoints too,
 * under their own names, as from istiod.
 */
import { aliasOf, type AddressIndex, type Alias } from './address-index.ts';
import type { Entry } from './entry.ts';
import { frameUnder, type Frame } from './frames.ts';
import type { Changes } from './resource-table.ts';

export interface AliasesOptions {
  readonly index: AddressIndex;
  readonly cluster: string | undefined;
  readonly has: (entry: Entry) => boolean;
  readonly frameOf: (entry: Entry) => Frame;
  /** The Service is asked for, or no longer. */
  readonly onService: (name: string) => void;
}

interface State {
  readonly alias: Alias;
  entry: Entry | undefined;
  /** that was sent */
  revision: number;
  /** the client knows what there is, or that there is nothing */
  told: boolean;
}

export interface AliasPlan {
  readonly frames: readonly Frame[];
  readonly gone: readonly string[];
  /** what becomes of them when it is sent */
  readonly settled: readonly { readonly name: string; readonly revision: number }[];
}

export class Aliases {
  readonly #options: AliasesOptions;
  readonly #states = new Map<string, State>();
  readonly #due = new Set<string>();
  /** how many stand for it, by name */
  readonly #resolved = new Map<string, number>();

  constructor(options: AliasesOptions) {
    this.#options = options;
  }

  get due(): boolean {
    return this.#due.size > 0;
  }

  /** Whether the name is an alias. */
  add(name: string): boolean {
    const alias = aliasOf(name);
    if (alias === undefined) return false;
    this.#count(this.#states.get(name)?.entry, -1);
    this.#states.set(name, { alias, entry: undefined, revision: 0, told: false });
    this.#due.add(name);
    return true;
  }

  remove(name: string): void {
    this.#due.delete(name);
    const state = this.#states.get(name);
    this.#states.delete(name);
    this.#count(state?.entry, -1);
  }

  /** The client has it in this version, of an earlier stream. False: no alias. */
  hold(name: string, version: string): boolean {
    const state = this.#states.get(name);
    if (state === undefined) return false;
    this.#resolve(state);
    if (state.entry !== undefined && this.#options.frameOf(state.entry).version === version) {
      state.revision = state.entry.revision;
      state.told = true;
    }
    return true;
  }

  /** Whether a Service is asked for by its address. */
  standFor(service: string): boolean {
    return this.#resolved.has(service);
  }

  mark(changes: Changes): void {
    const entries = changes.entries.get('addresses');
    for (const [name, { alias, entry }] of this.#states) {
      if (changes.ips.has(alias.ip) || (entry !== undefined && entries?.has(entry) === true)) {
        this.#due.add(name);
      }
    }
  }

  markAll(): void {
    for (const name of this.#states.keys()) this.#due.add(name);
  }

  resolve(): void {
    for (const name of this.#due) {
      const state = this.#states.get(name);
      if (state !== undefined) this.#resolve(state);
    }
  }

  /** After `resolve`. */
  plan(): AliasPlan {
    const frames: Frame[] = [];
    const gone: string[] = [];
    const settled: { name: string; revision: number }[] = [];
    for (const name of this.#due) {
      const { entry, revision, told } = this.#states.get(name)!;
      settled.push({ name, revision: entry?.revision ?? 0 });
      if (entry === undefined) {
        if (!told) gone.push(name);
      } else if (revision !== entry.revision) {
        frames.push(frameUnder(name, this.#options.frameOf(entry)));
      }
    }
    return { frames, gone, settled };
  }

  commit({ settled }: AliasPlan): void {
    for (const { name, revision } of settled) {
      this.#due.delete(name);
      const state = this.#states.get(name);
      if (state === undefined) continue;
      state.revision = revision;
      state.told = true;
    }
  }

  #resolve(state: State): void {
    const { index, cluster, has } = this.#options;
    const found = index.resolve(state.alias, cluster, has);
    const before = state.entry;
    if (found === before) return;
    state.entry = found;
    state.revision = 0;
    state.told = false;
    this.#count(before, -1);
    this.#count(found, 1);
  }

  #count(entry: Entry | undefined, by: number): void {
    if (entry === undefined) return;
    const count = (this.#resolved.get(entry.name) ?? 0) + by;
    if (count > 0) this.#resolved.set(entry.name, count);
    else this.#resolved.delete(entry.name);
    this.#options.onService(entry.name);
  }
}
