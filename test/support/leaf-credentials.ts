/** TLS credentials as an agent's worker has them, of any identity and any CA. */
import { webcrypto } from 'node:crypto';
import { writePem } from '../../src/identity/pem.ts';
import type { TlsCredentials } from '../../src/model/tls-credentials.ts';
import type { IssuingCa } from './issuing-ca.ts';

/** `roots`: whom its holder trusts. */
export async function credentials(
  signer: IssuingCa,
  spiffe: string,
  roots: IssuingCa,
  wishes: { readonly notAfter?: number; readonly notBefore?: number; readonly ca?: boolean } = {},
): Promise<TlsCredentials> {
  const curve = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify']);
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    spiffe,
    certificateChain: await signer.leaf({ key: keys.publicKey, uris: [spiffe], ...wishes }),
    privateKey: writePem('PRIVATE KEY', new Uint8Array(key)),
    roots: roots.pem,
    version: 1,
  };
}
