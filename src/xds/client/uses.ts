/**
 * Who is named, by how many, and what follows for subscriptions by name.
 */
import { LINKED_BY_NAME, type LinkedKey, type Reference } from './references.ts';

export interface NameChange {
  readonly key: LinkedKey;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export class Uses {
  /** key → name → how many name it */
  readonly #counts = new Map<LinkedKey, Map<string, number>>();
  /** "key name" the server says there is none of */
  readonly #absent = new Set<string>();
  #unused: Reference[] = [];
  /** as it was when changes were last taken: true if it was wanted then */
  readonly #before = new Map<LinkedKey, Map<string, boolean>>();

  retain(references: readonly Reference[]): void {
    for (const { key, name } of references) {
      const count = this.count(key, name);
      if (count === 0) this.#note(key, name, false);
      this.#of(key).set(name, count + 1);
    }
  }

  release(references: readonly Reference[]): void {
    for (const { key, name } of references) {
      const count = this.count(key, name);
      if (count > 1) {
        this.#of(key).set(name, count - 1);
        continue;
      }
      this.#of(key).delete(name);
      this.#absent.delete(`${key} ${name}`);
      if (!LINKED_BY_NAME.includes(key)) continue;
      this.#note(key, name, true);
      this.#unused.push({ key, name });
    }
  }

  count(key: LinkedKey, name: string): number {
    return this.#counts.get(key)?.get(name) ?? 0;
  }

  wanted(key: LinkedKey): readonly string[] {
    return LINKED_BY_NAME.includes(key) ? [...this.#of(key).keys()] : [];
  }

  /** Remembered only of what is named: a server may remove names without end. */
  absent(key: LinkedKey, name: string): void {
    if (this.count(key, name) > 0) this.#absent.add(`${key} ${name}`);
  }

  present(key: LinkedKey, name: string): void {
    this.#absent.delete(`${key} ${name}`);
  }

  isAbsent(key: LinkedKey, name: string): boolean {
    return this.#absent.has(`${key} ${name}`);
  }

  /** Of a by-name type, and nobody names it. */
  isUnneeded(key: LinkedKey, name: string): boolean {
    return LINKED_BY_NAME.includes(key) && this.count(key, name) === 0;
  }

  /** By-name resources whose last user went, and that have no new one. */
  takeUnused(): readonly Reference[] {
    const unused = this.#unused.filter(({ key, name }) => this.count(key, name) === 0);
    this.#unused = [];
    return unused;
  }

  /** Since the last call; what came and went again is not in it. */
  takeChanges(): readonly NameChange[] {
    const changes: NameChange[] = [];
    for (const [key, names] of this.#before) {
      const added: string[] = [];
      const removed: string[] = [];
      for (const [name, before] of names) {
        const now = this.count(key, name) > 0;
        if (now !== before) (now ? added : removed).push(name);
      }
      if (added.length + removed.length > 0) changes.push({ key, added, removed });
    }
    this.#before.clear();
    return changes;
  }

  #note(key: LinkedKey, name: string, before: boolean): void {
    if (!LINKED_BY_NAME.includes(key)) return;
    let names = this.#before.get(key);
    if (names === undefined) {
      names = new Map();
      this.#before.set(key, names);
    }
    if (!names.has(name)) names.set(name, before);
  }

  #of(key: LinkedKey): Map<string, number> {
    let names = this.#counts.get(key);
    if (names === undefined) {
      names = new Map();
      this.#counts.set(key, names);
    }
    return names;
  }
}
