/** The server side of TLS handshakes on the connections of one listening socket. */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { TlsCredentials } from '../../model/tls-credentials.ts';
import { TlsError, type TlsPeer, type TlsServerProfile } from '../transport.ts';
import { ALPN, contextOptions, type TlsContexts } from './context.ts';
import { assertTrustDomain, handshakeFailure, peerOf } from './peer.ts';

interface Handshake {
  readonly credentials: TlsCredentials;
  readonly proven: (socket: TLSSocket, peer: TlsPeer) => void;
  readonly refused: (error: TlsError) => void;
}

export class TlsListener {
  readonly #profile: TlsServerProfile;
  readonly #contexts: TlsContexts;
  readonly #server: Server;
  #current: TlsCredentials | undefined;
  /** by the addresses of both ends: node:tls has no way from its socket to ours */
  readonly #handshakes = new Map<string, Handshake>();

  constructor(options: { profile: TlsServerProfile; contexts: TlsContexts }) {
    this.#profile = options.profile;
    this.#contexts = options.contexts;
    this.#server = createServer({
      ALPNProtocols: [ALPN],
      requestCert: true,
      /* Checked below, where the reason can be told. */
      rejectUnauthorized: false,
      handshakeTimeout: options.profile.handshakeTimeoutMs,
      pauseOnConnect: true,
    });
    this.#server.on('secureConnection', (socket) => this.#secured(socket));
    this.#server.on('tlsClientError', (error, socket) => {
      this.#take(socket)?.refused(handshakeFailure(error));
      socket.destroy();
    });
  }

  /** Resolves when the client is proven. @throws TlsError; the connection is for the caller to close. */
  accept(raw: Socket): Promise<{ socket: TLSSocket; peer: TlsPeer }> {
    return new Promise((resolve, reject) => {
      const credentials = this.#profile.credentials();
      if (!credentials) throw new TlsError('no-credentials');
      const key = keyOf(raw);
      this.#handshakes.set(key, {
        credentials,
        proven: (socket, peer) => resolve({ socket, peer }),
        refused: reject,
      });
      raw.once('close', () => {
        const handshake = this.#handshakes.get(key);
        this.#handshakes.delete(key);
        handshake?.refused(new TlsError('closed'));
      });
      if (credentials !== this.#current) {
        this.#server.setSecureContext(contextOptions(credentials));
        this.#current = credentials;
      }
      this.#server.emit('connection', raw);
    });
  }

  #secured(socket: TLSSocket): void {
    const handshake = this.#take(socket);
    if (!handshake) {
      socket.destroy();
      return;
    }
    try {
      if (!socket.authorized && socket.getPeerX509Certificate())
        throw handshakeFailure(new Error(), String(socket.authorizationError));
      const peer = peerOf(socket, this.#contexts.revocation(handshake.credentials));
      assertTrustDomain(peer, this.#profile.trustDomains);
      handshake.proven(socket, peer);
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      handshake.refused(error);
      socket.destroy();
    }
  }

  #take(socket: TLSSocket): Handshake | undefined {
    const key = keyOf(socket);
    const handshake = this.#handshakes.get(key);
    this.#handshakes.delete(key);
    return handshake;
  }
}

function keyOf(socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
