/**
 * The sources are told which Secrets are named: that shows when everything else is put together, and is not theirs to find
 * out.
 */
import type { NamedSecrets } from './translate/l7/named-secrets.ts';
import type { Source } from './sources/source.ts';

export class FollowedSecrets {
  readonly #sources: readonly Source[];
  readonly #onRead: () => void;
  #version = 0;
  /** how often sources were asked and have not answered yet */
  #asked = 0;
  #read: Promise<void> = Promise.resolve();

  /** `onRead`: an answer has come */
  constructor(sources: readonly Source[], onRead: () => void) {
    this.#sources = sources;
    this.#onRead = onRead;
  }

  get areAwaited(): boolean {
    return this.#asked > 0;
  }

  follow({ names, version }: NamedSecrets): void {
    if (this.#version === version) return;
    this.#version = version;
    const wanted = new Set(names);
    const follows = this.#sources.flatMap((source) => source.followSecrets?.(wanted) ?? []);
    if (follows.length === 0) return;
    this.#asked++;
    this.#read = Promise.all([this.#read, ...follows]).then(() => {
      this.#asked--;
      this.#onRead();
    });
  }

  /** Resolves when every Secret that something names was read, is missing or cannot be read. */
  async read(): Promise<void> {
    // One that is read may show that another one is needed.
    for (let last; last !== this.#read;) {
      last = this.#read;
      await last;
    }
  }
}
