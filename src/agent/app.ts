/**
 * The agent, put together. Reads top to bottom in the order of the data flow: privileges → lock → kernel objects → learning →
 * mesh (control, store, plan, kernel) → attachment → events → telemetry → admin.
 */
import { startMetricsServer } from '../admin/metrics-server.ts';
import { startAdminServer } from '../admin/server.ts';
import type { AgentOptions } from '../config/agent-options.ts';
import { packageInfo } from '../config/package.ts';
import { loadBinding } from '../kernel/binding.ts';
import { Connections } from '../kernel/connections.ts';
import { DataPath } from '../kernel/data-path.ts';
import { runDoctor } from '../kernel/doctor.ts';
import { WriterLock } from '../kernel/lock.ts';
import { KernelReadings } from '../kernel/numbers.ts';
import { Reconciler } from '../kernel/reconciler.ts';
import {
  requireBpffs,
  requireBtf,
  requireCgroup2,
  requireOwnCgroup,
  requireRoot,
} from '../kernel/requirements.ts';
import { Settings } from '../kernel/settings.ts';
import { Resources } from '../lifecycle/drain.ts';
import { Readiness } from '../lifecycle/readiness.ts';
import { AgentAdminView } from './admin-view.ts';
import { Certificates } from './certificates/certificates.ts';
import { Workers } from './data-plane/workers.ts';
import { startControlPlane } from './control-plane.ts';
import { Cuts } from './cuts.ts';
import { startEmbeddedControl } from './embedded-control.ts';
import { Flows } from './flows.ts';
import { Learning } from './learning.ts';
import { Listeners } from './listeners.ts';
import { Mesh } from './mesh.ts';
import type { AgentDeps, AgentParts } from './parts.ts';
import { startPodRetry } from './pod-retry.ts';
import { PodVerdicts } from './pod-verdicts.ts';
import { ProvenIdentities } from './proven-identities.ts';
import { Revocation } from './revocation.ts';
import { decideSplicing } from './splice-decision.ts';
import { StateFolder } from './state-folder.ts';
import { AgentTelemetry, withCuts } from './telemetry.ts';
import { Tunnels } from './tunnels.ts';
import { keepaliveSeconds, Upkeep } from './upkeep.ts';

export interface Running {
  readonly addresses: { readonly admin: string; readonly metrics: string | null };
  close(deadlineMs: number): Promise<void>;
}

export async function startAgent(options: AgentOptions, deps: AgentDeps): Promise<Running> {
  const resources = new Resources();
  try {
    return await build(options, deps, resources);
  } catch (error) {
    await resources.close(2000);
    throw error;
  }
}

async function build(
  options: AgentOptions,
  deps: AgentDeps,
  resources: Resources,
): Promise<Running> {
  const { log } = deps;
  const startedAt = new Date();
  const { objects, version } = packageInfo();
  const readiness = new Readiness({
    log,
    blockers: ['lock', 'kernel', 'mesh', 'attached', 'admin'],
  });

  requireRoot();
  requireBtf();
  const binding = loadBinding();
  requireCgroup2(options.cgroup);
  requireOwnCgroup(options.cgroup);
  requireBpffs(binding, options.bpffs);
  binding.raiseLimits();
  const state = new StateFolder(options.stateDir);

  const lock = new WriterLock({ binding, bpffs: options.bpffs });
  await lock.acquire(log, deps.signal);
  resources.add('lock', () => lock.release());
  readiness.clear('lock');

  const saved = state.loadNumbers();
  const path = new DataPath({
    binding,
    objects,
    bpffs: options.bpffs,
    cgroup: options.cgroup,
    log,
    adopt: saved !== undefined,
  });
  let started = false;
  resources.add('data path', () => (started ? path.close() : path.abandon()));
  const splice = await decideSplicing(options, binding, objects);
  if (!splice.enabled) log.warn({ reason: splice.reason }, 'nothing will be spliced');
  const settings = new Settings(path.map('settings'));
  settings.write({ splice: splice.enabled ? 1 : 0, keepaliveS: keepaliveSeconds() });
  readiness.clear('kernel');

  const numbersSince = saved?.since ?? path.generation.number;
  const connections = new Connections({
    binding,
    path,
    numbersSince,
    identityOf: (pod) => reconciler.identityOf(pod),
  });
  const kernel = new KernelReadings({ binding, path, connections });
  const workers = new Workers({
    setup: {
      records: path.map('records').fd,
      agentSocks: path.map('agent_socks').fd,
      transport: options.transport,
    },
    log,
    count: options.workers,
    onRestart: (worker) => listeners.reopen(worker),
    closeFd: (fd) => binding.closeFd(fd),
    host: {
      greeting: () => [...certificates.greeting(), ...tunnels.greeting()],
      wanted: (spiffe) => certificates.demand(spiffe),
      answer: (question) => tunnels.answer(question),
    },
  });
  const certificates: Certificates = new Certificates({
    options,
    stateDir: state.path,
    credential: () => xds?.credential,
    tell: (message) => workers.tell(message),
    log,
  });
  const listeners = new Listeners({ binding, path, workers });
  resources.add('workers', async () => listeners.drain(await lock.handOver()));
  const reconciler: Reconciler = new Reconciler({
    binding,
    path,
    listeners,
    workers: options.workers,
    log,
    podsInUse: () => connections.podsInUse(),
  });
  const identities = new ProvenIdentities({ state: () => mesh.state, log });
  const tunnels = new Tunnels({
    reconciler,
    identities,
    state: () => mesh.state,
    tell: (message) => workers.tell(message),
  });
  const cuts = new Cuts();
  const learning = new Learning({
    binding,
    objects,
    path,
    reconciler,
    cuts,
    olderSocks: connections.olderMaps('socks').map(({ map }) => map),
    stateDir: state.path,
    log,
  });
  resources.add('learning', () => learning.close());
  const verdicts = new PodVerdicts(() => mesh.state);
  const revocation = new Revocation({
    connections,
    reconciler,
    verdicts,
    killer: learning.killer,
    cuts,
    state: () => mesh.state,
    identities,
    log,
  });
  resources.add('revocation', () => revocation.close());

  const mesh: Mesh = new Mesh({
    numbers: saved?.numbers,
    numbersSince,
    state,
    reconciler,
    settings,
    log,
    node: options.node,
    onPlan: (plan) => workers.plan(plan),
    onPolicyChange: () => {
      revocation.schedule();
      learning.adoptSoon();
    },
    onIdentities: (spiffes) => certificates.follow(spiffes),
    onApplied: () => tunnels.update(),
    tunnelMode: options.tunnelMode,
  });
  if (options.configDir !== undefined) {
    const control = await startEmbeddedControl({ dir: options.configDir, options, mesh, log });
    resources.add('control', () => control.close());
  }
  const xds = await startControlPlane({
    options,
    version,
    stateDir: state.path,
    log,
    mesh,
    settings,
    onComplete: () => readiness.clear('mesh'),
  });
  if (xds === undefined) readiness.clear('mesh');
  else resources.add('xDS', () => xds.close());
  resources.add('certificates', () => certificates.close());

  path.attach();
  learning.start();
  readiness.clear('attached');
  const retry = startPodRetry(reconciler, () => {
    tunnels.update();
    learning.adoptSoon();
  });
  resources.add('retry', () => retry.close());

  const flows = new Flows({ reconciler, verdicts, state: () => mesh.state, identities });
  const parts: AgentParts = {
    binding,
    path,
    settings,
    connections,
    reconciler,
    mesh,
    flows,
    cuts,
    learning,
    kernel: withCuts(kernel, cuts),
    splice,
    xds,
    certificates,
  };
  const telemetry = new AgentTelemetry({ parts, workers, readiness, version, log });
  workers.observe(telemetry);
  telemetry.start();
  resources.add('telemetry', () => telemetry.close());
  const upkeep = new Upkeep({
    connections,
    path,
    reconciler,
    mesh,
    beforeRemoval: (generation) => {
      telemetry.endOf(generation);
      kernel.inherit(generation);
    },
    log,
  });
  upkeep.start();
  resources.add('upkeep', () => upkeep.close());

  const page = options.metrics
    ? await startMetricsServer({
        listen: options.metrics,
        metrics: () => telemetry.registry.render(),
        readiness: () => readiness,
        log,
      })
    : undefined;
  if (page) resources.add('metrics page', () => page.close());
  const admin = await startAdminServer({
    socket: options.adminSocket,
    view: new AgentAdminView({
      parts,
      options,
      version,
      startedAt,
      metricsAddress: () => page?.address ?? null,
      readiness,
      doctor: () => runDoctor(binding, { objects, cgroup: options.cgroup, bpffs: options.bpffs }),
    }),
    actions: { shutdown: deps.onShutdown, setLogLevel: deps.setLogLevel },
    log,
  });
  resources.add('admin socket', () => admin.close());

  log.info(
    {
      pods: reconciler.captured().length,
      ms: Date.now() - startedAt.getTime(),
      admin: options.adminSocket,
      metrics: page?.address ?? null,
    },
    'serving',
  );
  readiness.clear('admin');
  started = true;
  void certificates.start();
  return {
    addresses: { admin: options.adminSocket, metrics: page?.address ?? null },
    async close(deadlineMs) {
      for (const failure of await resources.close(deadlineMs))
        log.warn({ ...failure }, 'a part did not stop cleanly');
    },
  };
}
