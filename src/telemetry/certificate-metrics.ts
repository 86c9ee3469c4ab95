/**
 * Series about the certificates of this node's identities.
 */
import type { CertificateNumbers, CertificateStatus } from '../identity/certificate-status.ts';
import type { MetricsRegistry } from './registry.ts';

export interface CertificateMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly list: () => readonly CertificateStatus[];
  /** undefined: there is no source of certificates */
  readonly numbers: () => CertificateNumbers | undefined;
}

export function registerCertificateMetrics({ registry, list, numbers }: CertificateMetricsOptions) {
  const expiry = registry.gauge({
    name: 'podwire_certificate_expiry_timestamp_seconds',
    help: 'End of the certificate of an identity with a pod on this node; no value without one',
    labels: ['identity'],
  });
  const issued = registry.counter<never>({
    name: 'podwire_certificates_issued_total',
    help: 'Certificates that came and passed every check, renewals too',
  });
  const failed = registry.counter({
    name: 'podwire_certificates_failed_total',
    help: 'Questions for a certificate that failed: refused, no usable answer, or none at all',
    labels: ['reason'],
  });
  const queued = registry.gauge<never>({
    name: 'podwire_certificates_pending',
    help: 'Certificates being asked for, or waiting for their turn',
  });
  registry.beforeScrape('certificates', () => {
    const ends = list().filter(({ notAfter }) => notAfter !== '');
    expiry.set(
      ends.map(({ identity, notAfter }) => ({
        labels: { identity },
        value: Math.floor(Date.parse(notAfter) / 1000),
      })),
    );
    const now = numbers();
    if (now === undefined) return;
    issued.set([{ labels: {}, value: now.issued }]);
    const reasons = Object.entries(now.failed);
    failed.set(reasons.map(([reason, value]) => ({ labels: { reason }, value })));
    queued.set([{ labels: {}, value: now.inFlight + now.queued }]);
  });
}
