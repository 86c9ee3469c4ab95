/**
 * Checks of resources against one another, redone only where a change can be felt.
 *
 *   resource ── provides ──► key ◄── looked up by ── resource
 *
 * A key is a name under which others find a resource: "host reviews.shop.svc.cluster.local", "gateway shop/main".  What a
 * check looked up is remembered, found or not, and a change of a resource redoes the checks that looked up one of its keys.
 */
import type { Finding } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';
import type { ResourceChange } from '../../resource-index.ts';

export interface View {
  /** What is known by the key, in no order. */
  find(key: string): Iterable<Resource>;
  /** Whether anything is: redone only when that changes. */
  some(key: string): boolean;
}

export interface ResourceRules {
  /** keys under which others find the resource */
  provides(resource: Resource): Iterable<string>;
  /** undefined: nothing of this kind depends on others */
  check(resource: Resource, view: View): readonly Finding[] | undefined;
}

/** Keys of `some` live beside those of `find`. */
const SOME = '? ';
const NOTHING: ReadonlySet<Resource> = new Set();

export class ReferenceGraph {
  readonly #rules: ResourceRules;
  readonly #providers = new Map<string, Set<Resource>>();
  readonly #dependents = new Map<string, Set<Resource>>();
  readonly #lookups = new Map<Resource, Set<string>>();
  readonly #findings = new Map<Resource, readonly Finding[]>();

  constructor(rules: ResourceRules) {
    this.#rules = rules;
  }

  /** Gives how many checks were done. */
  apply(changes: readonly ResourceChange[]): number {
    const dirty = new Set<Resource>();
    for (const { before } of changes) {
      if (before === undefined) continue;
      for (const key of this.#rules.provides(before)) this.#withdraw(key, before, dirty);
      this.#forget(before);
    }
    for (const { after } of changes) {
      if (after === undefined) continue;
      for (const key of this.#rules.provides(after)) this.#provide(key, after, dirty);
      dirty.add(after);
    }
    // Those that are gone stand in no list of dependents any more, but may have been marked before they went.
    for (const { before, after } of changes) {
      if (before !== undefined && before !== after) dirty.delete(before);
    }
    for (const resource of dirty) this.#check(resource);
    return dirty.size;
  }

  *findings(): IterableIterator<Finding> {
    for (const findings of this.#findings.values()) yield* findings;
  }

  /** What a resource that is not (yet) part of the mesh would be told. */
  preview(resource: Resource): readonly Finding[] {
    const view: View = {
      find: (key) => this.#found(key, resource),
      some: (key) => this.#providers.has(key),
    };
    return this.#rules.check(resource, view) ?? [];
  }

  /** Its older self, which it is about to replace, is not in its own way. */
  *#found(key: string, { id, cluster }: Resource): IterableIterator<Resource> {
    for (const other of this.#providers.get(key) ?? NOTHING) {
      if (other.id !== id || other.cluster !== cluster) yield other;
    }
  }

  #check(resource: Resource): void {
    this.#forget(resource);
    const lookups = new Set<string>();
    const findings = this.#rules.check(resource, {
      find: (key) => {
        lookups.add(key);
        return this.#providers.get(key) ?? NOTHING;
      },
      some: (key) => {
        lookups.add(SOME + key);
        return this.#providers.has(key);
      },
    });
    if (findings === undefined) return;
    if (findings.length > 0) this.#findings.set(resource, findings);
    if (lookups.size === 0) return;
    this.#lookups.set(resource, lookups);
    for (const key of lookups) add(this.#dependents, key, resource);
  }

  #forget(resource: Resource): void {
    this.#findings.delete(resource);
    for (const key of this.#lookups.get(resource) ?? []) remove(this.#dependents, key, resource);
    this.#lookups.delete(resource);
  }

  #provide(key: string, resource: Resource, dirty: Set<Resource>): void {
    if (!this.#providers.has(key)) this.#mark(SOME + key, dirty);
    add(this.#providers, key, resource);
    this.#mark(key, dirty);
  }

  #withdraw(key: string, resource: Resource, dirty: Set<Resource>): void {
    remove(this.#providers, key, resource);
    if (!this.#providers.has(key)) this.#mark(SOME + key, dirty);
    this.#mark(key, dirty);
  }

  #mark(key: string, dirty: Set<Resource>): void {
    for (const resource of this.#dependents.get(key) ?? NOTHING) dirty.add(resource);
  }
}

function add(map: Map<string, Set<Resource>>, key: string, resource: Resource): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([resource]));
  else set.add(resource);
}

function remove(map: Map<string, Set<Resource>>, key: string, resource: Resource): void {
  const set = map.get(key);
  if (set?.delete(resource) && set.size === 0) map.delete(key);
}
