/**
 * Series about the membership of a machine that joined by a token.
 */
import type { NodeCredentialStatus } from '../identity/node-credential-status.ts';
import type { MetricsRegistry } from './registry.ts';

export interface NodeMetricsOptions {
  readonly registry: MetricsRegistry;
  /** undefined: no such machine */
  readonly status: () => NodeCredentialStatus | undefined;
}

export function registerNodeMetrics({ registry, status }: NodeMetricsOptions): void {
  const expiry = registry.gauge({
    name: 'podwire_node_certificate_expiry_timestamp_seconds',
    help: 'End of the certificate this machine joined with; no value without one',
    labels: [],
  });
  registry.beforeScrape('node', () => {
    const { expires = '' } = status() ?? {};
    expiry.set(expires === '' ? [] : [{ labels: {}, value: Date.parse(expires) / 1000 }]);
  });
}
