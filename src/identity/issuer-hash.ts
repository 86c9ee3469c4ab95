/**
 * Names of issuers as hashes: what certificates and revocation lists are matched by, byte for byte, without an X.509 library
 * in the data plane.  Lower-case hex of SHA-256 over the issuer's name in DER.
 */
import { createHash } from 'node:crypto';
import { derElement, derElements, type DerElement } from './der.ts';

const INTEGER = 0x02;
/** [0] version of a certificate */
const VERSION = 0xa0;

/** Of a certificate (RFC 5280 4.1). Throws RangeError when it is none. */
export function issuerHashOfCertificate(der: Buffer): string {
  const fields = signedFields(der);
  // version, serial number, signature, issuer
  const at = fields[0]?.tag === VERSION ? 3 : 2;
  return hashOf(fields[at]);
}

/** Of a revocation list (RFC 5280 5.1). Throws RangeError when it is none. */
export function issuerHashOfCrl(der: Buffer): string {
  const fields = signedFields(der);
  // version, signature, issuer
  const at = fields[0]?.tag === INTEGER ? 2 : 1;
  return hashOf(fields[at]);
}

function hashOf(name: DerElement | undefined): string {
  if (name === undefined) throw new RangeError('there is no issuer');
  return createHash('sha256').update(name.whole).digest('hex');
}

/** SEQUENCE { SEQUENCE { fields }, algorithm, signature } → the first four fields */
function signedFields(der: Buffer): DerElement[] {
  return derElements(derElement(derElement(der).content).content, 4);
}
