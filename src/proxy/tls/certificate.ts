/** What podwire reads of a peer's certificate beyond what OpenSSL has checked. */
import { createHash, type X509Certificate } from 'node:crypto';
import { parseSpiffe } from '../../model/identity.ts';
import { derSequence, derSerial, derValue, derValues, type DerValue, Tag } from './der.ts';

export interface CertificateNames {
  readonly serial: string;
  /** DER of the issuer's name */
  readonly issuer: Buffer;
  /** the URI names that have exactly Istio's form, in order */
  readonly spiffeIds: readonly string[];
}

/** 2.5.29.17 */
const SUBJECT_ALT_NAME = '0603551d11';
const PRINTABLE = /^[\x21-\x7e]+$/;

/** @throws Error for DER that is no certificate (RFC 5280, 4.1) */
export function certificateNames(certificate: X509Certificate): CertificateNames {
  const [tbs] = derSequence(derValue(certificate.raw));
  const fields = derSequence(tbs);
  const serialAt = fields[0]?.tag === Tag.CONTEXT_0 ? 1 : 0;
  const issuer = fields[serialAt + 2];
  if (issuer?.tag !== Tag.SEQUENCE) throw new Error('no issuer');
  return {
    serial: derSerial(fields[serialAt]),
    issuer: issuer.whole,
    spiffeIds: uriNames(fields).filter((uri) => PRINTABLE.test(uri) && parseSpiffe(uri)),
  };
}

function uriNames(fields: readonly DerValue[]): string[] {
  const extensions = fields.find(({ tag }) => tag === Tag.CONTEXT_3);
  if (!extensions) return [];
  return derSequence(derValue(extensions.content)).flatMap((extension) => {
    const parts = derSequence(extension);
    if (parts[0]?.whole.toString('hex') !== SUBJECT_ALT_NAME) return [];
    const value = parts.at(-1);
    if (value?.tag !== Tag.OCTET_STRING) throw new Error('no extension value');
    return derValues(derValue(value.content).content)
      .filter(({ tag }) => tag === Tag.URI)
      .map(({ content }) => content.toString('latin1'));
  });
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
