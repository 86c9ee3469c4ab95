/**
 * TLS towards servers: their roots, and the client's own certificate, all read anew for every connection.
 */
import { readFileSync } from 'node:fs';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';

export interface KeyAndChain {
  /** PEM */
  readonly key: string;
  /** PEM: certificate, intermediates */
  readonly chain: string;
}

/** What a client proves itself with on the level of TLS. */
export interface ClientCredential {
  /** Throws an Error that says why there is none. */
  current(): KeyAndChain;
  /** whether a server took it */
  answered(accepted: boolean): void;
}

/** `rootFile` undefined: the system's roots. Throws when it cannot be read. */
export function clientTls(rootFile: string | undefined, own?: KeyAndChain): ChannelCredentials {
  return credentials.createSsl(
    rootFile === undefined ? null : readFileSync(rootFile),
    own === undefined ? null : Buffer.from(own.key),
    own === undefined ? null : Buffer.from(own.chain),
  );
}
