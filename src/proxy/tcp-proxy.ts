/**
 * TCP pass-through between an accepted link and a socket in the pod's namespace: backpressure both ways, half-closes handed
 * on, a reset on one side becomes a reset on the other.
 */
import type { ConnectionTable, ProxiedConnection } from './connection-table.ts';
import type { AcceptedLink, Endpoint, Link, Origin, Transport } from './transport.ts';

/** What the proxy needs of the kernel, injected by the composition root. */
export interface KernelPort {
  /** The record of an accepted connection, or undefined: then nobody may be served. Looked up once. */
  origin(listener: ListenerInfo, accepted: AcceptedLink): Origin | undefined;
  /** A socket in the listener's pod, marked as the agent's; inbound legs speak for `origin`. */
  upstreamSocket(listener: ListenerInfo, origin: Origin): number;
}

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
  readonly role: 'outbound' | 'inbound';
  readonly podUid: string;
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
  readonly #guard: InboundGuard;

  constructor(options: {
    transport: Transport;
    kernel: KernelPort;
    table: ConnectionTable;
    guard: InboundGuard;
  }) {
    this.#transport = options.transport;
    this.#kernel = options.kernel;
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
    const { link: downstream, remote: peer } = accepted;
    let upstream: Link;
    try {
      upstream = await this.#connect(listener, origin);
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
    let open = 2;
    const closed = (peer: Link, error?: Error): void => {
      if (--open === 0) this.#table.remove(connection);
      /* An orderly end needs nothing here: both directions have been ended, and what is queued may still leave. */
      else if (error) peer.close(true);
    };
    pipe(downstream, upstream, closed);
    pipe(upstream, downstream, closed);
  }

  #connect(listener: ListenerInfo, origin: Origin): Promise<Link> {
    const to: Endpoint = origin.target;
    return this.#transport.connect(this.#kernel.upstreamSocket(listener, origin), to);
  }
}

/** Bytes of `from` go to `to`; `closed` hears when `from` has ended for good. */
function pipe(from: Link, to: Link, closed: (peer: Link, error?: Error) => void): void {
  let ended = false;
  from.start({
    data(chunk) {
      if (!to.send(chunk)) from.pause();
    },
    end() {
      ended = true;
      to.end();
    },
    /* `from` takes bytes again: its peer may go on reading. */
    drain() {
      to.resume();
    },
    close(error) {
      closed(to, error ?? (ended ? undefined : new Error('closed without end')));
    },
  });
}
