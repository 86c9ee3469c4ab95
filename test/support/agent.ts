/**
 * An agent under test: writes the mesh's pods as Kubernetes YAML into a config folder, starts `podwire agent` on the
 * mesh's cgroup with a bpffs, a state folder and an admin socket of its own, and asks it questions. The admin socket
 * is the judge of what was spliced: a test that needs spliced traffic asserts its counters.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import type { Mesh, Pod } from './netns.ts';
import { command, killQuietly } from './node.ts';
import { repositoryRoot } from './repository.ts';

export type Resource = Readonly<Record<string, unknown>>;
export type LogLine = Readonly<Record<string, unknown>>;

/** One decision of /v1/trust. */
export interface TrustView {
  /** path of the executable, perhaps followed by an interpreter's arguments */
  readonly name: string;
  /** "namespace/workload" */
  readonly workload: string;
  readonly state: string;
  readonly reason: string;
}

export interface AgentOptions {
  readonly mesh: Mesh;
  /** further resources of the config folder */
  readonly resources?: readonly Resource[];
  readonly args?: readonly string[];
  /** agents of one mesh share bpffs and state folder under this name */
  readonly instance?: string;
  /** those of the config folder; all of the mesh when absent */
  readonly pods?: readonly Pod[];
  /** main.js of another build */
  readonly program?: string;
  /** all of the config folder, instead of what `pods` and `resources` say */
  readonly described?: readonly Resource[];
  /** namespace it runs in: the node's own; the test's when absent */
  readonly node?: Pod;
}

export interface Agent {
  readonly pid: number;
  readonly configFolder: string;
  readonly log: readonly LogLine[];
  readonly stderr: string;
  readonly ended: Promise<number | null>;
  /** GET on the admin socket, parsed */
  admin(path: string): Promise<unknown>;
  counters(): Promise<Readonly<Record<string, number>>>;
  trust(): Promise<readonly TrustView[]>;
  metrics(): Promise<string>;
  writeResource(file: string, resources: readonly Resource[]): void;
  waitForLog(message: string, timeoutMs?: number): Promise<LogLine>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** SIGTERM, then removes pins and mounts */
  close(): Promise<void>;
}

export interface Folders {
  readonly config: string;
  readonly bpffs: string;
  readonly state: string;
  readonly socket: string;
}

/** What `podwire` runs. */
export function mainProgram(): string {
  return join(repositoryRoot(), 'dist/src/main.js');
}

/** Where an agent of this mesh keeps its pins and its state, and where it answers. */
export function placesOf(mesh: Mesh, instance = 'agent'): Folders {
  const base = join(mesh.folder, instance);
  return {
    config: join(base, 'config'),
    bpffs: join(base, 'bpf'),
    state: join(base, 'state'),
    socket: join(base, 'admin.sock'),
  };
}

/** The content of the config folder. */
export function meshResources(
  { pods }: { readonly pods: readonly Pod[] },
  more: readonly Resource[] = [],
): readonly Resource[] {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
  return [namespace, ...pods.map(podResource), ...more];
}

export function podResource(pod: Pod): Resource {
  const { spec } = pod;
  const ports = Object.entries(spec.ports ?? {}).map(([name, containerPort]) => ({
    name,
    containerPort,
  }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: pod.name,
      namespace: 'default',
      uid: `uid-${pod.netns}`,
      labels: { app: pod.name, ...spec.labels },
      annotations: { 'podwire.io/netns': pod.netns, ...spec.annotations },
    },
    spec: {
      serviceAccountName: spec.serviceAccount ?? pod.name,
      containers: [{ name: 'main', image: `${pod.name}:test`, ports }],
    },
    status: { phase: 'Running', podIP: pod.v4, podIPs: [{ ip: pod.v4 }, { ip: pod.v6 }] },
  };
}

function parseLine(line: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

/** Config, state and bpffs of one instance; a second agent of the same instance finds the first one's pins. */
function prepareFolders(mesh: Mesh, instance: string): Folders {
  const folders = placesOf(mesh, instance);
  if (existsSync(folders.config)) return folders;
  for (const path of [folders.config, folders.bpffs, folders.state]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  command('mount', ['-t', 'bpf', 'bpf', folders.bpffs]);
  return folders;
}

class AgentProcess implements Agent {
  readonly configFolder: string;
  readonly log: LogLine[] = [];
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #socket: string;
  readonly #netns: string | undefined;
  #stderr = '';
  #rest = '';

  constructor(
    folders: Folders,
    cgroup: string,
    { program, args, node }: Pick<AgentOptions, 'program' | 'args' | 'node'>,
  ) {
    this.#netns = node?.netnsPath;
    this.configFolder = folders.config;
    this.#socket = folders.socket;
    rmSync(folders.socket, { force: true });
    const options = [
      ...['--config', folders.config, '--cgroup', cgroup, '--bpffs', folders.bpffs],
      ...['--state-dir', folders.state, '--admin', folders.socket, '--metrics', '127.0.0.1:0'],
    ];
    /* inside the cgroup it attaches to: its own sockets in pods must meet the programs as well */
    const place = node ? ['nsenter', `--net=${node.netnsPath}`, '--'] : [];
    const main = program ?? mainProgram();
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    this.#child = spawn(
      'sh',
      ['-c', enter, cgroup, ...place, process.execPath, main, 'agent', ...options, ...(args ?? [])],
      { stdio: ['ignore', 'inherit', 'pipe'] },
    );
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => resolve(code));
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the agent was not started');
    return this.#child.pid;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get #running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #read(text: string): void {
    this.#stderr += text;
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const parsed = parseLine(line);
      if (parsed !== undefined) this.log.push(parsed);
    }
  }

  async waitForLog(message: string, timeoutMs = 15_000): Promise<LogLine> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const line = this.log.find((candidate) => candidate['msg'] === message);
      if (line !== undefined) return line;
      if (!this.#running || Date.now() > deadline) {
        throw new Error(`no "${message}" in the agent's log:\n${this.#stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #get(
    target: { socketPath: string } | { host: string; port: number },
    path: string,
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      const get = request({ ...target, path, agent: false, timeout: 10_000 }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode === 200) resolve(body);
          else reject(new Error(`GET ${path}: ${response.statusCode} ${body}`));
        });
      });
      get.once('timeout', () => get.destroy(new Error(`GET ${path}: no answer in 10 s`)));
      get.once('error', reject);
      get.end();
    });
  }

  async admin(path: string): Promise<unknown> {
    return JSON.parse(await this.#get({ socketPath: this.#socket }, path)) as unknown;
  }

  async counters(): Promise<Readonly<Record<string, number>>> {
    return (await this.admin('/v1/counters')) as Readonly<Record<string, number>>;
  }

  async trust(): Promise<readonly TrustView[]> {
    return (await this.admin('/v1/trust')) as readonly TrustView[];
  }

  async metrics(): Promise<string> {
    const serving = await this.waitForLog('serving');
    const address = String(serving['metrics']);
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    if (this.#netns === undefined) return this.#get({ host: '127.0.0.1', port }, '/metrics');
    const read = `import urllib.request as r; print(r.urlopen("http://127.0.0.1:${port}/metrics", timeout=10).read().decode())`;
    const inside = [`--net=${this.#netns}`, '--', 'python3', '-c', read];
    return (await promisify(execFile)('nsenter', inside, { maxBuffer: 1 << 24 })).stdout;
  }

  writeResource(file: string, resources: readonly Resource[]): void {
    const text = resources.map((resource) => stringify(resource)).join('---\n');
    writeFileSync(join(this.configFolder, file), text);
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.#running) killQuietly(this.pid, signal);
    await this.ended;
  }

  async close(): Promise<void> {
    const force = setTimeout(() => killQuietly(this.pid, 'SIGKILL'), 10_000);
    await this.kill('SIGTERM');
    clearTimeout(force);
  }
}

/** Starts an agent for the pods of the mesh; it is stopped before the mesh goes. */
export function launchAgent(options: AgentOptions): Agent {
  const { mesh } = options;
  const folders = prepareFolders(mesh, options.instance ?? 'agent');
  writeFileSync(
    join(folders.config, 'mesh.yaml'),
    (options.described ?? meshResources({ pods: options.pods ?? mesh.pods }, options.resources))
      .map((resource) => stringify(resource))
      .join('---\n'),
  );
  const agent = new AgentProcess(folders, mesh.cgroup, options);
  mesh.defer(() => agent.close());
  return agent;
}

/** The same, and waits until it captures. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const agent = launchAgent(options);
  await agent.waitForLog('ready');
  return agent;
}
