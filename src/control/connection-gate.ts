/**
 * TCP connections whose peers have not shown a credential that counts: few, and not for long.
 *
 * At the limit the oldest makes room: whoever opens connections and says nothing loses them to those who speak, while a
 * refusal of the newest would lock agents out for as long as the others hold on.
 */
import type { Socket } from 'node:net';

export interface GateLimits {
  /** connections without a credential, of all addresses together */
  readonly strangers: number;
  /** and of one address: agents behind a gateway that translates addresses share one */
  readonly strangersPerAddress: number;
  /** from the first packet to a call with a credential that counts */
  readonly strangerMs: number;
}

export const GATE_LIMITS: GateLimits = {
  strangers: 2048,
  strangersPerAddress: 256,
  strangerMs: 30_000,
};

interface Stranger {
  readonly socket: Socket;
  /** a socket that has closed no longer tells it */
  readonly address: string;
  readonly timer: NodeJS.Timeout;
}

export class ConnectionGate {
  readonly #limits: GateLimits;
  /** by peer, oldest first */
  readonly #strangers = new Map<string, Stranger>();
  readonly #addresses = new Map<string, number>();
  #connections = 0;
  #dropped = 0;

  constructor(limits: Partial<GateLimits> = {}) {
    this.#limits = { ...GATE_LIMITS, ...limits };
  }

  get numbers(): {
    readonly connections: number;
    readonly strangers: number;
    readonly dropped: number;
  } {
    return {
      connections: this.#connections,
      strangers: this.#strangers.size,
      dropped: this.#dropped,
    };
  }

  /** false: it has ended before it was looked at */
  enter(socket: Socket): boolean {
    const { remoteAddress: address, remotePort: port } = socket;
    if (address === undefined || port === undefined) {
      socket.destroy();
      return false;
    }
    const { strangers, strangersPerAddress, strangerMs } = this.#limits;
    if ((this.#addresses.get(address) ?? 0) >= strangersPerAddress) this.#dropOldest(address);
    else if (this.#strangers.size >= strangers) this.#dropOldest();
    const peer = peerOf(address, port);
    const timer = setTimeout(() => this.#drop(peer), strangerMs).unref();
    this.#strangers.set(peer, { socket, address, timer });
    this.#addresses.set(address, (this.#addresses.get(address) ?? 0) + 1);
    this.#connections++;
    socket.once('close', () => {
      this.#connections--;
      // Its port may be another connection's by now.
      if (this.#strangers.get(peer)?.socket === socket) this.#forget(peer);
    });
    return true;
  }

  /** A call of that peer (ADDRESS:PORT) carried a credential that counts. */
  known(peer: string): void {
    this.#forget(peer);
  }

  /** Ends those that said nothing. */
  close(): void {
    for (const peer of [...this.#strangers.keys()]) this.#drop(peer);
  }

  #dropOldest(address?: string): void {
    for (const [peer, stranger] of this.#strangers) {
      if (address === undefined || stranger.address === address) return this.#drop(peer);
    }
  }

  #drop(peer: string): void {
    const stranger = this.#strangers.get(peer);
    if (stranger === undefined) return;
    this.#dropped++;
    this.#forget(peer);
    stranger.socket.destroy();
  }

  #forget(peer: string): void {
    const stranger = this.#strangers.get(peer);
    if (stranger === undefined) return;
    const { address, timer } = stranger;
    clearTimeout(timer);
    this.#strangers.delete(peer);
    const left = (this.#addresses.get(address) ?? 1) - 1;
    if (left > 0) this.#addresses.set(address, left);
    else this.#addresses.delete(address);
  }
}

/** As gRPC writes it. */
function peerOf(address: string, port: number): string {
  return `${address}:${port}`;
}
