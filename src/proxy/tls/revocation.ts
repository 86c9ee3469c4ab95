/**
 * Certificate revocation lists (RFC 5280, 5). OpenSSL's own check is not used: it refuses every certificate whose issuer has no
 * list, and Node's verification result has room for one error only, so that this one would hide another.
 */
import { type KeyObject, verify, X509Certificate } from 'node:crypto';
import { readPem } from '../../identity/pem.ts';
import { derSequence, derSerial, derValue, type DerValue, Tag } from './der.ts';

interface RevocationList {
  /** DER of the issuer's name, as hex */
  readonly issuer: string;
  readonly serials: ReadonlySet<string>;
  readonly isSignedBy: (key: KeyObject) => boolean;
}

/** The content of the OIDs of signature algorithms that sign lists. */
const HASHES: Readonly<Record<string, string>> = {
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
};

export class RevocationLists {
  readonly #lists: readonly RevocationList[];
  readonly #roots: readonly X509Certificate[];

  /** PEM of the lists and of the roots. @throws Error when either is not what it should be */
  constructor(lists: string, roots: string) {
    const blocks = readPem(lists);
    if (!blocks?.every(({ label }) => label === 'X509 CRL'))
      throw new Error('the CRLs are not PEM of X509 CRL');
    this.#lists = blocks.map(({ der }) => parse(der));
    const certificates = readPem(roots) ?? [];
    this.#roots = certificates.map(({ der }) => new X509Certificate(der));
  }

  /** Whether a list signed by its issuer names the certificate. `others`: the rest of the peer's chain. */
  names(
    certificate: { readonly issuer: Buffer; readonly serial: string },
    others: readonly X509Certificate[],
  ): boolean {
    const issuer = certificate.issuer.toString('hex');
    return this.#lists.some(
      (list) =>
        list.issuer === issuer &&
        list.serials.has(certificate.serial) &&
        [...this.#roots, ...others].some(({ publicKey }) => list.isSignedBy(publicKey)),
    );
  }
}

function parse(der: Buffer): RevocationList {
  const [tbs, algorithm, signature] = derSequence(derValue(der));
  const [oid] = derSequence(algorithm);
  const hash = HASHES[oid?.content.toString('hex') ?? ''];
  if (!tbs || !hash || signature?.tag !== Tag.BIT_STRING)
    throw new Error('a CRL with an unknown signature algorithm');
  const fields = derSequence(tbs);
  const issuerAt = fields[0]?.tag === Tag.INTEGER ? 2 : 1;
  const issuer = fields[issuerAt];
  if (issuer?.tag !== Tag.SEQUENCE) throw new Error('a CRL without an issuer');
  const revoked = fields.slice(issuerAt + 1).find(({ tag }) => tag === Tag.SEQUENCE);
  return {
    issuer: issuer.whole.toString('hex'),
    serials: new Set(revoked ? derSequence(revoked).map(serialOf) : []),
    isSignedBy: (key) => verify(hash, tbs.whole, key, signature.content.subarray(1)),
  };
}

function serialOf(entry: DerValue): string {
  return derSerial(derSequence(entry)[0]);
}
