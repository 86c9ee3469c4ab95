/** The client side of a TLS handshake on a connected socket. */
import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { TlsError, type TlsClientProfile, type TlsPeer } from '../transport.ts';
import { ALPN, type TlsContexts } from './context.ts';
import { assertAccepted, handshakeFailure, peerOf } from './peer.ts';

/** Resolves when the server is proven. @throws TlsError; the connection is closed then */
export function handshake(
  raw: Socket,
  profile: TlsClientProfile,
  contexts: TlsContexts,
): Promise<{ socket: TLSSocket; peer: TlsPeer }> {
  return new Promise((resolve, reject) => {
    const { credentials, acceptedIds, handshakeTimeoutMs } = profile;
    const socket = connect({
      socket: raw,
      secureContext: contexts.context(credentials),
      ALPNProtocols: [ALPN],
      /* Names of certificates are SPIFFE ids, checked below. */
      checkServerIdentity: () => undefined,
    });
    socket.pause();
    const refuse = (error: TlsError): void => {
      clearTimeout(timer);
      /* A reset of the connection may follow; it is part of the same failure. */
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const failed = (error: Error & { code?: string }): void => refuse(handshakeFailure(error));
    const closed = (): void => refuse(new TlsError('closed'));
    const timer = setTimeout(() => refuse(new TlsError('timeout')), handshakeTimeoutMs);
    socket.once('error', failed);
    socket.once('close', closed);
    socket.once('secureConnect', () => {
      try {
        const peer = peerOf(socket, contexts.revocation(credentials));
        assertAccepted(peer, acceptedIds);
        clearTimeout(timer);
        socket.removeListener('error', failed);
        socket.removeListener('close', closed);
        resolve({ socket, peer });
      } catch (error) {
        failed(error as Error);
      }
    });
  });
}
