/**
 * A certificate authority for one run and one workload certificate, as Istio issues them: EC P-256, a SPIFFE name.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './sandbox.ts';
import type { Sandbox } from './sandbox.ts';

export interface Certificates {
  readonly authority: string;
  readonly authorityKey: string;
  readonly certificate: string;
  readonly key: string;
  /** what the certificate proves */
  readonly spiffe: string;
}

const SPIFFE = 'spiffe://cluster.local/ns/default/sa/default';
const EXTENSIONS = `subjectAltName=critical,URI:${SPIFFE}
extendedKeyUsage=serverAuth,clientAuth
keyUsage=critical,digitalSignature,keyEncipherment
basicConstraints=critical,CA:FALSE
`;
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export function makeCertificates(sandbox: Sandbox): Certificates {
  const path = (name: string): string => join(sandbox.folder, name);
  const authority = path('ca.pem');
  const authorityKey = path('ca.key');
  const certificate = path('leaf.pem');
  const key = path('leaf.key');
  const extensions = sandbox.writeFile('leaf.ext', EXTENSIONS);
  command('openssl', [
    ...['req', '-x509', ...KEY, '-days', '2', '-subj', '/O=cluster.local'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ...['-addext', 'basicConstraints=critical,CA:TRUE'],
    ...['-keyout', authorityKey, '-out', authority],
  ]);
  chmodSync(authorityKey, 0o600);
  command('openssl', [
    ...['req', ...KEY, '-subj', '/O=pod', '-keyout', key, '-out', path('leaf.csr')],
  ]);
  command('openssl', [
    ...['x509', '-req', '-in', path('leaf.csr'), '-CA', authority, '-CAkey', authorityKey],
    ...['-CAcreateserial', '-days', '1', '-extfile', extensions, '-out', certificate],
  ]);
  return { authority, authorityKey, certificate, key, spiffe: SPIFFE };
}
