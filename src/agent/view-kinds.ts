/** One answer for each kind of live connection: thousands between two pods are one question. */
import type { ConnView } from '../kernel/abi/layout.gen.ts';
import type { LiveViews } from '../kernel/live-views.ts';

interface Kind<T> {
  /** one of them */
  readonly index: number;
  readonly answer: T;
  /** with the same hash */
  readonly next: Kind<T> | undefined;
}

export class ViewKinds<T> {
  readonly #live: LiveViews;
  readonly #ask: (view: ConnView) => T;
  readonly #byHash = new Map<number, Kind<T>>();

  constructor(live: LiveViews, ask: (view: ConnView) => T) {
    this.#live = live;
    this.#ask = ask;
  }

  of(index: number): T {
    const live = this.#live;
    const hash = live.kindHash(index);
    const first = this.#byHash.get(hash);
    for (let kind = first; kind !== undefined; kind = kind.next) {
      if (live.sameKind(index, kind.index)) return kind.answer;
    }
    const answer = this.#ask(live.decode(index));
    this.#byHash.set(hash, { index, answer, next: first });
    return answer;
  }
}
