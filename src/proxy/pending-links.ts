/** Sockets of the batched transport that are no links yet: they connect, or have their TLS handshake. */
import { systemError } from './batched-link.ts';
import { EventType } from './transport-port.ts';
import { type Endpoint, TLS_REFUSALS, type TlsRefusal } from './transport.ts';

export const ECANCELED = 125;
const ETIMEDOUT = 110;
/** how long a refused peer is listened to, so that it hears our alert */
const REFUSED_MS = 1000;

export interface Expectation {
  readonly to: Endpoint;
  readonly timeoutMs: number | undefined;
  readonly ready: () => void;
  /** present: there is a TLS handshake, and it failed */
  readonly refused?: (reason: TlsRefusal) => void;
  /** absent: it was accepted, and is connected */
  readonly failed?: (error: Error) => void;
}

interface Pending {
  readonly expectation: Expectation;
  readonly timer: NodeJS.Timeout | undefined;
  connected: boolean;
}

export class PendingLinks {
  readonly #close: (id: number, reset: boolean) => void;
  readonly #pending = new Map<number, Pending>();

  constructor(close: (id: number, reset: boolean) => void) {
    this.#close = close;
  }

  /** One of the expectation's functions will be called, once. */
  add(id: number, expectation: Expectation): void {
    const { timeoutMs } = expectation;
    const expire = (): void => {
      this.#close(id, true);
      this.#fail(id, ETIMEDOUT);
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
    this.#pending.set(id, { expectation, timer, connected: !expectation.failed });
  }

  /** Whether the event was one of these sockets'. */
  handle(type: number, id: number, detail: number): boolean {
    const pending = this.#pending.get(id);
    if (!pending) return false;
    const { ready, refused } = pending.expectation;
    if (type === EventType.CLOSED) this.#fail(id, detail);
    else if (type === EventType.REFUSED) {
      this.#remove(id, pending);
      setTimeout(() => this.#close(id, false), REFUSED_MS);
      refused?.(TLS_REFUSALS[detail]!);
    } else if (type === EventType.SECURED || (type === EventType.CONNECTED && !refused)) {
      this.#remove(id, pending);
      ready();
    } else if (type === EventType.CONNECTED) pending.connected = true;
    return true;
  }

  failAll(errno: number): void {
    for (const id of [...this.#pending.keys()]) this.#fail(id, errno);
  }

  #remove(id: number, pending: Pending): void {
    this.#pending.delete(id);
    clearTimeout(pending.timer);
  }

  #fail(id: number, errno: number): void {
    const pending = this.#pending.get(id)!;
    this.#remove(id, pending);
    const { failed, refused, to } = pending.expectation;
    if (pending.connected) refused?.(errno === ETIMEDOUT ? 'timeout' : 'closed');
    else failed?.(connectError(errno, to));
  }
}

function connectError(errno: number, to: Endpoint): Error {
  return Object.assign(systemError(errno, 'connect', `${to.address}:${to.port}`), { ...to });
}
