/**
 * Revocation lists (RFC 5280 5): PEM of one or several, read whole or not at all.
 *
 * Their signatures are not checked: the file is the operator's, as the roots are, and a list that is missing would be believed
 * just as much.  Delta and indirect lists, and what else is marked critical, are refused: half of one says the wrong thing.
 */
import { issuerHashOfCrl } from './issuer-hash.ts';
import { readPem, writePem } from './pem.ts';
import type { RevocationList } from './revocation-list.ts';
import { X509Crl } from './x509.ts';

export interface CrlReading extends RevocationList {
  readonly lists: number;
  readonly entries: number;
  /** the earliest date one of them should have been replaced by, ms since 1970; Infinity: none says */
  readonly nextUpdate: number;
}

/** Throws an Error that says what is wrong. */
export function readCrls(text: string): CrlReading {
  const blocks = readPem(text);
  if (blocks === undefined || blocks.some(({ label }) => label !== 'X509 CRL')) {
    throw new Error('it must hold revocation lists in PEM (X509 CRL) and nothing else');
  }
  const serials = new Map<string, Set<string>>();
  let entries = 0;
  let nextUpdate = Infinity;
  for (const { der } of blocks) {
    const crl = parse(der);
    const issuer = issuerHashOfCrl(der);
    const revoked = serials.get(issuer) ?? new Set<string>();
    serials.set(issuer, revoked);
    for (const entry of crl.entries) {
      checkExtensions(entry.extensions);
      revoked.add(entry.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''));
      entries++;
    }
    nextUpdate = Math.min(nextUpdate, crl.nextUpdate?.getTime() ?? Infinity);
  }
  const pem = blocks.map(({ label, der }) => writePem(label, der)).join('');
  return { pem, serials, lists: blocks.length, entries, nextUpdate };
}

function parse(der: Buffer): X509Crl {
  let crl: X509Crl;
  try {
    crl = new X509Crl(new Uint8Array(der));
  } catch (cause) {
    throw new Error(`it holds what is no revocation list: ${(cause as Error).message}`, { cause });
  }
  checkExtensions(crl.extensions);
  return crl;
}

function checkExtensions(extensions: X509Crl['extensions']): void {
  const unknown = extensions.find(({ critical }) => critical);
  if (unknown !== undefined) {
    throw new Error(`a list has the critical extension ${unknown.type}, which is not supported`);
  }
}
