/** The TLS profile as node:tls takes it, and what is computed once for each set of credentials. */
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { TlsCredentials } from '../../model/tls-credentials.ts';
import { TlsError } from '../transport.ts';
import { RevocationLists } from './revocation.ts';

export const ALPN = 'h2';
const CIPHERS = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256';
const CURVES = 'X25519:P-256:P-384';
/** Since OpenSSL 3.5. */
const HYBRID = 'X25519MLKEM768';

function groups(): string {
  const [major = 0, minor = 0] = (process.versions['openssl'] ?? '').split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 5) ? `${HYBRID}:${CURVES}` : CURVES;
}

export function contextOptions(credentials: TlsCredentials): SecureContextOptions {
  return {
    cert: credentials.certificateChain,
    key: credentials.privateKey,
    ca: credentials.roots,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    ecdhCurve: groups(),
    /* Tickets without state of their own are never found again: every handshake is a full one. */
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** Credentials are replaced, not changed, so what belongs to them is found by the object. */
export class TlsContexts {
  readonly #contexts = new WeakMap<TlsCredentials, SecureContext>();
  readonly #revocation = new WeakMap<TlsCredentials, RevocationLists>();

  context(credentials: TlsCredentials): SecureContext {
    let context = this.#contexts.get(credentials);
    if (!context) {
      context = createSecureContext(contextOptions(credentials));
      this.#contexts.set(credentials, context);
    }
    return context;
  }

  /** @throws TlsError when the lists cannot be read: then nobody is taken */
  revocation(credentials: TlsCredentials): RevocationLists | undefined {
    if (credentials.crls === undefined) return undefined;
    let lists = this.#revocation.get(credentials);
    if (!lists) {
      try {
        lists = new RevocationLists(credentials.crls, credentials.roots);
      } catch (error) {
        throw new TlsError('untrusted', String(error));
      }
      this.#revocation.set(credentials, lists);
    }
    return lists;
  }
}
