/** Series about HBONE tunnels. */
import type { MetricsRegistry } from './registry.ts';

export interface TunnelNumbers {
  readonly outbound: number;
  readonly inbound: number;
  /** mTLS connections that carry them */
  readonly connections: number;
}

export interface TunnelMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly live: () => Promise<TunnelNumbers>;
  readonly failures: () => Iterable<{
    readonly direction: string;
    readonly reason: string;
    readonly count: number;
  }>;
}

export function registerTunnelMetrics({ registry, live, failures }: TunnelMetricsOptions): void {
  const tunnels = registry.gauge({
    name: 'podwire_hbone_tunnels',
    help: 'Connections that go over HBONE now',
    labels: ['direction'],
  });
  const connections = registry.gauge<never>({
    name: 'podwire_hbone_connections',
    help: 'mTLS connections that carry tunnels',
  });
  const failed = registry.counter({
    name: 'podwire_hbone_failed_total',
    help: 'Tunnels that were refused or did not come about',
    labels: ['direction', 'reason'],
  });
  registry.beforeScrape('tunnels', async () => {
    const { outbound, inbound, connections: carriers } = await live();
    tunnels.set([
      { labels: { direction: 'outbound' }, value: outbound },
      { labels: { direction: 'inbound' }, value: inbound },
    ]);
    connections.set([{ labels: {}, value: carriers }]);
    failed.set(
      [...failures()].map(({ direction, reason, count }) => ({
        labels: { direction, reason },
        value: count,
      })),
    );
  });
}
