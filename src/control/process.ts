/**
 * Control as a process of its own: sources in, xDS and certificates out, for all agents of the mesh.
 *
 *   sources ─► core ─► mesh ─► xDS server ─┐
 *                        └──► directory ─► CA ─┴► one gRPC port
 *
 * It keeps nothing but the root of its CA and join tokens: any number of replicas do the same work side by side.
 */
import { startControlAdmin } from '../admin/control-server.ts';
import { startMetricsServer, type MetricsServer } from '../admin/metrics-server.ts';
import type { ControlProcessOptions } from '../config/control-options.ts';
import { Resources } from '../lifecycle/drain.ts';
import { Readiness } from '../lifecycle/readiness.ts';
import type { Log } from '../log.ts';
import { registerProcess } from '../telemetry/process-metrics.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { createCodec } from '../xds/codec.ts';
import type { StreamClient } from '../xds/server/scope.ts';
import { XdsServer } from '../xds/server/server.ts';
import { ControlView } from './admin-view.ts';
import { admit } from './admission.ts';
import { WorkloadIndex } from './auth/workload-directory.ts';
import { startCertification } from './ca/certification.ts';
import { registerCertificateMetrics } from './ca/metrics.ts';
import { certificationOptions } from './certification-options.ts';
import { openClusters } from './clusters.ts';
import { ControlCore } from './core.ts';
import { GrpcListener } from './grpc-listener.ts';
import { ControlMetrics, registerConnectionMetrics } from './metrics.ts';
import { publishRoots, type PublishedRoots } from './roots/publish.ts';
import { warmUpSchemas } from './schema/warm-up.ts';
import { MeshScope } from './scope/mesh-scope.ts';
import { NodeScopes } from './scope/node-scopes.ts';
import { StatusPublisher } from './status/publisher.ts';
import { translateOptions } from './translate/options.ts';
import { startWebhook, type RunningWebhook } from './webhook/serve.ts';
import { openSources, whenAnswered, whenHeard } from './open-sources.ts';

export interface ControlProcessParts {
  readonly log: Log;
  /** aborted: the start is given up */
  readonly signal: AbortSignal;
  readonly setLogLevel: (level: string) => boolean;
  readonly onShutdown: () => void;
}

export interface ControlProcess {
  /** of the gRPC port */
  readonly address: string;
  /** of /metrics */
  readonly metricsAddress: string | undefined;
  /** PEM of the roots that clients must trust */
  readonly roots: string;
  /** Sends the agents to other replicas, then ends. Never rejects; may be called twice. */
  close(): Promise<void>;
}

const CLOSE_MS = 10_000;
const STREAM_GRACE_MS = 5_000;

/** Throws PodwireError; nothing is left running then. */
export async function startControlProcess(
  options: ControlProcessOptions,
  parts: ControlProcessParts,
): Promise<ControlProcess> {
  const resources = new Resources();
  try {
    return await start(options, parts, resources);
  } catch (error) {
    await resources.close(CLOSE_MS);
    throw error;
  }
}

async function start(
  options: ControlProcessOptions,
  { log, signal, setLogLevel, onShutdown }: ControlProcessParts,
  resources: Resources,
): Promise<ControlProcess> {
  const readiness = new Readiness({ log, blockers: ['admin', 'configuration', 'listener'] });
  const registry = new MetricsRegistry({ log, process: 'control' });
  registerProcess(registry);
  const clusters = await openClusters(options, rootNamespaceOf(options), log);
  if (clusters !== undefined) resources.add('clusters', () => clusters.close());
  const clusterId = clusters?.cluster ?? options.clusterId;

  const workloads = new WorkloadIndex(clusterId);
  const trust = await certificationOptions(options, {
    clusters,
    workloads,
    onAuthenticated: (peer) => listener.gate.known(peer),
    log,
  });
  const certification = await whenAnswered(() => startCertification(trust), signal, log);
  resources.add('certification', () => certification.close());

  const local: StreamClient | undefined =
    options.plaintext && options.listen.kind === 'unix'
      ? { identity: { trustDomain: options.trustDomain, ...options.agents[0]! }, node: undefined }
      : undefined;
  const { authenticator, rules, authority, service, serving } = certification;
  const codec = createCodec();
  const metrics = new ControlMetrics(registry, () => xds.numbers());
  const scope = new MeshScope(() => core.visibility);
  const xds: XdsServer = new XdsServer({
    codec,
    log: log.child({ component: 'xds' }),
    scopes: new NodeScopes({
      ownCluster: clusterId,
      visibility: scope.visibility,
      gateways: scope.gateways,
    }),
    admit: (call) =>
      admit(
        { authenticator, rules, local, onAuthenticated: (peer) => listener.gate.known(peer) },
        call,
      ),
    events: metrics,
  });
  resources.add('xds', () => xds.close());
  registerCertificateMetrics({ registry, service, authority });
  registerConnectionMetrics(registry, () => listener.gate.numbers);

  let draining = false;
  const metricsPage = await startPage(options, registry, log, () => ({
    ready: readiness.ready && !draining,
    blockers: draining ? ['draining'] : readiness.blockers,
  }));
  if (metricsPage !== undefined) resources.add('metrics', () => metricsPage.close());

  const { required, sources } = openSources(options, clusters, log);
  let publisher: StatusPublisher | undefined;
  const later: { roots?: PublishedRoots; webhook?: RunningWebhook | undefined } = {};
  const core: ControlCore = new ControlCore({
    sources,
    translate: translateOptions({
      clusterId,
      trustDomain: options.trustDomain,
      ...(options.domain !== undefined && { domain: options.domain }),
      rootNamespace: rootNamespaceOf(options),
    }),
    meshConfig: options.meshConfig,
    log,
    onUpdate: ({ mesh }) => {
      workloads.apply(mesh.addresses);
      scope.apply(mesh);
      xds.apply(mesh);
    },
    onOrigins: (origins) => {
      const all = [...origins];
      publisher?.changed(all);
      later.roots?.changed(all);
    },
  });

  const listener: GrpcListener = new GrpcListener({
    listen: options.listen,
    credentials: options.plaintext ? undefined : serving.credentials(),
    requestBytes: xds.limits.requestBytes,
    connectionAgeMs: xds.limits.streamAgeMs * 1.5,
  });
  const view = new ControlView({
    options,
    clusterId,
    sources: sources.map(({ name }) => name),
    readiness,
    draining: () => draining,
    listener,
    metricsAddress: metricsPage?.address,
    xds,
    core,
    certification,
    webhookAddress: () => later.webhook?.address,
  });
  const { rotate } = certification;
  const rotateAndTell = rotate && (() => rotate().then(() => certification.rotation()));
  const admin = await startControlAdmin({
    socket: options.adminSocket,
    log,
    actions: { shutdown: onShutdown, setLogLevel, rotate: rotateAndTell },
    view,
  });
  resources.add('admin', () => admin.close());
  readiness.clear('admin');

  resources.add('core', () => core.close());
  await core.start();
  await whenHeard(required, signal, log);
  await core.secretsRead();
  readiness.clear('configuration');
  if (clusters !== undefined) {
    publisher = new StatusPublisher(clusters.startWriter(core.ownership), () => core.reports());
    publisher.changed([]);
    resources.add('status', () => publisher?.close());
  }
  later.roots = publishRoots(options, clusters, authority, log);
  resources.add('roots', () => later.roots?.close());
  // Asked before control knows the mesh, it would warn of everything.
  later.webhook = await startWebhook({
    listen: options.webhook,
    serving,
    core,
    cluster: clusters?.cluster,
    log,
  });
  resources.add('webhook', () => later.webhook?.close());

  xds.addTo(listener.server);
  service.addTo(listener.server, codec.certificates);
  resources.add('listener', () => listener.close());
  await listener.start();
  readiness.clear('listener');
  resources.add('schemas', warmUpSchemas());
  log.info(
    { address: listener.address, sources: sources.map(({ name }) => name) },
    'control serves',
  );

  resources.add('drain', async () => {
    draining = true;
    listener.stopListening(options.drainMs + STREAM_GRACE_MS);
    await xds.drain(options.drainMs);
  });
  return {
    address: listener.address,
    metricsAddress: metricsPage?.address,
    roots: authority.bundle(),
    close: async () => {
      const failures = await resources.close(options.drainMs + CLOSE_MS);
      for (const { name, error: err } of failures)
        log.error({ err, part: name }, 'did not stop well');
    },
  };
}

async function startPage(
  { metrics }: ControlProcessOptions,
  registry: MetricsRegistry,
  log: Log,
  readiness: () => { readonly ready: boolean; readonly blockers: readonly string[] },
): Promise<MetricsServer | undefined> {
  if (metrics === undefined) return undefined;
  return startMetricsServer({ listen: metrics, metrics: () => registry.render(), readiness, log });
}

function rootNamespaceOf({ rootNamespace }: ControlProcessOptions): string {
  return rootNamespace ?? 'istio-system';
}
