/**
 * The newest of a stream's messages, for those who ask before the first one has come too.
 */
interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export class AwaitedAnswer<T> {
  #latest: T | undefined;
  readonly #waiting = new Set<Waiting<T>>();

  /** undefined: there was none yet */
  get latest(): T | undefined {
    return this.#latest;
  }

  give(value: T): void {
    this.#latest = value;
    this.#each(({ resolve }) => resolve(value));
  }

  /** Those who wait get the error; those who ask later ask another stream. */
  fail(error: Error): void {
    this.#each(({ reject }) => reject(error));
  }

  /** Rejects with `late` when there is none within that time. */
  value(timeoutMs: number, late: string): Promise<T> {
    if (this.#latest !== undefined) return Promise.resolve(this.#latest);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(one);
        reject(new Error(late));
      }, timeoutMs);
      const one: Waiting<T> = {
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      };
      this.#waiting.add(one);
    });
  }

  #each(tell: (one: Waiting<T>) => void): void {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const one of all) tell(one);
  }
}
