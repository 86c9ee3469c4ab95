/**
 * Everything of the machine that a run of the bench takes: network namespaces for the pods and for the bridge between
 * them, a cgroup per variant, a temporary folder, a folder for pins, processes.  close() gives all of it back.
 *
 * Each name carries the process id of the run, so that a later run recognizes and removes what a killed one left.
 * Every process is in a cgroup of the run, and dies with it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { PodwireError } from '../../src/errors.ts';

export const NETNS_FOLDER = '/run/netns';
const BPFFS = '/sys/fs/bpf';
const OWNED = /^(?:pwb|podwire-bench)-(\d+)-/;
const SUBNETS = ['10.97.0', '10.97.1'] as const;
const WIRE = '10.97.255';

export interface Pod {
  /** name under /run/netns */
  readonly netns: string;
  readonly address: string;
}

/** A bridge with pods. */
export interface Node {
  /** of the bridge, and of whatever runs on the node itself */
  readonly netns: string;
  /** the first three bytes of its pods' addresses */
  readonly subnet: string;
  /** the pods' way to other nodes; undefined: there are none */
  readonly gateway?: string;
}

/** Where a process runs. */
export interface Place {
  readonly cgroup: string;
  /** undefined: in the network namespace of the bench itself */
  readonly netns?: string;
}

export interface Launch {
  readonly place: Place;
  /** list for taskset; undefined: anywhere */
  readonly cpus?: string | undefined;
  /** further options of setpriv */
  readonly privileges?: readonly string[];
  /** a service that stays: file for its stdout and stderr; undefined: pipes */
  readonly log?: string;
}

export class Sandbox {
  readonly folder: string;
  /** for an agent's pins; made by who needs it */
  readonly bpffs: string;
  readonly #run = `${process.pid}-${randomBytes(2).toString('hex')}`;
  readonly #cgroups: string[] = [];
  readonly #netns: string[] = [];
  readonly #node: Node;
  readonly #services: { readonly child: ChildProcess; readonly log: string }[] = [];
  #pods = 0;

  constructor() {
    sweep((pid) => !existsSync(`/proc/${pid}`));
    this.folder = mkdtempSync(join(tmpdir(), `podwire-bench-${this.#run}-`));
    this.bpffs = join(BPFFS, `podwire-bench-${this.#run}`);
    this.#node = { netns: this.#addBridge('bridge'), subnet: SUBNETS[0] };
  }

  /** Two bridges that route, and a link between them. */
  addLinkedNodes(): readonly [Node, Node] {
    const node = (name: string, subnet: string): Node => ({
      netns: this.#addBridge(name),
      subnet,
      gateway: `${subnet}.254`,
    });
    const nodes = [node('node1', SUBNETS[0]), node('node2', SUBNETS[1])] as const;
    const [near, far] = nodes;
    const wire = `link add wire0 type veth peer name wire0 netns ${far.netns}`;
    command('ip', ['-n', near.netns, '-batch', '-'], wire);
    nodes.forEach(({ netns, gateway }, index) => {
      const other = nodes[1 - index] ?? far;
      const lines = [
        `address add ${gateway}/24 dev br0`,
        `address add ${WIRE}.${index + 1}/24 dev wire0`,
        'link set wire0 up',
        `route add ${other.subnet}.0/24 via ${WIRE}.${2 - index}`,
      ];
      command('ip', ['-n', netns, '-batch', '-'], lines.join('\n'));
    });
    for (const { netns } of nodes) {
      inNetns(netns, 'sh', ['-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    }
    return nodes;
  }

  addPod(name: string, node: Node = this.#node): Pod {
    const index = ++this.#pods;
    const netns = this.#addNetns(name);
    const address = `${node.subnet}.${index}`;
    const link = `add veth${index} type veth peer name eth0 netns ${netns}`;
    const uplink = `link ${link}\nlink set veth${index} master br0 up`;
    command('ip', ['-n', node.netns, '-batch', '-'], uplink);
    const inPod = [
      'link set lo up',
      `address add ${address}/24 dev eth0`,
      'link set eth0 up',
      ...(node.gateway === undefined ? [] : [`route add default via ${node.gateway}`]),
    ];
    command('ip', ['-n', netns, '-batch', '-'], inPod.join('\n'));
    // Short connections at full speed use up the ports of a minute otherwise.
    inNetns(netns, 'sh', [
      '-c',
      'cd /proc/sys/net/ipv4 && echo 1 >tcp_tw_reuse && echo 10000 65000 >ip_local_port_range',
    ]);
    return { netns, address };
  }

  addCgroup(name: string): string {
    const path = join(cgroupRoot(), `podwire-bench-${this.#run}-${name}`);
    mkdirSync(path);
    this.#cgroups.push(path);
    return path;
  }

  start(program: string, args: readonly string[], launch: Launch): ChildProcess {
    const { place, cpus, privileges = [], log } = launch;
    const output = log === undefined ? undefined : openSync(log, 'a');
    const child = spawn(
      'sh',
      [
        ...['-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', place.cgroup],
        ...(place.netns === undefined
          ? []
          : ['nsenter', `--net=${join(NETNS_FOLDER, place.netns)}`]),
        ...(cpus === undefined ? [] : ['taskset', '-c', cpus]),
        ...['setpriv', '--pdeathsig', 'KILL', ...privileges, program, ...args],
      ],
      {
        cwd: this.folder,
        stdio: output === undefined ? ['ignore', 'pipe', 'pipe'] : ['ignore', output, output],
      },
    );
    if (output !== undefined) closeSync(output);
    if (log !== undefined) this.#services.push({ child, log });
    return child;
  }

  /** The error, or the end of a service that is behind it. */
  explain(error: unknown): unknown {
    for (const { child, log } of this.#services) {
      const code = child.exitCode ?? child.signalCode;
      if (code === null) continue;
      const last = readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n');
      return new Error(`${basename(log, '.log')} ended (${code}): ${last}`, { cause: error });
    }
    return error;
  }

  writeFile(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** Synchronous, so that nothing can come between. */
  close(): void {
    for (const cgroup of this.#cgroups) removeCgroup(cgroup);
    for (const netns of this.#netns.reverse()) spawnSync('ip', ['netns', 'del', netns]);
    rmSync(this.bpffs, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }

  #addBridge(name: string): string {
    const netns = this.#addNetns(name);
    command('ip', ['-n', netns, '-batch', '-'], BRIDGE);
    return netns;
  }

  #addNetns(name: string): string {
    const netns = `pwb-${this.#run}-${name}`;
    this.#netns.push(netns);
    command('ip', ['netns', 'add', netns]);
    return netns;
  }
}

const BRIDGE = 'link set lo up\nlink add br0 type bridge\nlink set br0 up';

/** Runs a command to its end; throws with its output when it fails. */
export function command(program: string, args: readonly string[], input = ''): string {
  const done = spawnSync(program, args, { encoding: 'utf8', input });
  if (done.error) throw missingProgram(program, done.error);
  if (done.status !== 0) {
    throw new Error(`${program} ${args.join(' ')} failed: ${done.stderr.trim() || done.status}`);
  }
  return done.stdout;
}

export function inNetns(netns: string, program: string, args: readonly string[], input = ''): void {
  command('nsenter', [`--net=${join(NETNS_FOLDER, netns)}`, program, ...args], input);
}

function missingProgram(program: string, cause: NodeJS.ErrnoException): Error {
  if (cause.code !== 'ENOENT') return cause;
  return new Error(`${program} is not installed; \`npm run bench\` installs what is missing`);
}

/** On a hybrid host it is not /sys/fs/cgroup. */
function cgroupRoot(): string {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, mountPoint, type] = line.split(' ');
    if (type === 'cgroup2' && mountPoint !== undefined) return mountPoint;
  }
  throw new PodwireError('ERR_NO_CGROUP2', 'no cgroup v2 is mounted', {
    hint: 'mount -t cgroup2 none /sys/fs/cgroup/unified',
  });
}

/** Ends every process in the cgroup and removes it. */
function removeCgroup(path: string): void {
  for (let attempt = 0; existsSync(path) && attempt < 300; attempt++) {
    try {
      for (const pid of readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n')) {
        if (pid !== '') process.kill(Number(pid), 'SIGKILL');
      }
      rmdirSync(path);
    } catch {
      // A process had just ended, or is about to.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/** Removes what runs left behind whose process is gone. */
function sweep(isGone: (pid: string) => boolean): void {
  const leftIn = (folder: string): string[] => {
    if (!existsSync(folder)) return [];
    return readdirSync(folder).filter((name) => {
      const pid = OWNED.exec(name)?.[1];
      return pid !== undefined && isGone(pid);
    });
  };
  const root = cgroupRoot();
  for (const name of leftIn(root)) removeCgroup(join(root, name));
  for (const name of leftIn(NETNS_FOLDER)) spawnSync('ip', ['netns', 'del', name]);
  for (const folder of [BPFFS, tmpdir()]) {
    for (const name of leftIn(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}
