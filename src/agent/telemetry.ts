/** Telemetry of the agent: kernel events become access-log lines and Istio's series; kernel counters are read at scrape. */
import { addrToText } from '../kernel/abi/address.ts';
import { EventType, Reason, RecordFlags, type FlowEvent } from '../kernel/abi/layout.gen.ts';
import { Events } from '../kernel/events.ts';
import type { FlowRecord } from '../kernel/flow-record.ts';
import type { Generation } from '../kernel/generations.ts';
import type { Readiness } from '../lifecycle/readiness.ts';
import type { Log } from '../log.ts';
import { AccessLog, closedLine, deniedLine, type AccessLine } from '../telemetry/access-log.ts';
import { registerAgentMetrics } from '../telemetry/agent-metrics.ts';
import { registerCertificateMetrics } from '../telemetry/certificate-metrics.ts';
import { ConnectionMetrics, type LabelSet } from '../telemetry/connection-metrics.ts';
import { registerKernelMetrics, type KernelNumbers } from '../telemetry/kernel-metrics.ts';
import { registerNodeMetrics } from '../telemetry/node-metrics.ts';
import { PolicyMetrics, type PolicyCounts } from '../telemetry/policy-metrics.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { registerTunnelMetrics } from '../telemetry/tunnel-metrics.ts';
import { registerXdsMetrics } from '../telemetry/xds-metrics.ts';
import type { Cut, Cuts } from './cuts.ts';
import type { ProxyDenial, TunnelFailure } from './data-plane/messages.ts';
import type { Workers } from './data-plane/workers.ts';
import { FlowKinds } from './flow-kinds.ts';
import type { Endpoint } from '../proxy/transport.ts';
import type { AgentParts } from './parts.ts';
import { TunnelTelemetry } from './tunnel-telemetry.ts';

export interface AgentTelemetryOptions {
  readonly parts: AgentParts;
  readonly workers: Workers;
  readonly readiness: Readiness;
  readonly version: string;
  readonly log: Log;
}

/** What is kept for one kind of connection. */
interface Kept {
  readonly line: AccessLine;
  readonly sets: readonly LabelSet[];
  readonly policy: PolicyCounts;
}

/** Connections refused in user space whose sockets have not ended yet. */
const MAX_REFUSED = 65_536;

export class AgentTelemetry {
  readonly registry: MetricsRegistry;
  readonly #parts: AgentParts;
  readonly #events: Events;
  readonly #access: AccessLog;
  readonly #metrics: ConnectionMetrics;
  readonly #policy: PolicyMetrics;
  readonly #refused = new Set<string>();
  readonly #kinds: FlowKinds<Kept>;
  readonly #tunnels: TunnelTelemetry;
  readonly #log: Log;
  #failed = 0;
  #failedOfBatch = 0;

  constructor(options: AgentTelemetryOptions) {
    const { parts, log, version } = options;
    const { binding, connections, flows, learning, kernel, mesh, reconciler } = parts;
    this.#parts = parts;
    this.#log = log;
    this.registry = new MetricsRegistry({ log });
    this.#access = new AccessLog({ log });
    this.#metrics = new ConnectionMetrics({
      registry: this.registry,
      live: () => {
        this.#events.poll();
        return flows.live(connections.list());
      },
    });
    this.#policy = new PolicyMetrics({ registry: this.registry });
    this.#kinds = new FlowKinds({
      validity: () => [mesh.state, reconciler.revision],
      make: (event, generation) => this.#keep(event, generation),
    });
    this.#events = new Events({
      binding,
      handlers: {
        closed: (record, generation) => this.#closed(record, generation),
        denied: (record, generation) => this.#denied(record, generation),
        trust: (event) => learning.onTrust(event),
        met: (event) => parts.xds?.met(event.sourcePod, addrToText(event.key.remote)),
        failed: (err) => this.#onFailure(err),
        delivered: () => this.#delivered(),
      },
    });
    this.#tunnels = new TunnelTelemetry({ reconciler, log });
    registerTunnelMetrics({
      registry: this.registry,
      live: async () => (await options.workers.stats()).tunnels,
      failures: () => this.#tunnels.counts(),
    });
    registerKernelMetrics({ registry: this.registry, kernel });
    const { xds } = parts;
    if (xds !== undefined) {
      registerXdsMetrics({ registry: this.registry, numbers: () => xds.status() });
      registerNodeMetrics({ registry: this.registry, status: () => xds.node() });
    }
    registerCertificateMetrics({
      registry: this.registry,
      list: () => parts.certificates.list(),
      numbers: () => parts.certificates.numbers(),
    });
    registerAgentMetrics({
      registry: this.registry,
      version,
      numbers: () => agentNumbers(options, this.#failed),
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

  tunnelFailed(failure: TunnelFailure): void {
    this.#tunnels.failed(failure);
  }

  /** The agent's own legs are left out, unless one was cut: the connection they belong to is told once. */
  #closed(record: FlowRecord, generation: number): void {
    const leg = (record.flags & RecordFlags.AGENT) !== 0;
    const cut = this.#cut(record, generation);
    if ((leg && !cut) || this.#isRefused(record)) return;
    const kept = cut ?? this.#kinds.of(record, generation);
    this.#access.closed(kept.line, record);
    if (!leg) this.#metrics.connectionClosed(kept.sets, record);
    kept.policy.add();
  }

  #denied(record: FlowRecord, generation: number): void {
    const { line, sets, policy } = this.#kinds.of(record, generation);
    this.#access.denied(line, record);
    this.#metrics.connectionDenied(sets);
    policy.add();
  }

  /** Of a connection that the agent itself ended. */
  #cut(record: FlowRecord, generation: number): Kept | undefined {
    const { cuts } = this.#parts;
    if (cuts.empty) return undefined;
    const cut = cuts.take([BigInt(record.clientCookie), BigInt(record.serverCookie)]);
    return cut && this.#keep(record.event(), generation, cut);
  }

  #keep(event: FlowEvent, generation: number, cut?: Cut): Kept {
    const { connections, flows } = this.#parts;
    const kind = flows.kind(connections.inTodaysNumbers(generation, event), cut);
    const policy = this.#policy.of(kind);
    return event.type === EventType.DENIED
      ? { line: deniedLine(kind), sets: this.#metrics.deniedSets(kind), policy }
      : { line: closedLine(kind), sets: this.#metrics.closedSets(kind), policy };
  }

  /** Policy refused a connection in user space; the end of its sockets is still to be told by the kernel. */
  refused(denial: ProxyDenial): void {
    const kind = this.#parts.flows.refused(denial);
    const { peer, target, tunnelled } = denial;
    if (tunnelled) this.#tunnels.refused();
    // of a tunnel's there are none
    if (!tunnelled) this.#expect(peer, target);
    this.#access.denied(deniedLine(kind), { sourcePort: peer.port });
    this.#metrics.connectionDenied(this.#metrics.deniedSets(kind));
    this.#policy.of(kind).add();
    this.#access.flush();
  }

  #expect(peer: Endpoint, target: Endpoint): void {
    if (this.#refused.size >= MAX_REFUSED) this.#refused.clear();
    this.#refused.add(tupleText(peer, target));
  }

  /** Told already, when policy refused it. */
  #isRefused(record: FlowRecord): boolean {
    if (this.#refused.size === 0) return false;
    const { local, localPort, remote, remotePort } = record.event().key;
    return this.#refused.delete(
      tupleText(
        { address: addrToText(local), port: localPort },
        { address: addrToText(remote), port: remotePort },
      ),
    );
  }

  /** Telemetry fails open: one event that cannot be told is counted, the others are. */
  #onFailure(err: unknown): void {
    this.#failed++;
    if (this.#failedOfBatch++ === 0) this.#log.error({ err }, 'an event of the kernel is lost');
  }

  #delivered(): void {
    this.#failedOfBatch = 0;
    this.#access.flush();
    this.#metrics.delivered();
  }
}

function tupleText(peer: Endpoint, target: Endpoint): string {
  return `${peer.address} ${peer.port} ${target.address} ${target.port}`;
}

async function agentNumbers(
  { parts, workers, readiness }: AgentTelemetryOptions,
  failedEvents: number,
) {
  const { mesh, reconciler } = parts;
  const count = (severity: 'error' | 'warning'): number =>
    mesh.findings.filter((finding) => finding.severity === severity).length;
  return {
    ready: readiness.ready,
    pods: { captured: reconciler.captured().length, failed: reconciler.failures().length },
    findings: { error: count('error'), warning: count('warning') },
    snapshotVersion: mesh.state.snapshot.version,
    failedEvents,
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
