/**
 * Series about the agent itself, and about its process under the names every Prometheus client uses.
 *
 * prom-client's own process metrics are left alone: they hold global observers and a timer that wakes an idle process
 * a hundred times a second.
 */
import { registerProcess } from './process-metrics.ts';
import type { MetricFamily, MetricsRegistry } from './registry.ts';

export interface ProxyNumbers {
  readonly live: number;
  readonly opened: number;
  readonly failed: number;
  /** reset because they came without a provenance record */
  readonly refused: number;
}

export interface AgentNumbers {
  readonly ready: boolean;
  readonly pods: { readonly captured: number; readonly failed: number };
  readonly findings: { readonly error: number; readonly warning: number };
  /** version of the snapshot that is in force */
  readonly snapshotVersion: number;
  /** events of the kernel that could not be told */
  readonly failedEvents: number;
  readonly proxy: ProxyNumbers;
}

export interface AgentMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly version: string;
  readonly numbers: () => AgentNumbers | Promise<AgentNumbers>;
}

export function registerAgentMetrics(options: AgentMetricsOptions): void {
  registerState(options);
  registerProcess(options.registry);
}

function registerState({ registry, version, numbers }: AgentMetricsOptions): void {
  const gauge = (name: string, help: string): MetricFamily<never> =>
    registry.gauge<never>({ name, help });
  const counter = (name: string, help: string): MetricFamily<never> =>
    registry.counter<never>({ name, help });

  registry
    .gauge({ name: 'podwire_agent_info', help: 'Version of the agent', labels: ['version'] })
    .set([{ labels: { version }, value: 1 }]);
  const ready = gauge('podwire_agent_ready', '1 when the agent is ready');
  const snapshot = gauge('podwire_agent_snapshot_version', 'Version of the mesh that is in force');
  const pods = registry.gauge({
    name: 'podwire_agent_pods',
    help: 'Pods of this node that are to be captured',
    labels: ['state'],
  });
  const findings = registry.gauge({
    name: 'podwire_agent_findings',
    help: 'What is wrong with the configuration',
    labels: ['severity'],
  });
  const live = gauge('podwire_agent_proxy_connections', 'Connections the proxy serves now');
  const opened = counter('podwire_agent_proxy_opened_total', 'Connections the proxy accepted');
  const failed = counter(
    'podwire_agent_proxy_failed_total',
    'Connections the proxy could not make',
  );
  const refused = counter(
    'podwire_agent_proxy_refused_total',
    'Connections to the proxy without a provenance record, reset',
  );

  const failedEvents = counter(
    'podwire_agent_events_failed_total',
    'Connection events that could not be told: missing in the access log and the series',
  );

  registry.beforeScrape('agent', async () => {
    const now = await numbers();
    ready.set(one(now.ready ? 1 : 0));
    snapshot.set(one(now.snapshotVersion));
    pods.set(Object.entries(now.pods).map(([state, value]) => ({ labels: { state }, value })));
    findings.set(
      Object.entries(now.findings).map(([severity, value]) => ({ labels: { severity }, value })),
    );
    failedEvents.set(one(now.failedEvents));
    live.set(one(now.proxy.live));
    opened.set(one(now.proxy.opened));
    failed.set(one(now.proxy.failed));
    refused.set(one(now.proxy.refused));
  });
}

function one(value: number): [{ labels: Record<never, string>; value: number }] {
  return [{ labels: {}, value }];
}
