/**
 * Which selectors match a set of labels, without trying every selector: each is filed under its first label.
 */
export type Labels = ReadonlyMap<string, string>;

export class LabelIndex<T> {
  readonly #byLabel = new Map<string, Map<T, Labels>>();

  /** `selector` has at least one label */
  add(item: T, selector: Labels): void {
    const key = firstLabel(selector);
    const items = this.#byLabel.get(key) ?? new Map<T, Labels>();
    items.set(item, selector);
    this.#byLabel.set(key, items);
  }

  delete(item: T, selector: Labels): void {
    const key = firstLabel(selector);
    const items = this.#byLabel.get(key);
    items?.delete(item);
    if (items?.size === 0) this.#byLabel.delete(key);
  }

  *match(labels: Labels): IterableIterator<T> {
    for (const [name, value] of labels) {
      for (const [item, selector] of this.#byLabel.get(`${name}=${value}`) ?? []) {
        if (selects(selector, labels)) yield item;
      }
    }
  }
}

export function selects(selector: Labels, labels: Labels): boolean {
  for (const [name, value] of selector) if (labels.get(name) !== value) return false;
  return true;
}

function firstLabel(selector: Labels): string {
  const [first] = selector;
  return first === undefined ? '' : `${first[0]}=${first[1]}`;
}
