/** The agent as the admin API shows it: joins the mesh, the kernel's maps and what was learnt into plain JSON. */
import { configDump } from '../admin/config-dump.ts';
import { resourcesView, type ResourceKind, type ResourcesView } from '../admin/resource-view.ts';
import type {
  AdminView,
  ConnectionView,
  CountersView,
  DoctorView,
  PodView,
  PolicyView,
  ServiceView,
  StatusView,
  TrustView,
} from '../admin/view.ts';
import type { PodEntry } from '../compile/kernel/pods.ts';
import type { AgentOptions } from '../config/agent-options.ts';
import {
  ABI_HASH,
  behaviourNames,
  Reason,
  reasonNames,
  TrustState,
  trustStateNames,
} from '../kernel/abi/layout.gen.ts';
import type { CertificateStatus } from '../identity/certificate-status.ts';
import { byPlace, type Finding } from '../model/finding.ts';
import { isDenied } from '../telemetry/kernel-metrics.ts';
import { counterNames } from '../kernel/abi/layout.gen.ts';
import { isAgents } from './flows.ts';
import { connectionView, pathOf, preMeshView } from './connection-view.ts';
import type { AgentParts } from './parts.ts';
import { policyViews } from './policy-views.ts';
import { PreMesh } from './pre-mesh.ts';
import { serviceViews } from './service-views.ts';

export interface AgentAdminViewOptions {
  readonly parts: AgentParts;
  readonly options: AgentOptions;
  readonly version: string;
  readonly startedAt: Date;
  readonly metricsAddress: () => string | null;
  readonly readiness: { readonly ready: boolean; readonly blockers: readonly string[] };
  readonly doctor: () => Promise<readonly DoctorView[]>;
}

export class AgentAdminView implements AdminView {
  readonly #options: AgentAdminViewOptions;
  readonly #parts: AgentParts;
  readonly #preMesh: PreMesh;

  constructor(options: AgentAdminViewOptions) {
    this.#options = options;
    this.#parts = options.parts;
    const { binding, connections, reconciler, mesh } = options.parts;
    this.#preMesh = new PreMesh({ binding, connections, reconciler, state: () => mesh.state });
  }

  status(): StatusView {
    const { options, version, startedAt, metricsAddress, readiness } = this.#options;
    const { path, connections, settings, mesh, reconciler, splice } = this.#parts;
    const list = connections.list();
    const { snapshot } = mesh.state;
    const findings = this.findings();
    return {
      version,
      pid: process.pid,
      startedAt: startedAt.toISOString(),
      uptimeSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
      ready: readiness.ready,
      blockers: readiness.blockers,
      config: {
        dir: options.configDir ?? '',
        cgroup: options.cgroup,
        bpffs: options.bpffs,
        stateDir: options.stateDir,
      },
      metrics: metricsAddress(),
      kernel: {
        generation: path.generation.number,
        abi: ABI_HASH,
        adopted: path.adopted,
        older: connections.older().map(({ number }) => number),
        epoch: settings.get().epoch,
        pending: reconciler.pending,
      },
      splice,
      mesh: {
        snapshot: snapshot.version,
        workloads: snapshot.workloads.size,
        services: snapshot.services.size,
        policies: snapshot.authorizations.size,
      },
      pods: { captured: reconciler.captured().length, failed: reconciler.failures().length },
      connections: {
        live: list.length,
        spliced: list.filter((one) => pathOf(one) === 'spliced').length,
      },
      findings: {
        errors: findings.filter(({ severity }) => severity === 'error').length,
        warnings: findings.filter(({ severity }) => severity === 'warning').length,
      },
      xds: this.#parts.xds?.status() ?? null,
      node: this.#parts.xds?.node() ?? null,
      certificates: this.#certificates(),
    };
  }

  pods(): PodView[] {
    const { reconciler } = this.#parts;
    return [
      ...reconciler
        .captured()
        .map(({ entry, id, since }) => podView(entry, 'captured', '', since, id)),
      ...reconciler
        .failures()
        .map(({ entry, finding, since }) => podView(entry, 'failed', finding.message, since, 0)),
    ];
  }

  connections(): ConnectionView[] {
    const { connections, flows, binding } = this.#parts;
    const now = binding.monotonicNs();
    const all = connections.list().filter((one) => !isAgents(one));
    const infos = flows.live(all);
    return [
      ...all.map((one, i) => connectionView(one, infos[i]!, now)),
      ...this.#preMesh.list().map(preMeshView),
    ];
  }

  services(): ServiceView[] {
    const { mesh, reconciler } = this.#parts;
    return serviceViews(mesh.state, reconciler.services);
  }

  policies(): PolicyView[] {
    const { mesh, reconciler } = this.#parts;
    return policyViews(
      mesh.state.snapshot,
      reconciler.captured().map(({ entry }) => entry),
    );
  }

  resources(kind?: ResourceKind): ResourcesView {
    return resourcesView(this.#parts.mesh.state.snapshot, kind);
  }

  counters(): CountersView {
    const { kernel } = this.#parts;
    const counters = kernel.counters();
    const reasons = kernel.reasons();
    return {
      ...Object.fromEntries(counterNames.map((name, i) => [name, Number(counters[i] ?? 0n)])),
      ...Object.fromEntries(
        reasonNames.flatMap((name, i) =>
          i === Reason.NONE
            ? []
            : [[`${isDenied(i) ? 'denied' : 'not-spliced'}.${name}`, Number(reasons[i] ?? 0n)]],
        ),
      ),
    };
  }

  trust(): TrustView[] {
    const { learning, binding } = this.#parts;
    const bootMs = Date.now() - Number(binding.monotonicNs() / 1_000_000n);
    return learning.observer.listing().map(({ names, trust, flags }) => ({
      name: names.argv === '' ? names.executable : `${names.executable} ${names.argv}`,
      workload: names.workload,
      state: flags.interpreter
        ? 'interpreter'
        : ((trustStateNames[trust.state] ?? 'observing') as TrustView['state']),
      reason:
        trust.state === TrustState.DENIED ? (behaviourNames[trust.reason - 1] ?? 'denied') : '',
      connections: trust.connections,
      quiet: trust.quiet,
      since: new Date(bootMs + Number(trust.firstNs / 1_000_000n)).toISOString(),
    }));
  }

  certificates(): readonly CertificateStatus[] {
    return this.#parts.certificates.list();
  }

  doctor(): Promise<readonly DoctorView[]> {
    return this.#options.doctor();
  }

  findings(): readonly Finding[] {
    const { mesh, reconciler, certificates } = this.#parts;
    const failures = reconciler.failures().map(({ finding }) => finding);
    return [...mesh.findings, ...failures, ...certificates.findings()].sort(byPlace);
  }

  configDump(): Readonly<Record<string, unknown>> {
    const { mesh, reconciler } = this.#parts;
    const captured = reconciler.captured().map(({ entry }) => ({ entry, captured: true }));
    const failed = reconciler.failures().map(({ entry }) => ({ entry, captured: false }));
    return configDump({
      snapshot: mesh.state.snapshot,
      version: this.#options.version,
      config: this.#options.options,
      pods: [...captured, ...failed].map(({ entry, captured: up }) => ({
        uid: entry.uid,
        namespace: entry.namespace,
        name: entry.name,
        serviceAccount: entry.serviceAccount,
        captured: up,
      })),
      certificates: this.#parts.certificates.chains(),
    });
  }

  #certificates(): StatusView['certificates'] {
    const { certificates } = this.#parts;
    const list = certificates.list();
    return {
      source: certificates.source,
      reason: certificates.reason,
      identities: list.length,
      valid: list.filter(({ state }) => state === 'valid').length,
      crl: certificates.crl() ?? null,
    };
  }
}

function podView(
  entry: PodEntry,
  state: PodView['state'],
  reason: string,
  since: Date,
  id: number,
): PodView {
  const ports = [...entry.portModes].map(([port, mode]) => `${port}=${mode}`);
  return {
    namespace: entry.namespace,
    name: entry.name,
    state,
    reason,
    since: since.toISOString(),
    netns: entry.netns,
    id,
    identity: entry.spiffe,
    addresses: entry.addrs,
    capture: entry.captureProxy ? 'proxy' : 'kernel',
    splice: [entry.splice, ...ports].join(','),
  };
}
