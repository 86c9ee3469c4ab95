/** What a link's handlers heard, and promises of what they will hear. */
import { createHash } from 'node:crypto';
import type { Link, LinkHandlers } from '../../src/proxy/transport.ts';

export class LinkRecorder implements LinkHandlers {
  readonly link: Link;
  bytes = 0;
  ended = false;
  /** every call by its name, data once in a row */
  readonly calls: string[] = [];
  readonly #hash = createHash('sha256');
  readonly #waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];
  readonly closed: Promise<Error | undefined>;
  #close!: (error: Error | undefined) => void;
  onData: (chunk: Buffer) => void = () => {};
  onEnd: () => void = () => {};
  onDrain: () => void = () => {};

  constructor(link: Link) {
    this.link = link;
    this.closed = new Promise((resolve) => (this.#close = resolve));
  }

  start(): this {
    this.link.start(this);
    return this;
  }

  data(chunk: Buffer): void {
    this.#note('data');
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    this.onData(chunk);
    this.#look();
  }

  end(): void {
    this.#note('end');
    this.ended = true;
    this.onEnd();
    this.#look();
  }

  drain(): void {
    this.#note('drain');
    this.onDrain();
  }

  close(error?: Error): void {
    this.#note('close');
    this.#close(error);
  }

  /** Once, at the end. */
  digest(): string {
    return this.#hash.digest('hex');
  }

  until(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ done, resolve }));
  }

  #note(call: string): void {
    if (call !== 'data' || this.calls.at(-1) !== 'data') this.calls.push(call);
  }

  #look(): void {
    for (const { done, resolve } of this.#waiting) if (done()) resolve();
  }
}

/** Sends all of it, waiting for drain() when told to; then ends. */
export function sendAll(recorder: LinkRecorder, chunks: readonly Uint8Array[]): void {
  let next = 0;
  const more = (): void => {
    while (next < chunks.length) if (!recorder.link.send(chunks[next++]!)) return;
    recorder.link.end();
  };
  recorder.onDrain = more;
  more();
}

export const codeOf = (error: Error | undefined): string | undefined =>
  error && ((error as NodeJS.ErrnoException).code ?? error.message);
