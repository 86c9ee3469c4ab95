/** The transport every Node has: net.Socket and node:tls. No native code beyond the sockets themselves. */
import { createServer, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type CloseOrderly, NetLink } from './net-link.ts';
import { SecureNetLink } from './secure-net-link.ts';
import { handshake } from './tls/connector.ts';
import { TlsContexts } from './tls/context.ts';
import { TlsListener } from './tls/listener.ts';
import {
  type AcceptedLink,
  type AcceptedSecureLink,
  type Endpoint,
  type Link,
  type SecureLink,
  type TlsClientProfile,
  TlsError,
  type TlsPeer,
  type TlsRefusal,
  type TlsServerProfile,
  type Transport,
} from './transport.ts';
import { WriteBuffers } from './write-buffers.ts';

/** '::ffff:10.0.0.1' is shown as what it is. */
function plain(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** As the accepted socket shows them; both are gone when it is closed. */
function endsOf(socket: Socket): { local: Endpoint; remote: Endpoint } {
  return {
    local: { address: plain(socket.localAddress), port: socket.localPort ?? 0 },
    remote: { address: plain(socket.remoteAddress), port: socket.remotePort ?? 0 },
  };
}

export class NetTransport implements Transport {
  readonly #closeOrderly: CloseOrderly;
  readonly #contexts = new TlsContexts();
  readonly #buffers = new WriteBuffers();

  constructor(options: { closeOrderly: CloseOrderly }) {
    this.#closeOrderly = options.closeOrderly;
  }

  listen(fd: number, onAccept: (accepted: AcceptedLink) => void): { close(): void } {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      onAccept({ link: new NetLink(socket, this.#closeOrderly), ...endsOf(socket) });
    });
    server.listen({ fd });
    return { close: () => server.close() };
  }

  async connect(fd: number, to: Endpoint, timeoutMs?: number): Promise<Link> {
    return new NetLink(await this.#connected(fd, to, timeoutMs), this.#closeOrderly);
  }

  listenTls(
    fd: number,
    profile: TlsServerProfile,
    onAccept: (accepted: AcceptedSecureLink) => void,
    onRefused: (reason: TlsRefusal, remote: Endpoint) => void,
  ): { close(): void } {
    const listener = new TlsListener({ profile, contexts: this.#contexts });
    /* A client that ends during the handshake is gone; half-closes have a meaning after it only. */
    const server = createServer({ allowHalfOpen: false, pauseOnConnect: true }, (raw) => {
      const ends = endsOf(raw);
      /* Errors of the connection are told by the TLS socket above it, once there is one. */
      raw.on('error', () => undefined);
      raw.setNoDelay(true);
      listener.accept(raw).then(
        ({ socket, peer }) => onAccept({ link: this.#secureLink(raw, socket, peer), ...ends }),
        (error: unknown) => {
          raw.destroy();
          onRefused(error instanceof TlsError ? error.reason : 'handshake', ends.remote);
        },
      );
    });
    server.listen({ fd });
    return { close: () => server.close() };
  }

  async connectTls(fd: number, to: Endpoint, profile: TlsClientProfile): Promise<SecureLink> {
    const start = Date.now();
    const raw = await this.#connected(fd, to, profile.handshakeTimeoutMs);
    raw.on('error', () => undefined);
    raw.setNoDelay(true);
    const handshakeTimeoutMs = Math.max(1, profile.handshakeTimeoutMs - (Date.now() - start));
    const rest = { ...profile, handshakeTimeoutMs };
    const { socket, peer } = await handshake(raw, rest, this.#contexts);
    return this.#secureLink(raw, socket, peer);
  }

  #secureLink(raw: Socket, socket: TLSSocket, peer: TlsPeer): SecureLink {
    raw.allowHalfOpen = true;
    socket.allowHalfOpen = true;
    const [buffers, closeOrderly] = [this.#buffers, this.#closeOrderly];
    return new SecureNetLink({ raw, socket, peer, buffers, closeOrderly });
  }

  #connected(fd: number, to: Endpoint, timeoutMs?: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = new Socket({ fd, allowHalfOpen: true });
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => socket.destroy(timedOut(to)), timeoutMs);
      socket.pause();
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      socket.connect({ host: to.address, port: to.port }, () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve(socket);
      });
    });
  }
}

function timedOut(to: Endpoint): Error {
  const error = new Error(`connect ETIMEDOUT ${to.address}:${to.port}`);
  return Object.assign(error, { code: 'ETIMEDOUT' });
}
