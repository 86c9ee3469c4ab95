/** TCP pass-through between an accepted link and where its origin leads. */
import type { ConnectionTable, ProxiedConnection } from './connection-table.ts';
import { join } from './pipe.ts';
import type { AcceptedLink, Link, Origin } from './transport.ts';

/** What the proxy needs of the kernel, injected by the composition root. */
export interface KernelPort {
  /** The record of an accepted connection, or undefined: then nobody may be served. Looked up once. */
  origin(listener: ListenerInfo, accepted: AcceptedLink): Origin | undefined;
}

/** Makes the second leg; rejects when nobody can be reached. */
export type Connect = (listener: ListenerInfo, origin: Origin) => Promise<Link>;

export interface ListenerInfo {
  readonly role: 'outbound' | 'inbound' | 'hbone';
  readonly podId: number;
  readonly netnsPath: string;
  readonly netnsCookie: bigint;
  readonly family: 4 | 6;
  /** the port the listening socket is really bound to */
  readonly port: number;
}

export class TcpProxy {
  readonly #kernel: KernelPort;
  readonly #connect: Connect;
  readonly #table: ConnectionTable;

  constructor(options: { kernel: KernelPort; connect: Connect; table: ConnectionTable }) {
    this.#kernel = options.kernel;
    this.#connect = options.connect;
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
}
