/**
 * Items by their labels: which of them a selector selects, found at the cost of the rarest of its labels.
 */
import { selects, type Labels } from './label-index.ts';
import { MultiMap } from './multi-map.ts';

export class LabelledItems<T extends { readonly labels: Labels }> {
  /** by name, then by value */
  readonly #byLabel = new Map<string, MultiMap<string, T>>();

  add(item: T): void {
    for (const [name, value] of item.labels) {
      const values = this.#byLabel.get(name) ?? new MultiMap<string, T>();
      values.add(value, item);
      this.#byLabel.set(name, values);
    }
  }

  delete(item: T): void {
    for (const [name, value] of item.labels) {
      const values = this.#byLabel.get(name);
      values?.delete(value, item);
      if (values?.empty === true) this.#byLabel.delete(name);
    }
  }

  /** `selector` has at least one label */
  *select(selector: Labels): IterableIterator<T> {
    let rarest: Iterable<T> = [];
    let fewest = Infinity;
    for (const [name, value] of selector) {
      const values = this.#byLabel.get(name);
      const count = values?.count(value) ?? 0;
      if (count === 0) return;
      if (count >= fewest) continue;
      fewest = count;
      rarest = values!.get(value);
    }
    for (const item of rarest) if (selects(selector, item.labels)) yield item;
  }
}
