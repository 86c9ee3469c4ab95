/**
 * `podwire certificates`: of which identities this node holds certificates, until when, and why not.
 */
import type { Command } from 'commander';
import type { CertificateStatus } from '../identity/certificate-status.ts';
import { listCommand } from './list-command.ts';
import { formatDuration } from './output.ts';

const FINGERPRINT_DIGITS = 12;

export function certificatesCommand(): Command {
  return listCommand<CertificateStatus>({
    name: 'certificates',
    description: "List the certificates of this node's identities; without keys.",
    path: 'certificates',
    empty: 'no certificates: no pods are captured, or there is no source (podwire status)',
    columns: [
      { head: 'IDENTITY', cell: (row) => row.identity },
      { head: 'STATE', cell: (row) => row.state },
      { head: 'SERIAL', cell: (row) => row.serial },
      { head: 'NOT BEFORE', cell: (row) => seconds(row.notBefore) },
      { head: 'NOT AFTER', cell: (row) => seconds(row.notAfter) },
      { head: 'RENEWS IN', cell: (row) => until(row.renews), align: 'right' },
      {
        head: 'ROOTS',
        cell: (row) => row.roots.map((root) => root.slice(0, FINGERPRINT_DIGITS)).join(','),
      },
      { head: 'ERROR', cell: (row) => row.error },
    ],
  });
}

function seconds(iso: string): string {
  return iso.replace(/\.\d+Z$/, 'Z');
}

function until(iso: string): string {
  return iso === '' ? '' : formatDuration(Math.max(0, Date.parse(iso) - Date.now()));
}
