/**
 * TCP pass-through between an accepted link and a socket in the pod's namespace: backpressure both ways, half-closes handed
 * on, a reset on one side becomes a reset on the other.
 */
import type { ConnectionTable, ProxiedConnection } from './connection-table.ts';
import { join } from './pipe.ts';
import type { AcceptedLink, Endpoint, Link, Origin, Transport } from './transport.ts';

/** What the proxy needs of the kernel, injected by the composition root. */
export interface KernelPort {
  /** The record of an accepted connection, or undefined: then nobody may be served. Looked up once. */
  origin(listener: ListenerInfo, accepted: AcceptedLink): Origin | undefined;
  /** A socket in the listener's pod, marked as the agent's; inbound legs speak for `origin`. */
  upstreamSocket(listener: ListenerInfo, origin: Origin): number;
}

export interface ListenerInfo {
  readonly role: 'outbound' | 'inbound';
  readonly podId: number;
  readonly netnsPath: string;
  readonly netnsCookie: bigint;
  readonly family: 4 | 6;
  /** the port the listening socket is really bound to */
  readonly port: number;
}

export class TcpProxy {
  readonly #transport: Transport;
  readonly #kernel: KernelPort;
  readonly #table: ConnectionTable;

  constructor(options: { transport: Transport; kernel: KernelPort; table: ConnectionTable }) {
    this.#transport = options.transport;
    this.#kernel = options.kernel;
    this.#table = options.table;
  }

  accept(listener: ListenerInfo, accepted: AcceptedLink): void {
    const origin = this.#kernel.origin(listener, accepted);
    if (!origin) {
      this.#table.refused++;
      accepted.link.close(true);
      return;
    }
    void this.#serve(listener, accepted.link, origin);
  }

  async #serve(listener: ListenerInfo, downstream: Link, origin: Origin): Promise<void> {
    let upstream: Link;
    try {
      upstream = await this.#connect(listener, origin);
    } catch {
      this.#table.failed++;
      downstream.close(true);
      return;
    }
    const connection: ProxiedConnection = {
      origin,
      podId: listener.podId,
      close(reset) {
        downstream.close(reset);
        upstream.close(reset);
      },
    };
    this.#table.add(connection);
    join(downstream, upstream, () => this.#table.remove(connection));
  }

  #connect(listener: ListenerInfo, origin: Origin): Promise<Link> {
    const to: Endpoint = origin.target;
    return this.#transport.connect(this.#kernel.upstreamSocket(listener, origin), to);
  }
}
