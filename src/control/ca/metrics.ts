/**
 * Series of the CA.
 */
import type { MetricsRegistry } from '../../telemetry/registry.ts';
import type { CertificateAuthority } from './authority.ts';
import type { CertificateService } from './certificate-service.ts';

export interface CertificateMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly service: CertificateService;
  readonly authority: CertificateAuthority;
}

export function registerCertificateMetrics(options: CertificateMetricsOptions): void {
  const { registry, service, authority } = options;
  const issued = registry.counter({
    name: 'podwire_ca_certificates_issued_total',
    help: 'Certificates signed for others, by kind',
    labels: ['kind'],
  });
  const refused = registry.counter({
    name: 'podwire_ca_requests_refused_total',
    help: 'Certificate requests that were refused, by reason',
    labels: ['reason'],
  });
  const expiry = registry.gauge<never>({
    name: 'podwire_ca_expiry_timestamp_seconds',
    help: 'When the signing certificate, or one above it, ends',
  });
  registry.beforeScrape('ca', () => {
    const numbers = service.numbers();
    issued.set(
      Object.entries(numbers.issued).map(([kind, value]) => ({ labels: { kind }, value })),
    );
    refused.set(
      Object.entries(numbers.refused).map(([reason, value]) => ({ labels: { reason }, value })),
    );
    expiry.set([{ labels: {}, value: authority.validUntil() / 1000 }]);
  });
}
