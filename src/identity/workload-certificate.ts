/**
 * A certificate and key of one identity, checked: whoever signed it made what was asked for, and nothing more.
 *
 * The chain is built with node:crypto (names, signatures, CA:TRUE, key usage, dates of every link); name constraints and path
 * lengths are left to the peers' OpenSSL, which looks at the whole of it at every handshake.
 */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import type { IssuedCertificate } from './certificate-source.ts';
import { readPem, writePem } from './pem.ts';

export interface WorkloadCertificate {
  readonly spiffe: string;
  readonly key: KeyObject;
  /** leaf first */
  readonly chain: readonly X509Certificate[];
  readonly roots: readonly X509Certificate[];
  /** lower-case hex */
  readonly serial: string;
  /** ms since 1970; the end is that of the whole chain below the root */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** An answer that must not be used; the message says why. */
export class CertificateAnswerError extends Error {
  override readonly name = 'CertificateAnswerError';
}

/** of this machine's clock towards the CA's */
export const MAX_SKEW_MS = 60_000;
/** a chain that is larger makes every handshake of the mesh slow */
const MAX_CHAIN_CHARACTERS = 64 * 1024;
const MAX_CHAIN = 8;
const MAX_ROOTS_CHARACTERS = 1024 * 1024;
const MAX_ROOTS = 256;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** `now`: ms since 1970. Throws CertificateAnswerError. */
export function checkIssued(
  spiffe: string,
  { key, chain: chainText, roots: rootsText }: IssuedCertificate,
  now: number,
): WorkloadCertificate {
  const chain = certificatesOf('the chain', chainText.join(''), MAX_CHAIN_CHARACTERS, MAX_CHAIN);
  const announced = certificatesOf('the roots', rootsText, MAX_ROOTS_CHARACTERS, MAX_ROOTS);
  const [leaf, ...intermediates] = chain;
  if (leaf === undefined) throw new CertificateAnswerError('there is no certificate in it');
  checkLeaf(spiffe, key, leaf);
  checkDates(leaf, now);
  const roots = announced.filter((root) => root.ca && !hasEnded(root, now));
  if (roots.length === 0) throw new CertificateAnswerError('there is no valid root in it');
  const path = pathToRoot([leaf], intermediates, roots, now);
  if (path === undefined) {
    throw new CertificateAnswerError('the certificate does not lead to one of its roots');
  }
  return {
    spiffe,
    key,
    chain,
    roots,
    serial: serialOf(leaf),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Math.min(...path.map(({ validTo }) => Date.parse(validTo))),
  };
}

/** Lower-case hex without leading zeros, as CRLs are compared. */
export function serialOf({ serialNumber }: X509Certificate): string {
  return serialNumber.toLowerCase().replace(/^0+(?=.)/, '');
}

/** Lower-case hex of SHA-256. */
export function fingerprintOf({ raw }: X509Certificate): string {
  return createHash('sha256').update(raw).digest('hex');
}

export function pemOf({ raw }: X509Certificate): string {
  return writePem('CERTIFICATE', raw);
}

function certificatesOf(
  what: string,
  text: string,
  maxCharacters: number,
  max: number,
): X509Certificate[] {
  if (text.length > maxCharacters) {
    const size = `${text.length} characters, more than ${maxCharacters}`;
    throw new CertificateAnswerError(`${what} has ${size}`);
  }
  const blocks = readPem(text);
  if (blocks === undefined || blocks.some(({ label }) => label !== 'CERTIFICATE')) {
    throw new CertificateAnswerError(`${what} is not certificates in PEM and nothing else`);
  }
  if (blocks.length > max) {
    throw new CertificateAnswerError(`${what} has ${blocks.length} certificates, more than ${max}`);
  }
  try {
    return blocks.map(({ der }) => new X509Certificate(der));
  } catch (cause) {
    throw new CertificateAnswerError(`${what} holds what is no certificate`, { cause });
  }
}

function checkLeaf(spiffe: string, key: KeyObject, leaf: X509Certificate): void {
  if (leaf.subjectAltName !== `URI:${spiffe}`) {
    const name = leaf.subjectAltName?.slice(0, 200) ?? 'no name';
    throw new CertificateAnswerError(`the certificate is for ${name}`);
  }
  if (leaf.ca) throw new CertificateAnswerError('the certificate may sign others (CA:TRUE)');
  if (!leaf.checkPrivateKey(key)) {
    throw new CertificateAnswerError('the certificate is of another key');
  }
  // node types it as mandatory; without the extension it is undefined, and any use is allowed
  const usages = leaf.keyUsage as readonly string[] | undefined;
  if (usages !== undefined && !(usages.includes(SERVER_AUTH) && usages.includes(CLIENT_AUTH))) {
    throw new CertificateAnswerError('the certificate is not for both ends of TLS');
  }
}

function checkDates(leaf: X509Certificate, now: number): void {
  if (hasEnded(leaf, now)) {
    const end = new Date(leaf.validTo).toISOString();
    throw new CertificateAnswerError(`the certificate ended ${end}: see the clock`);
  }
  if (Date.parse(leaf.validFrom) > now + MAX_SKEW_MS) {
    const start = new Date(leaf.validFrom).toISOString();
    throw new CertificateAnswerError(`the certificate begins ${start}: see the clock`);
  }
}

function hasEnded({ validTo }: X509Certificate, now: number): boolean {
  // a date that cannot be read is no date
  return !(Date.parse(validTo) > now);
}

/** `path` and the intermediates up to a root, without it; undefined: none is reached. */
function pathToRoot(
  path: readonly X509Certificate[],
  pool: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
): readonly X509Certificate[] | undefined {
  const last = path.at(-1)!;
  if (roots.some((root) => isIssuer(root, last))) return path;
  for (const next of pool) {
    if (path.includes(next) || !next.ca || hasEnded(next, now) || !isIssuer(next, last)) continue;
    const whole = pathToRoot([...path, next], pool, roots, now);
    if (whole !== undefined) return whole;
  }
  return undefined;
}

function isIssuer(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
