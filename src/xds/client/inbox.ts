/**
 * Messages of a stream, worked off one after the other.  The stream is paused meanwhile, so that a server that sends
 * faster than we decode is held back by HTTP/2 flow control and not by our memory.
 */
import type { AdsStream } from './channel.ts';

export interface InboxOptions {
  /** of today; what came by another one is dropped */
  readonly stream: () => AdsStream | undefined;
  readonly take: (message: unknown, stream: AdsStream) => Promise<void>;
  readonly failed: (error: unknown, stream: AdsStream) => void;
}

export class Inbox {
  readonly #options: InboxOptions;
  #messages: unknown[] = [];
  #working = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  put(message: unknown): void {
    this.#messages.push(message);
    this.#options.stream()?.pause();
    if (!this.#working) void this.#work();
  }

  clear(): void {
    this.#messages = [];
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (;;) {
      const stream = this.#options.stream();
      if (stream === undefined || this.#messages.length === 0) break;
      try {
        await this.#options.take(this.#messages.shift(), stream);
      } catch (error) {
        this.#options.failed(error, stream);
      }
    }
    this.#working = false;
    this.#options.stream()?.resume();
  }
}
