/**
 * A node's pods as network namespaces on one bridge. The bridge lives in a namespace of its own, so nothing appears
 * on the host. All processes of the pods run in one cgroup of this mesh: an agent under test is attached to that
 * cgroup and sees nothing else of the machine.
 *
 * close() removes everything; it also runs when the test fails or the process is told to end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  NETNS_FOLDER,
  command,
  killQuietly,
  makeCgroup,
  removeCgroup,
  removeFolder,
  sweepDeadRuns,
  uniqueName,
} from './node.ts';

export interface PodSpec {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly serviceAccount?: string;
  /** container ports by name, for Services with named target ports */
  readonly ports?: Readonly<Record<string, number>>;
}

export interface Pod {
  readonly spec: PodSpec;
  readonly name: string;
  /** name under /run/netns */
  readonly netns: string;
  readonly netnsPath: string;
  readonly v4: string;
  readonly v6: string;
}

export interface RunResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** undefined: in the mesh's cgroup, but in the host's namespace */
  readonly pod?: Pod;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

export interface Spawned {
  readonly child: ChildProcess;
  readonly pid: number;
  output(): string;
  /** resolves when the text has appeared on stdout or stderr */
  waitFor(text: string, timeoutMs?: number): Promise<void>;
  readonly ended: Promise<RunResult>;
  stop(signal?: NodeJS.Signals): Promise<RunResult>;
}

/** What a node:test context offers; the mesh is closed after the test. */
export interface Scope {
  after(fn: () => void | Promise<void>): void;
}

export interface MeshOptions {
  readonly pods: readonly PodSpec[];
}

export interface Mesh {
  readonly name: string;
  readonly cgroup: string;
  /** a folder that is removed with the mesh */
  readonly folder: string;
  readonly pods: readonly Pod[];
  /** the bridge's namespace, the pods' gateway: the node, for an agent that is started in it */
  readonly node: Pod;
  /** of the pods */
  readonly subnets: { readonly v4: string; readonly v6: string };
  pod(name: string): Pod;
  spawn(program: string, args: readonly string[], options?: RunOptions): Spawned;
  /** Runs to the end, whatever the exit code. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
  writeFile(name: string, content: string): string;
  /** called before the mesh goes, last registered first */
  defer(fn: () => void | Promise<void>): void;
  close(): Promise<void>;
}

/** The process enters the cgroup itself before exec, so that not one system call of the program is missed. */
const ENTER_CGROUP = 'echo $$ > "$0/cgroup.procs" && exec "$@"';

class NetnsMesh implements Mesh {
  readonly name: string;
  readonly cgroup: string;
  readonly folder: string;
  readonly pods: readonly Pod[];
  readonly node: Pod;
  readonly subnets: { readonly v4: string; readonly v6: string };
  readonly #deferred: (() => void | Promise<void>)[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #destroyOnExit = (): void => this.#destroy();
  readonly #destroyOnSignal = (signal: NodeJS.Signals): void => {
    this.#destroy();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  #destroyed = false;

  constructor(options: MeshOptions) {
    sweepDeadRuns();
    const unique = uniqueName();
    this.name = `pwt-${unique}`;
    this.folder = mkdtempSync(join(tmpdir(), `${this.name}-`));
    this.cgroup = makeCgroup(unique);
    const subnet = `${randomInt(0, 256)}.${randomInt(0, 256)}`;
    const subnet6 = `fd${randomInt(16, 256).toString(16)}:${randomInt(1, 65536).toString(16)}`;
    this.subnets = { v4: `10.${subnet}.0/24`, v6: `${subnet6}::/64` };
    this.pods = options.pods.map((spec, index) => ({
      spec,
      name: spec.name,
      netns: `${this.name}-${spec.name}`,
      netnsPath: join(NETNS_FOLDER, `${this.name}-${spec.name}`),
      v4: `10.${subnet}.${index + 1}`,
      v6: `${subnet6}::${index + 1}`,
    }));
    this.node = {
      ...{ spec: { name: 'node' }, name: 'node', netns: this.#bridge },
      netnsPath: join(NETNS_FOLDER, this.#bridge),
      v4: `10.${subnet}.254`,
      v6: `${subnet6}::fe`,
    };
    process.once('exit', this.#destroyOnExit);
    process.once('SIGINT', this.#destroyOnSignal);
    process.once('SIGTERM', this.#destroyOnSignal);
    try {
      this.#build(this.node.v4, this.node.v6);
    } catch (error) {
      this.#destroy();
      throw error;
    }
  }

  get #bridge(): string {
    return `${this.name}-bridge`;
  }

  #build(gateway4: string, gateway6: string): void {
    const bridge = this.#bridge;
    command('ip', ['netns', 'add', bridge]);
    const inBridge = [
      'link set lo up',
      'link add br0 type bridge',
      `address add ${gateway4}/24 dev br0`,
      `address add ${gateway6}/64 dev br0 nodad`,
      'link set br0 up',
    ];
    this.pods.forEach((pod, index) => {
      command('ip', ['netns', 'add', pod.netns]);
      inBridge.push(
        `link add veth${index} type veth peer name eth0 netns ${pod.netns}`,
        `link set veth${index} master br0 up`,
      );
    });
    command('ip', ['-n', bridge, '-batch', '-'], inBridge.join('\n'));
    for (const pod of this.pods) {
      const inPod = [
        'link set lo up',
        `address add ${pod.v4}/24 dev eth0`,
        `address add ${pod.v6}/64 dev eth0 nodad`,
        'link set eth0 up',
        `route add default via ${gateway4}`,
        `route add default via ${gateway6}`,
      ];
      command('ip', ['-n', pod.netns, '-batch', '-'], inPod.join('\n'));
    }
  }

  pod(name: string): Pod {
    const pod = this.pods.find((candidate) => candidate.name === name);
    if (pod === undefined) throw new Error(`no pod "${name}" in this mesh`);
    return pod;
  }

  spawn(program: string, args: readonly string[], options: RunOptions = {}): Spawned {
    const enter = options.pod ? ['nsenter', `--net=${options.pod.netnsPath}`, '--'] : [];
    const child = spawn('sh', ['-c', ENTER_CGROUP, this.cgroup, ...enter, program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      cwd: options.cwd ?? this.folder,
    });
    this.#children.add(child);
    const spawned = new SpawnedProcess(child, `${program} ${args.join(' ')}`);
    const { timeoutMs } = options;
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    void spawned.ended.then(() => {
      clearTimeout(timer);
      this.#children.delete(child);
    });
    return spawned;
  }

  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.spawn(program, args, { timeoutMs: 120_000, ...options }).ended;
  }

  writeFile(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  defer(fn: () => void | Promise<void>): void {
    this.#deferred.push(fn);
  }

  async close(): Promise<void> {
    try {
      while (this.#deferred.length > 0) await this.#deferred.pop()?.();
    } finally {
      this.#destroy();
    }
  }

  /** Synchronous, because it also runs in an exit handler. */
  #destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    process.off('exit', this.#destroyOnExit);
    process.off('SIGINT', this.#destroyOnSignal);
    process.off('SIGTERM', this.#destroyOnSignal);
    for (const child of this.#children) child.kill('SIGKILL');
    removeCgroup(this.cgroup);
    for (const netns of [...this.pods.map((pod) => pod.netns), this.#bridge]) {
      try {
        command('ip', ['netns', 'del', netns]);
      } catch {
        // building failed before it was made
      }
    }
    removeFolder(this.folder);
  }
}

class SpawnedProcess implements Spawned {
  readonly child: ChildProcess;
  readonly ended: Promise<RunResult>;
  readonly #title: string;
  #stdout = '';
  #stderr = '';

  constructor(child: ChildProcess, title: string) {
    this.child = child;
    this.#title = title;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.#title}: not started`);
    return this.child.pid;
  }

  output(): string {
    return this.#stdout + this.#stderr;
  }

  async waitFor(text: string, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!this.output().includes(text)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null || Date.now() > deadline) {
        throw new Error(`${this.#title}: no "${text}" in its output: ${this.output()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<RunResult> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      killQuietly(this.pid, signal);
      const force = setTimeout(() => killQuietly(this.pid, 'SIGKILL'), 5000);
      await this.ended;
      clearTimeout(force);
    }
    return this.ended;
  }
}

export function createMesh(scope: Scope, options: MeshOptions): Mesh {
  const mesh = new NetnsMesh(options);
  scope.after(() => mesh.close());
  return mesh;
}
