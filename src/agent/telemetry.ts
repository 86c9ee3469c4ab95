/** Telemetry of the agent: kernel events become access-log lines and Istio's series; kernel counters are read at scrape. */
import { Reason } from '../kernel/abi/layout.gen.ts';
import { Events } from '../kernel/events.ts';
import type { Generation } from '../kernel/generations.ts';
import type { Readiness } from '../lifecycle/readiness.ts';
import type { Log } from '../log.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { registerAgentMetrics } from '../telemetry/agent-metrics.ts';
import { ConnectionMetrics } from '../telemetry/connection-metrics.ts';
import { registerKernelMetrics, type KernelNumbers } from '../telemetry/kernel-metrics.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { registerXdsMetrics } from '../telemetry/xds-metrics.ts';
import type { Cuts } from './cuts.ts';
import type { Workers } from './data-plane/workers.ts';
import type { AgentParts } from './parts.ts';

export interface AgentTelemetryOptions {
  readonly parts: AgentParts;
  readonly workers: Workers;
  readonly readiness: Readiness;
  readonly version: string;
  readonly log: Log;
}

export class AgentTelemetry {
  readonly registry: MetricsRegistry;
  readonly #parts: AgentParts;
  readonly #events: Events;

  constructor(options: AgentTelemetryOptions) {
    const { parts, log, version } = options;
    const { binding, connections, flows, learning, kernel } = parts;
    this.#parts = parts;
    this.registry = new MetricsRegistry({ log });
    const access = new AccessLog({ log });
    const metrics = new ConnectionMetrics({
      registry: this.registry,
      live: () => {
        this.#events.poll();
        return flows.live(connections.list());
      },
    });
    this.#events = new Events({
      binding,
      handlers: {
        closed(event, generation) {
          const flow = flows.closed(connections.inTodaysNumbers(generation, event));
          if (!flow) return;
          access.closed(flow);
          metrics.connectionClosed(flow);
        },
        denied(event, generation) {
          const flow = flows.denied(connections.inTodaysNumbers(generation, event));
          access.denied(flow);
          metrics.connectionDenied(flow);
        },
        trust: (event) => learning.onTrust(event),
      },
    });
    registerKernelMetrics({ registry: this.registry, kernel });
    const { xds } = parts;
    if (xds !== undefined) {
      registerXdsMetrics({ registry: this.registry, numbers: () => xds.status() });
    }
    registerAgentMetrics({
      registry: this.registry,
      version,
      numbers: () => agentNumbers(options),
    });
  }

  start(): void {
    const { path, connections } = this.#parts;
    this.#events.start([
      ...connections.olderMaps('events'),
      { map: path.map('events'), generation: path.generation.number },
    ]);
  }

  /** A generation is about to be removed: what it still has to tell. */
  endOf(generation: Generation): void {
    this.#events.end(generation.number);
  }

  close(): void {
    this.#events.poll();
    this.#events.close();
  }
}

async function agentNumbers({ parts, workers, readiness }: AgentTelemetryOptions) {
  const { mesh, reconciler } = parts;
  const count = (severity: 'error' | 'warning'): number =>
    mesh.findings.filter((finding) => finding.severity === severity).length;
  return {
    ready: readiness.ready,
    pods: { captured: reconciler.captured().length, failed: reconciler.failures().length },
    findings: { error: count('error'), warning: count('warning') },
    snapshotVersion: mesh.state.snapshot.version,
    proxy: await workers.stats(),
  };
}

/** The kernel counts what its programs refuse; what the agent cuts is added here. */
export function withCuts(kernel: KernelNumbers, cuts: Cuts): KernelNumbers {
  return {
    counters: () => kernel.counters(),
    maps: () => kernel.maps(),
    reasons: () => {
      const reasons = [...kernel.reasons()];
      for (const [reason, name] of [
        [Reason.REVOKED, 'revoked'],
        [Reason.STALLED_READER, 'stalled-reader'],
      ] as const) {
        reasons[reason] = (reasons[reason] ?? 0n) + BigInt(cuts.count(name));
      }
      return reasons;
    },
  };
}
