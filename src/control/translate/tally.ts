/**
 * How many pods each selector selects, kept up to date pod by pod, so that "matches nothing" costs no walk.
 */
export class Tally<T> {
  readonly #bySource = new Map<string, readonly T[]>();
  readonly #counts = new Map<T, number>();

  /** What `source` counts towards from now on; nothing removes it. */
  set(source: string, items: readonly T[]): void {
    for (const item of this.#bySource.get(source) ?? []) this.#add(item, -1);
    for (const item of items) this.#add(item, 1);
    if (items.length > 0) this.#bySource.set(source, items);
    else this.#bySource.delete(source);
  }

  count(item: T): number {
    return this.#counts.get(item) ?? 0;
  }

  #add(item: T, by: number): void {
    const count = this.count(item) + by;
    if (count > 0) this.#counts.set(item, count);
    else this.#counts.delete(item);
  }
}
