/**
 * istiod (test/apps/istiod) with a test's API server: ambient mode, no webhooks, its own CA, everything on loopback.
 *
 * Clients need what an agent's pod has: the root certificate, and a token bound to a pod, for the audience istio-ca.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { CUSTOM_KINDS } from '../../src/control/sources/kubernetes/kinds.ts';
import { KubernetesError } from '../../src/control/kubernetes/error.ts';
import type { XdsClientOptions } from '../../src/xds/client/client.ts';
import { nodeOf } from '../../src/xds/client/node.ts';
import { freePorts } from './free-ports.ts';
import type { Kubernetes } from './kubernetes.ts';
import { repositoryRoot } from './repository.ts';

const START_MS = 60_000;
const NAMESPACE = 'istio-system';
/** of its certificate */
const SERVER_NAME = 'istiod.istio-system.svc';
const AGENT = 'ztunnel';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const MESH_CONFIG = `
trustDomain: cluster.local
rootNamespace: ${NAMESPACE}
defaultConfig:
  discoveryAddress: ${SERVER_NAME}:15012
`;

type Ports = Record<'http' | 'https' | 'grpc' | 'secure' | 'monitoring' | 'introspection', number>;

interface Crd {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

function output(name: string): string {
  const path = join(repositoryRoot(), 'test/apps/.output', name);
  if (!existsSync(path))
    throw new Error(`${path} does not exist; fix: sh test/support/setup.sh test`);
  return path;
}

/** The kinds of Istio and Gateway API that control reads; resolves when the API server serves them. */
export async function installIstioKinds({ admin }: Kubernetes): Promise<void> {
  const folder = output('istiod-crds');
  const documents = readdirSync(folder).flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((one) => one.toJS() as Crd),
  );
  const wanted = new Set(CUSTOM_KINDS.map(({ resource, group }) => `${resource}.${group}`));
  // The API server takes a quarter of a second for each.
  const kinds = documents.filter((one) => one !== null && wanted.has(one.metadata.name));
  await Promise.all(kinds.map((body) => admin.call(CRDS, { method: 'POST', body })));
  const deadline = performance.now() + START_MS;
  for (;;) {
    const { items } = (await admin.call(CRDS)) as { items: readonly Crd[] };
    const waiting = items.filter(
      ({ status }) =>
        !status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True'),
    );
    if (waiting.length === 0) return;
    if (performance.now() > deadline) {
      throw new Error(`not established: ${waiting.map(({ metadata }) => metadata.name).join()}`);
    }
    await sleep(50);
  }
}

/**
 * Stop it in `after`, before the API server: it also ends when this process does. What `makeObjects` makes is there before
 * it starts, in its namespace too.
 */
export async function startIstiod(
  kubernetes: Kubernetes,
  makeObjects: () => Promise<void> = () => Promise.resolve(),
): Promise<Istiod> {
  const names = ['http', 'https', 'grpc', 'secure', 'monitoring', 'introspection'] as const;
  const free = await freePorts(names.length);
  const ports = Object.fromEntries(names.map((name, index) => [name, free[index]])) as Ports;
  const istiod = new Istiod(kubernetes, ports);
  try {
    await istiod.prepare();
    await makeObjects();
    await istiod.start();
  } catch (error) {
    await istiod.stop();
    throw error;
  }
  return istiod;
}

export class Istiod {
  readonly rootFile: string;
  readonly tokenFile: string;
  readonly #kubernetes: Kubernetes;
  readonly #ports: Ports;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  #log = '';

  constructor(kubernetes: Kubernetes, ports: Ports) {
    this.#kubernetes = kubernetes;
    this.#ports = ports;
    this.#folder = join(kubernetes.folder, 'istiod');
    this.rootFile = join(this.#folder, 'root-cert.pem');
    this.tokenFile = join(this.#folder, 'token');
  }

  /** xDS over TLS (istiod's 15012) */
  get address(): string {
    return `127.0.0.1:${this.#ports.secure}`;
  }

  /** xDS without TLS and without authentication (istiod's 15010) */
  get plaintextAddress(): string {
    return `127.0.0.1:${this.#ports.grpc}`;
  }

  get serverName(): string {
    return SERVER_NAME;
  }

  get log(): string {
    return this.#log;
  }

  /** The accounts, and the pod whose token an agent under test has; once. */
  async prepare(): Promise<void> {
    const { admin } = this.#kubernetes;
    mkdirSync(this.#folder);
    writeFileSync(join(this.#folder, 'mesh.yaml'), MESH_CONFIG);
    const post = (path: string, body: unknown): Promise<unknown> =>
      admin.call(path, { method: 'POST', body });
    await post('/api/v1/namespaces', { metadata: { name: NAMESPACE } });
    await post(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name: AGENT } });
    const containers = [{ name: 'main', image: 'example.com/ztunnel:1' }];
    const pod = (await post(`/api/v1/namespaces/${NAMESPACE}/pods`, {
      metadata: { name: `${AGENT}-1` },
      spec: { nodeName: 'n1', serviceAccountName: AGENT, containers },
    })) as { metadata: { name: string; uid: string } };
    const { name, uid } = pod.metadata;
    const token = await this.#kubernetes.createToken(NAMESPACE, AGENT, { boundPod: { name, uid } });
    writeFileSync(this.tokenFile, token, { mode: 0o600 });
  }

  /** Resolves when it is ready and its root certificate is known; the ports are those of every start. */
  async start(): Promise<void> {
    this.#log = '';
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', '--', output('istiod'), ...this.#args()],
      { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.#folder, env: ENVIRONMENT },
    );
    this.#process = child;
    const keep = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    await this.#until('ready', child, async () => {
      const { ok } = await fetch(`http://127.0.0.1:${this.#ports.http}/ready`);
      return ok;
    });
    await this.#until('its root certificate', child, () => this.#readRoot());
  }

  /** kill -SIGKILL, as a crash. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** What XdsClient needs to ask it as an agent on that node. */
  client(node: string): Pick<XdsClientOptions, 'servers' | 'channel' | 'node'> {
    return {
      servers: [{ name: 'istiod', target: this.address, plaintext: false }],
      channel: {
        rootFile: this.rootFile,
        tokenFile: this.tokenFile,
        serverName: this.serverName,
        clusterId: 'Kubernetes',
      },
      node: nodeOf({
        environment: this.environment(node),
        clusterId: 'Kubernetes',
        hostname: node,
        version: '0',
      }),
    };
  }

  /** Of a pod of the agent's DaemonSet on that node. */
  environment(node: string): Record<string, string> {
    return {
      POD_NAME: `${AGENT}-1`,
      POD_NAMESPACE: NAMESPACE,
      SERVICE_ACCOUNT: AGENT,
      NODE_NAME: node,
    };
  }

  async #readRoot(): Promise<boolean> {
    try {
      const { data } = (await this.#kubernetes.admin.call(
        `/api/v1/namespaces/${NAMESPACE}/secrets/istio-ca-secret`,
      )) as { data: Record<string, string> };
      const pem = Buffer.from(data['ca-cert.pem'] ?? '', 'base64');
      if (pem.length > 0) writeFileSync(this.rootFile, pem);
      return pem.length > 0;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return false;
      throw error;
    }
  }

  async #until(what: string, child: ChildProcess, is: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + START_MS;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`istiod ended: ${this.#log}`);
      }
      if (await is().catch(() => false)) return;
      if (performance.now() > deadline) throw new Error(`istiod, ${what}: ${this.#log}`);
      await sleep(50);
    }
  }

  #args(): string[] {
    const at = (name: keyof Ports): string => `127.0.0.1:${this.#ports[name]}`;
    return [
      'discovery',
      `--kubeconfig=${this.#kubernetes.kubeconfig}`,
      `--meshConfig=${join(this.#folder, 'mesh.yaml')}`,
      `--httpAddr=${at('http')}`,
      `--httpsAddr=${at('https')}`,
      `--grpcAddr=${at('grpc')}`,
      `--secureGRPCAddr=${at('secure')}`,
      `--monitoringAddr=${at('monitoring')}`,
      `--ctrlz_port=${this.#ports.introspection}`,
      '--domain=cluster.local',
    ];
  }
}

const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  PILOT_ENABLE_AMBIENT: 'true',
  PILOT_CERT_PROVIDER: 'istiod',
  PILOT_ENABLE_ANALYSIS: 'false',
  // whose pods may ask for certificates of their node's other pods
  CA_TRUSTED_NODE_ACCOUNTS: `${NAMESPACE}/${AGENT}`,
  // A change is pushed at once: nothing here is large enough to gain by waiting.
  PILOT_DEBOUNCE_AFTER: '10ms',
  CLUSTER_ID: 'Kubernetes',
  REVISION: 'default',
  TRUST_DOMAIN: 'cluster.local',
  POD_NAME: 'istiod-1',
  POD_NAMESPACE: NAMESPACE,
  SERVICE_ACCOUNT: 'istiod',
  INJECTION_WEBHOOK_CONFIG_NAME: '',
  VALIDATION_WEBHOOK_CONFIG_NAME: '',
};
