/**
 * An accepted connection whose first bytes may leave before anybody has answered for its other end: that saves a round trip.
 *
 * What was sent early is kept until the answer, for whoever is asked next when the first one has certainly not looked at it.
 */
import type { Link, LinkHandlers } from './transport.ts';

/** A read more may come on top. */
const MAX_EARLY_BYTES = 16 * 1024;

export class EarlyLink implements Link {
  readonly #link: Link;
  #handlers: LinkHandlers | undefined;
  /** undefined: nothing is read early */
  #carrier: Link | undefined;
  readonly #early: Buffer[] = [];
  #bytes = 0;
  #ended = false;
  #closed = false;
  #error: Error | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  get fd(): number {
    return this.#link.fd;
  }

  get bytesRead(): number {
    return this.#link.bytesRead;
  }

  get bytesWritten(): number {
    return this.#link.bytesWritten;
  }

  /** It is read: whoever is asked next must carry it on. */
  get isCarried(): boolean {
    return this.#carrier !== undefined;
  }

  /** Bytes have left that nobody has answered for. */
  get hasSent(): boolean {
    return this.#bytes > 0;
  }

  /** From now on bytes go to `carrier`, beginning with those that were sent to another one in vain. */
  carry(carrier: Link): void {
    const isFirst = this.#carrier === undefined;
    this.#carrier = carrier;
    for (const chunk of this.#early) carrier.send(chunk);
    if (isFirst) this.#link.start(this.#events());
  }

  /** There is an answer, and the carrier is whom `handlers` sends to. */
  start(handlers: LinkHandlers): void {
    if (this.#carrier === undefined) {
      this.#link.start(handlers);
      return;
    }
    this.#handlers = handlers;
    this.#early.length = 0;
    if (this.#ended) handlers.end();
    if (this.#closed) handlers.close(this.#error);
    else this.#link.resume();
  }

  send(chunk: Uint8Array): boolean {
    return this.#link.send(chunk);
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    this.#link.resume();
  }

  end(): void {
    this.#link.end();
  }

  close(reset: boolean): void {
    this.#link.close(reset);
  }

  #events(): LinkHandlers {
    return {
      data: (chunk) => (this.#handlers ? this.#handlers.data(chunk) : this.#sendEarly(chunk)),
      end: () => {
        this.#ended = true;
        this.#handlers?.end();
      },
      drain: () => this.#handlers?.drain(),
      close: (error) => {
        this.#closed = true;
        this.#error = error;
        this.#handlers?.close(error);
      },
    };
  }

  #sendEarly(chunk: Buffer): void {
    const kept = Buffer.from(chunk);
    this.#early.push(kept);
    this.#bytes += kept.length;
    const more = this.#carrier!.send(kept);
    if (!more || this.#bytes >= MAX_EARLY_BYTES) this.#link.pause();
  }
}
