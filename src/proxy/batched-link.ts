/** A connection of the batched transport. */
import { getSystemErrorName } from 'node:util';
import { OpType } from './transport-port.ts';
import type { TransportRing } from './transport-ring.ts';
import {
  type Link,
  type LinkHandlers,
  type SecureLink,
  TlsError,
  type TlsPeer,
} from './transport.ts';

const EPROTO = 71;

/** As libuv's: code, negative errno, syscall. */
export function systemError(errno: number, syscall: string, subject = ''): Error {
  const code = getSystemErrorName(-errno);
  const message = subject === '' ? `${syscall} ${code}` : `${syscall} ${code} ${subject}`;
  return Object.assign(new Error(message), { code, errno: -errno, syscall });
}

export interface LinkOwner {
  readonly ring: TransportRing;
  /** its events are no longer wanted */
  forget(id: number): void;
}

export class BatchedLink implements Link {
  readonly id: number;
  bytesRead = 0;
  bytesWritten = 0;
  readonly #owner: LinkOwner;
  readonly #ring: TransportRing;
  #fd: number;
  #handlers: LinkHandlers | undefined;
  #paused = false;
  #ended = false;
  #closed = false;
  #needsDrain = false;
  #error: Error | undefined;
  /** what came in the turn in which another link's handler had paused this one, in order */
  #held: (() => void)[] | undefined;

  constructor(owner: LinkOwner, id: number, fd: number) {
    this.#owner = owner;
    this.#ring = owner.ring;
    this.id = id;
    this.#fd = fd;
  }

  get fd(): number {
    return this.#fd;
  }

  start(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    if (this.#closed) handlers.close(this.#error);
    else this.#ring.push(OpType.RESUME, this.id, 0, 0);
  }

  send(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ended) return true;
    this.bytesWritten += chunk.length;
    this.#ring.write(this.id, chunk);
    if (!this.#ring.isBlocked(this.id)) return true;
    this.#needsDrain = true;
    return false;
  }

  pause(): void {
    if (this.#paused || this.#closed) return;
    this.#paused = true;
    this.#ring.push(OpType.PAUSE, this.id, 0, 0);
  }

  resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    if (this.#held) queueMicrotask(() => this.#release());
    else this.#ring.push(OpType.RESUME, this.id, 0, 0);
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.#ring.push(OpType.HALF_CLOSE, this.id, 0, 0);
  }

  close(reset: boolean): void {
    if (this.#closed) return;
    this.#ring.push(OpType.CLOSE, this.id, reset ? 1 : 0, 0);
    this.#gone();
    queueMicrotask(() => this.#handlers?.close());
  }

  /** @internal `chunk` is the arena's */
  onData(chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#paused) {
      const copy = Buffer.from(chunk);
      this.#hold(() => this.onData(copy));
      return;
    }
    this.bytesRead += chunk.length;
    this.#handlers!.data(chunk);
  }

  /** @internal */
  onEnd(): void {
    if (this.#held) this.#hold(() => this.onEnd());
    else this.#handlers!.end();
  }

  /** @internal */
  onDrain(): void {
    if (!this.#needsDrain || this.#closed) return;
    this.#needsDrain = false;
    this.#handlers?.drain();
  }

  /** @internal the addon has closed the socket; errno 0: both directions had ended */
  onClosed(errno: number, alert: number): void {
    if (this.#held) this.#hold(() => this.onClosed(errno, alert));
    else if (!this.#closed) {
      this.#gone();
      if (alert > 0) this.#error = new TlsError('handshake', `alert ${alert}`);
      else if (errno === EPROTO) this.#error = new TlsError('handshake', 'a broken record');
      else if (errno > 0) this.#error = systemError(errno, 'read');
      this.#handlers?.close(this.#error);
    }
  }

  #gone(): void {
    this.#closed = true;
    this.#fd = -1;
    this.#held = undefined;
    this.#owner.forget(this.id);
  }

  #hold(event: () => void): void {
    (this.#held ??= []).push(event);
  }

  /** Until a handler pauses again, or closes. */
  #release(): void {
    if (this.#paused || !this.#held) return;
    const [event, ...rest] = this.#held;
    this.#held = undefined;
    event!();
    if (this.#closed) return;
    this.#held = rest.length > 0 ? rest : undefined;
    if (this.#held) this.#release();
    else if (!this.#paused) this.#ring.push(OpType.RESUME, this.id, 0, 0);
  }
}

export class BatchedSecureLink extends BatchedLink implements SecureLink {
  readonly peer: TlsPeer;

  constructor(owner: LinkOwner, id: number, fd: number, peer: TlsPeer) {
    super(owner, id, fd);
    this.peer = peer;
  }
}
