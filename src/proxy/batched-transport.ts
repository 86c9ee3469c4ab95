/**
 * The transport of the addon: one epoll set for all sockets of the thread, bytes in one arena, one call in and one out for all
 * that happens in a turn. About half the CPU of net.Socket, and TLS with the OpenSSL of node without node:tls.
 *
 * The thread's loop lives on: messages and timers come between the turns.
 */
import type { TlsCredentials } from '../model/tls-credentials.ts';
import { BatchedLink, BatchedSecureLink, type LinkOwner } from './batched-link.ts';
import { ECANCELED, PendingLinks } from './pending-links.ts';
import {
  EventType,
  type NativeTransport,
  OpType,
  SLOT_MASK,
  type TransportPort,
} from './transport-port.ts';
import { TransportRing } from './transport-ring.ts';
import {
  type AcceptedLink,
  type AcceptedSecureLink,
  type Endpoint,
  type Link,
  type SecureLink,
  type TlsClientProfile,
  TlsError,
  type TlsRefusal,
  type TlsServerProfile,
  type Transport,
} from './transport.ts';

/** after accept() found no descriptor left */
const ACCEPT_REST_MS = 100;

interface Accepted {
  readonly id: number;
  readonly fd: number;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

type Side = 'server' | 'client';

export class BatchedTransport implements Transport, LinkOwner {
  readonly ring: TransportRing;
  /** how often accept() found no descriptor or memory left */
  acceptFailures = 0;
  readonly #port: TransportPort;
  readonly #native: NativeTransport;
  readonly #links: (BatchedLink | undefined)[] = [];
  readonly #pending = new PendingLinks((id, reset) => this.#close(id, reset));
  readonly #listeners = new Map<number, (accepted: Accepted) => void>();
  readonly #contexts = new WeakMap<TlsCredentials, Map<Side, object>>();

  constructor(options: { port: TransportPort }) {
    this.#port = options.port;
    this.#native = options.port.openTransport((count) => this.#dispatch(count));
    this.ring = new TransportRing(this.#native);
  }

  listen(fd: number, onAccept: (accepted: AcceptedLink) => void): { close(): void } {
    return this.#listen(fd, ({ id, fd: socket, local, remote }) => {
      onAccept({ link: this.#adopt(new BatchedLink(this, id, socket)), local, remote });
    });
  }

  connect(fd: number, to: Endpoint, timeoutMs?: number): Promise<Link> {
    return new Promise((resolve, failed) => {
      const id = this.#native.connect(fd, to.address, to.port);
      const ready = (): void => resolve(this.#adopt(new BatchedLink(this, id, fd)));
      this.#pending.add(id, { to, timeoutMs, ready, failed });
    });
  }

  listenTls(
    fd: number,
    profile: TlsServerProfile,
    onAccept: (accepted: AcceptedSecureLink) => void,
    onRefused: (reason: TlsRefusal, remote: Endpoint) => void,
  ): { close(): void } {
    return this.#listen(fd, ({ id, fd: socket, local, remote }) => {
      const context = this.#serverContext(profile);
      if (!context) {
        this.#close(id, true);
        onRefused('no-credentials', remote);
        return;
      }
      this.#native.secure(id, context, profile.trustDomains);
      const ready = (): void => onAccept({ link: this.#secureLink(id, socket), local, remote });
      const refused = (reason: TlsRefusal): void => onRefused(reason, remote);
      const timeoutMs = profile.handshakeTimeoutMs;
      this.#pending.add(id, { to: remote, timeoutMs, ready, refused });
    });
  }

  connectTls(fd: number, to: Endpoint, profile: TlsClientProfile): Promise<SecureLink> {
    let context: object;
    try {
      context = this.#context(profile.credentials, 'client');
    } catch (error) {
      this.#port.closeFd(fd);
      return Promise.reject(new TlsError('no-credentials', (error as Error).message));
    }
    return new Promise((resolve, failed) => {
      const id = this.#native.connect(fd, to.address, to.port);
      this.#native.secure(id, context, profile.acceptedIds);
      const ready = (): void => resolve(this.#secureLink(id, fd));
      const refused = (reason: TlsRefusal): void => failed(new TlsError(reason));
      const timeoutMs = profile.handshakeTimeoutMs;
      this.#pending.add(id, { to, timeoutMs, ready, refused, failed });
    });
  }

  /** Ends everything at once; a worker that ends does the same. */
  close(): void {
    this.#native.close();
    for (const link of this.#links) link?.onClosed(ECANCELED, 0);
    this.#pending.failAll(ECANCELED);
    this.#listeners.clear();
  }

  /** @internal */
  forget(id: number): void {
    if (this.#links[id & SLOT_MASK]?.id === id) this.#links[id & SLOT_MASK] = undefined;
  }

  #adopt<T extends BatchedLink>(link: T): T {
    this.#links[link.id & SLOT_MASK] = link;
    return link;
  }

  #secureLink(id: number, fd: number): BatchedSecureLink {
    return this.#adopt(new BatchedSecureLink(this, id, fd, this.#native.peer(id)!));
  }

  #listen(fd: number, onAccept: (accepted: Accepted) => void): { close(): void } {
    const id = this.#native.listen(fd);
    this.#listeners.set(id, onAccept);
    return {
      close: () => {
        if (!this.#listeners.delete(id)) return;
        this.#close(id, false);
        this.#native.flush();
      },
    };
  }

  /** undefined also for credentials that OpenSSL does not take: nobody can be served with them. */
  #serverContext(profile: TlsServerProfile): object | undefined {
    const credentials = profile.credentials();
    try {
      return credentials && this.#context(credentials, 'server');
    } catch {
      return undefined;
    }
  }

  /** One for each object: a rotation brings new credentials, and the old ones' key goes with them. */
  #context(credentials: TlsCredentials, side: Side): object {
    let sides = this.#contexts.get(credentials);
    if (!sides) this.#contexts.set(credentials, (sides = new Map()));
    let context = sides.get(side);
    if (!context) {
      const { certificateChain, privateKey, roots, crls } = credentials;
      const pem = { certificateChain, privateKey, roots, ...(crls !== undefined && { crls }) };
      context = this.#port.tlsContext({ server: side === 'server', ...pem });
      sides.set(side, context);
    }
    return context;
  }

  #close(id: number, reset: boolean): void {
    this.ring.push(OpType.CLOSE, id, reset ? 1 : 0, 0);
  }

  #dispatch(count: number): void {
    const { events } = this.#native;
    for (let at = 0; at < 4 * count; at += 4) {
      try {
        this.#handle(events[at]!, events[at + 1]!, events[at + 2]!, events[at + 3]!);
      } catch (error) {
        /* As with net.Socket: uncaught, but the other links hear of theirs. */
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  #handle(type: number, id: number, a: number, b: number): void {
    const link = this.#links[id & SLOT_MASK];
    if (link?.id === id) {
      if (type === EventType.DATA) {
        this.ring.delivering(a);
        link.onData(this.ring.arena.subarray(a, a + b));
      } else if (type === EventType.END) link.onEnd();
      else if (type === EventType.DRAIN) link.onDrain();
      else if (type === EventType.CLOSED) link.onClosed(a, b);
      return;
    }
    if (this.#pending.handle(type, id, a)) return;
    if ((type & 0xff) === EventType.ACCEPTED) this.#accepted(id, a, b, type >> 8);
    else if (type === EventType.ACCEPT_FAILED) {
      this.acceptFailures++;
      setTimeout(() => this.ring.push(OpType.RESUME, id, 0, 0), ACCEPT_REST_MS);
    }
  }

  #accepted(listener: number, id: number, offset: number, length: number): void {
    const onAccept = this.#listeners.get(listener);
    /* Closed in this turn: the kernel resets what still waits in the queue of a closed listener. */
    if (!onAccept) return this.#close(id, true);
    const text = this.ring.arena.toString('latin1', offset, offset + length);
    const [fd, local = '', localPort, remote = '', remotePort] = text.split(' ');
    onAccept({
      id,
      fd: Number(fd),
      local: { address: local, port: Number(localPort) },
      remote: { address: remote, port: Number(remotePort) },
    });
  }
}
