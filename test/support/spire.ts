/**
 * SPIRE (test/apps/spire): a server and an agent on this machine, which let this user take other workloads' certificates.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from './certificates.ts';
import { freePorts } from './free-ports.ts';
import { repositoryRoot } from './repository.ts';
import { until } from './xds-server.ts';

const run = promisify(execFile);
const TRUST_DOMAIN = 'cluster.local';
const DELEGATE = `spiffe://${TRUST_DOMAIN}/podwire`;
const START_MS = 60_000;

function program(): string {
  const path = join(repositoryRoot(), 'test/apps/.output/spire');
  if (!existsSync(path))
    throw new Error(`${path} does not exist; fix: sh test/support/setup.sh test`);
  return path;
}

export class Spire {
  readonly folder: string;
  readonly #port: number;
  readonly #processes = new Map<'server' | 'agent', ChildProcess>();
  #log = '';
  #parent = '';

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = port;
  }

  /** With an agent that has joined, and this user as delegate; ends with the test. */
  static async start(t: TestContext): Promise<Spire> {
    const [port] = await freePorts(1);
    const spire = new Spire(await temporaryDirectory(t), port!);
    t.after(() => spire.#stop());
    await spire.#startServer();
    await spire.#join();
    await spire.startAgent();
    await spire.createEntry(DELEGATE, [`unix:uid:${process.getuid?.() ?? 0}`]);
    return spire;
  }

  /** of the agent's admin API */
  get socket(): string {
    return join(this.folder, 'admin', 'api.sock');
  }

  get log(): string {
    return this.#log;
  }

  /** `ttl`: of its certificates, in seconds */
  async createEntry(spiffe: string, selectors: readonly string[], ttl = 3600): Promise<void> {
    const which = selectors.flatMap((selector) => ['-selector', selector]);
    const names = ['-parentID', this.#parent, '-spiffeID', spiffe, '-x509SVIDTTL', String(ttl)];
    await this.#server('entry', 'create', ...names, ...which);
  }

  /** For pods of this ServiceAccount, as SPIRE's Kubernetes attestor sees them. */
  async createPodEntry(namespace: string, account: string, ttl?: number): Promise<string> {
    const spiffe = `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/${account}`;
    await this.createEntry(spiffe, [`k8s:ns:${namespace}`, `k8s:sa:${account}`], ttl);
    return spiffe;
  }

  async startAgent(): Promise<void> {
    await this.#start('agent', '-config', join(this.folder, 'agent.conf'));
    await this.#until('agent', this.socket);
  }

  async stopAgent(): Promise<void> {
    await this.#end('agent');
  }

  async #startServer(): Promise<void> {
    await writeFile(join(this.folder, 'server.conf'), this.#serverConfig());
    await this.#start('server', '-config', join(this.folder, 'server.conf'));
    await this.#until('server', this.#serverSocket);
  }

  /** A token makes the agent's name known before it has started. */
  async #join(): Promise<void> {
    const said = await this.#server('token', 'generate', '-output', 'json');
    const { value } = JSON.parse(said) as { value: string };
    this.#parent = `spiffe://${TRUST_DOMAIN}/spire/agent/join_token/${value}`;
    const bundle = await this.#server('bundle', 'show');
    await writeFile(join(this.folder, 'bundle.pem'), bundle);
    await mkdir(join(this.folder, 'admin'));
    await writeFile(join(this.folder, 'agent.conf'), this.#agentConfig(value));
  }

  async #server(...args: readonly string[]): Promise<string> {
    const [noun = '', verb = '', ...rest] = args;
    const all = ['server', noun, verb, '-socketPath', this.#serverSocket, ...rest];
    return (await run(program(), all)).stdout;
  }

  get #serverSocket(): string {
    return join(this.folder, 'server.sock');
  }

  async #start(what: 'server' | 'agent', ...args: readonly string[]): Promise<void> {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program(), what, 'run', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.folder,
    });
    this.#processes.set(what, child);
    const keep = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    await once(child, 'spawn');
  }

  async #until(what: 'server' | 'agent', socket: string): Promise<void> {
    const child = this.#processes.get(what);
    await until(`SPIRE's ${what}`, () => existsSync(socket) || child?.exitCode !== null, START_MS);
    if (!existsSync(socket)) throw new Error(`SPIRE's ${what} ended: ${this.#log}`);
  }

  async #end(what: 'server' | 'agent'): Promise<void> {
    const child = this.#processes.get(what);
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async #stop(): Promise<void> {
    await this.#end('agent');
    await this.#end('server');
  }

  #serverConfig(): string {
    return `server {
  bind_address = "127.0.0.1"
  bind_port = "${this.#port}"
  socket_path = "${this.#serverSocket}"
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${this.folder}/server"
  log_level = "WARN"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${this.folder}/entries.sqlite3" } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}
`;
  }

  #agentConfig(token: string): string {
    return `agent {
  server_address = "127.0.0.1"
  server_port = "${this.#port}"
  socket_path = "${this.folder}/workload/api.sock"
  admin_socket_path = "${this.socket}"
  authorized_delegates = ["${DELEGATE}"]
  trust_bundle_path = "${this.folder}/bundle.pem"
  trust_domain = "${TRUST_DOMAIN}"
  join_token = "${token}"
  data_dir = "${this.folder}/agent"
  experimental { sync_interval = "1s" }
  log_level = "INFO"
}
plugins {
  KeyManager "disk" { plugin_data { directory = "${this.folder}/agent" } }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`;
  }
}
