/**
 * The roots as control shows them: what to trust, and where a rotation stands.
 */
import { X509Certificate } from 'node:crypto';
import type { RotationStatus } from '../ca/root-state.ts';

/** GET /v1/roots */
export interface RootsView {
  readonly trustDomain: string;
  /** PEM of all of them: what agents are given as --xds-root */
  readonly bundle: string;
  readonly certificates: readonly {
    readonly subject: string;
    /** SHA-256, upper-case hex with colons */
    readonly fingerprint: string;
    /** ISO 8601 */
    readonly notAfter: string;
  }[];
  /** null: the roots were given, and are the operator's to rotate */
  readonly rotation: RotationStatus | null;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function rootsView(
  trustDomain: string,
  bundle: string,
  rotation: RotationStatus | undefined,
): RootsView {
  const certificates = (bundle.match(PEM) ?? []).map((pem) => {
    const { subject, fingerprint256, validTo } = new X509Certificate(pem);
    return { subject, fingerprint: fingerprint256, notAfter: new Date(validTo).toISOString() };
  });
  return { trustDomain, bundle, certificates, rotation: rotation ?? null };
}
