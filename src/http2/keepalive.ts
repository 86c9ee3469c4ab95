/** PING at intervals: a peer whose network namespace is gone sends neither FIN nor RST. */

export interface KeepaliveTimes {
  readonly intervalMs: number;
  /** without an answer for so long the peer is gone */
  readonly timeoutMs: number;
}

/** ztunnel's */
export const KEEPALIVE: KeepaliveTimes = { intervalMs: 10_000, timeoutMs: 20_000 };

const OPAQUE = Buffer.from('alive\0\0\0', 'latin1');

export class Keepalive {
  readonly #times: KeepaliveTimes;
  readonly #ping: (opaque: Buffer) => void;
  readonly #onDead: () => void;
  readonly #timer: NodeJS.Timeout;
  /** ms since 1970 of the PING that waits for its answer */
  #sentAt: number | undefined;

  constructor(options: {
    times: KeepaliveTimes;
    ping: (opaque: Buffer) => void;
    onDead: () => void;
  }) {
    this.#times = options.times;
    this.#ping = options.ping;
    this.#onDead = options.onDead;
    this.#timer = setInterval(() => this.#tick(), options.times.intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  pong(): void {
    this.#sentAt = undefined;
  }

  #tick(): void {
    const now = Date.now();
    if (this.#sentAt === undefined) {
      this.#sentAt = now;
      this.#ping(OPAQUE);
    } else if (now - this.#sentAt >= this.#times.timeoutMs) {
      this.#onDead();
    }
  }
}
