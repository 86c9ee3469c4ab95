/** TCP pass-through between an accepted link and where its origin leads. */
import type { ConnectionTable, ProxiedConnection } from './connection-table.ts';
import { EarlyLink } from './early-link.ts';
import { join } from './pipe.ts';
import type { AcceptedLink, Endpoint, Link, Origin } from './transport.ts';

/** What the proxy needs of the kernel, injected by the composition root. */
export interface KernelPort {
  /** The record of an accepted connection, or undefined: then nobody may be served. Looked up once. */
  origin(listener: ListenerInfo, accepted: AcceptedLink): Origin | undefined;
}

/** Makes the second leg; rejects when nobody can be reached. `early` may send its first bytes before it resolves. */
export type Connect = (listener: ListenerInfo, origin: Origin, early: EarlyLink) => Promise<Link>;

/** What policy says of a connection; `policy` and `rule` are undefined where no policy decided. */
export interface Verdict {
  readonly allowed: boolean;
  /** "namespace/name" */
  readonly policy: string | undefined;
  readonly rule: number | undefined;
}

/** Who may reach a pod: asked before its application sees anything of a connection. */
export interface InboundGuard {
  /** `peer`: the other end of the TCP connection */
  verdict(listener: ListenerInfo, origin: Origin, peer: Endpoint): Verdict;
  refused(listener: ListenerInfo, origin: Origin, peer: Endpoint, verdict: Verdict): void;
}

export interface ListenerInfo {
  readonly role: 'outbound' | 'inbound' | 'hbone';
  readonly podUid: string;
  readonly podId: number;
  readonly netnsPath: string;
  readonly netnsCookie: bigint;
  readonly family: 4 | 6;
  /** the port the listening socket is really bound to */
  readonly port: number;
  /** whether a record of this node proves who the client is */
  readonly provenance: boolean;
}

export class TcpProxy {
  readonly #kernel: KernelPort;
  readonly #connect: Connect;
  readonly #table: ConnectionTable;
  readonly #guard: InboundGuard;

  constructor(options: {
    kernel: KernelPort;
    connect: Connect;
    table: ConnectionTable;
    guard: InboundGuard;
  }) {
    this.#kernel = options.kernel;
    this.#connect = options.connect;
    this.#table = options.table;
    this.#guard = options.guard;
  }

  accept(listener: ListenerInfo, accepted: AcceptedLink): void {
    const origin = this.#kernel.origin(listener, accepted);
    if (!origin) {
      this.#table.refused++;
      accepted.link.close(true);
      return;
    }
    if (this.#admits(listener, origin, accepted)) void this.#serve(listener, accepted, origin);
  }

  /** False, and told, when policy refuses it; the link is closed. */
  #admits(listener: ListenerInfo, origin: Origin, { link, remote }: AcceptedLink): boolean {
    if (listener.role !== 'inbound') return true;
    const verdict = this.#guard.verdict(listener, origin, remote);
    if (verdict.allowed) return true;
    this.#table.denied++;
    this.#guard.refused(listener, origin, remote, verdict);
    link.close(true);
    return false;
  }

  /** Ends the connections that policy no longer allows; returns how many. */
  enforce(): number {
    return this.#table.closeWhere(
      ({ listener, origin, peer }) =>
        listener.role === 'inbound' && !this.#guard.verdict(listener, origin, peer).allowed,
    );
  }

  async #serve(listener: ListenerInfo, accepted: AcceptedLink, origin: Origin): Promise<void> {
    const { remote: peer } = accepted;
    const downstream = new EarlyLink(accepted.link);
    let upstream: Link;
    try {
      upstream = await this.#connect(listener, origin, downstream);
    } catch {
      this.#table.failed++;
      downstream.close(true);
      return;
    }
    /* Policy may have changed while the application was dialled. */
    if (!this.#admits(listener, origin, accepted)) {
      upstream.close(true);
      return;
    }
    const connection: ProxiedConnection = {
      origin,
      listener,
      peer,
      close(reset) {
        downstream.close(reset);
        upstream.close(reset);
      },
    };
    this.#table.add(connection);
    join(downstream, upstream, () => this.#table.remove(connection));
  }
}
