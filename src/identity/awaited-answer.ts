/**
 * The newest of a stream's messages, for those who ask before the first one has come too.
 */
export class AwaitedAnswer<T> {
  #latest: T | undefined;
  #waiting: { readonly resolve: (value: T) => void; readonly reject: (error: Error) => void }[] =
    [];

  get given(): boolean {
    return this.#latest !== undefined;
  }

  give(value: T): void {
    this.#latest = value;
    for (const { resolve } of this.#waiting.splice(0)) resolve(value);
  }

  /** Those who wait get the error; those who ask later ask another stream. */
  fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  value(): Promise<T> {
    const latest = this.#latest;
    if (latest !== undefined) return Promise.resolve(latest);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}
