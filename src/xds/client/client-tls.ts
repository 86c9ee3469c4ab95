/**
 * TLS towards servers: their roots, and the client's own certificate, all read anew for every connection.
 */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
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
  /** PEM of the roots that came with it, "" without any */
  roots(): string;
  /** whether a server took it */
  answered(accepted: boolean): void;
}

/**
 * `rootFile` undefined: the system's roots; `more` are believed as well. Throws when it cannot be read.
 */
export function clientTls(
  rootFile: string | undefined,
  own?: KeyAndChain,
  more = '',
): ChannelCredentials {
  return credentials.createSsl(
    rootsOf(rootFile, more),
    own === undefined ? null : Buffer.from(own.key),
    own === undefined ? null : Buffer.from(own.chain),
  );
}

/** null: gRPC's default, which is the system's */
function rootsOf(rootFile: string | undefined, more: string): Buffer | null {
  if (rootFile === undefined && more === '') return null;
  const roots =
    rootFile === undefined ? rootCertificates.join('\n') : readFileSync(rootFile, 'utf8');
  return Buffer.from(`${roots}\n${more}`);
}
