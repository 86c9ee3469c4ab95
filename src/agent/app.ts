/**
 * The agent, put together. Reads top to bottom in the order of the data flow: privileges → lock → kernel objects → learning →
 * mesh (control, store, plan, kernel) → attachment → events → telemetry → admin.
 */
import { join } from 'node:path';
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
import { SelfTest } from '../kernel/self-test.ts';
import { Settings } from '../kernel/settings.ts';
import { Resources } from '../lifecycle/drain.ts';
import { Readiness } from '../lifecycle/readiness.ts';
import type { Log } from '../log.ts';
import { AgentAdminView } from './admin-view.ts';
import { Workers } from './data-plane/workers.ts';
import { startControlPlane } from './control-plane.ts';
import { Cuts } from './cuts.ts';
import { Flows } from './flows.ts';
import { Learning } from './learning.ts';
import { Listeners } from './listeners.ts';
import { Mesh } from './mesh.ts';
import type { AgentParts } from './parts.ts';
import { PodVerdicts } from './pod-verdicts.ts';
import { Revocation } from './revocation.ts';
import { spliceDecision } from './splice-decision.ts';
import { StateFolder } from './state-folder.ts';
import { AgentTelemetry, withCuts } from './telemetry.ts';
import { keepaliveSeconds, Upkeep } from './upkeep.ts';

const RETRY_PODS_MS = 1000;

export interface AgentDeps {
  readonly log: Log;
  readonly setLogLevel: (level: string) => boolean;
  /** somebody asked over the admin socket */
  readonly onShutdown: () => void;
  readonly signal?: AbortSignal;
}

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
  const splice = await spliceDecision(
    options,
    new SelfTest({ binding, objectPath: join(objects, 'selftest.bpf.o') }),
  );
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
    setup: { records: path.map('records').fd, agentSocks: path.map('agent_socks').fd },
    log,
    count: options.workers,
    onRestart: (worker) => listeners.reopen(worker),
    closeFd: (fd) => binding.closeFd(fd),
    onDenied: (denial) => telemetry.refused(denial),
  });
  const listeners = new Listeners({ binding, path, workers });
  resources.add('workers', async () => {
    listeners.retire();
    await workers.close();
  });
  const reconciler: Reconciler = new Reconciler({
    binding,
    path,
    listeners,
    workers: options.workers,
    log,
    podsInUse: () => connections.podsInUse(),
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
  });
  if (options.configDir !== undefined) {
    // Its validators cost time and memory that an agent without a folder need not spend.
    const { startControl } = await import('../control/app.ts');
    const control = await startControl({
      dir: options.configDir,
      log,
      trustDomain: options.trustDomain,
      clusterId: options.clusterId,
      meshConfig: options.meshConfig,
      // with xDS servers the folder says which pods are captured, and nothing else
      onUpdate: (update) =>
        mesh.update({
          enrolled: update.enrolled,
          findings: () => update.findings,
          ...(options.xds ? {} : { mesh: update.mesh }),
        }),
    });
    resources.add('control', () => control.close());
  }
  const xds = await startControlPlane({
    options,
    version,
    stateDir: state.path,
    log,
    mesh,
    onComplete: () => readiness.clear('mesh'),
  });
  if (xds === undefined) readiness.clear('mesh');
  else resources.add('xDS', () => xds.close());

  path.attach();
  learning.start();
  readiness.clear('attached');
  const retry = setInterval(() => {
    if (reconciler.failures().length + reconciler.pending === 0) return;
    reconciler.retry();
    learning.adoptSoon();
  }, RETRY_PODS_MS);
  resources.add('retry', () => clearInterval(retry));

  const flows = new Flows({ reconciler, verdicts, state: () => mesh.state });
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
  };
  const telemetry: AgentTelemetry = new AgentTelemetry({ parts, workers, readiness, version, log });
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
  return {
    addresses: { admin: options.adminSocket, metrics: page?.address ?? null },
    async close(deadlineMs) {
      for (const failure of await resources.close(deadlineMs))
        log.warn({ ...failure }, 'a part did not stop cleanly');
    },
  };
}
