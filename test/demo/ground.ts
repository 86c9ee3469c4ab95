/**
 * Everything of the machine that the demo takes: a network namespace per pod and one for the bridge between them, a
 * cgroup, a temporary folder, a folder for pins, processes.  takeDown() gives all of it back.
 *
 * Each name carries the process id of the demo, so that a later one recognizes and removes what a killed one left.  All
 * processes are in the cgroup and die with it; each has a session of its own, so that a Ctrl-C reaches the demo alone.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { NETNS_FOLDER, cgroupRoot, command, removeCgroup } from '../support/node.ts';

const BPFFS = '/sys/fs/bpf';
const OWNED = /^(?:pwd|podwire-demo)-(\d+)-/;

export interface Pod {
  readonly name: string;
  readonly address: string;
  /** name under /run/netns */
  readonly netns: string;
}

export interface Launch {
  /** undefined: in the network namespace of the demo itself */
  readonly pod?: Pod;
  /** undefined: on any */
  readonly cpu?: number;
}

/** What the demo, or one that was killed, has on this machine. */
export interface Belongings {
  readonly namespaces: readonly string[];
  readonly cgroups: readonly string[];
  /** folders of pins */
  readonly pins: readonly string[];
  readonly folders: readonly string[];
}

export class Ground {
  readonly folder: string;
  /** for the agent's pins */
  readonly bpffs: string;
  readonly cgroup: string;
  readonly #run = `${process.pid}-${randomBytes(2).toString('hex')}`;
  readonly #bridge: string;
  #pods = 0;

  constructor() {
    this.#bridge = this.#netns('bridge');
    this.folder = mkdtempSync(join(tmpdir(), `podwire-demo-${this.#run}-`));
    // not podwire-*: test/run.sh takes new pins of that name for what its tests have left
    this.bpffs = join(BPFFS, `pwd-${this.#run}`);
    this.cgroup = join(cgroupRoot(), `podwire-demo-${this.#run}`);
    mkdirSync(this.bpffs);
    mkdirSync(this.cgroup);
    command('ip', ['netns', 'add', this.#bridge]);
    const bridge = 'link set lo up\nlink add br0 type bridge\nlink set br0 up';
    command('ip', ['-n', this.#bridge, '-batch', '-'], bridge);
  }

  addPod(name: string, address: string): Pod {
    const pod = { name, address, netns: this.#netns(name) };
    const veth = `veth${++this.#pods}`;
    command('ip', ['netns', 'add', pod.netns]);
    const link = `link add ${veth} type veth peer name eth0 netns ${pod.netns}`;
    const uplink = `${link}\nlink set ${veth} master br0 up`;
    command('ip', ['-n', this.#bridge, '-batch', '-'], uplink);
    const inPod = `link set lo up\naddress add ${address}/24 dev eth0\nlink set eth0 up`;
    command('ip', ['-n', pod.netns, '-batch', '-'], inPod);
    return pod;
  }

  start(program: string, args: readonly string[], launch: Launch): ChildProcessWithoutNullStreams {
    const { pod, cpu } = launch;
    return spawn(
      'sh',
      [
        ...['-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', this.cgroup],
        ...(pod === undefined ? [] : ['nsenter', `--net=${join(NETNS_FOLDER, pod.netns)}`]),
        ...(cpu === undefined ? [] : ['taskset', '-c', String(cpu)]),
        ...['setpriv', '--pdeathsig', 'KILL', program, ...args],
      ],
      { cwd: this.folder, detached: true },
    );
  }

  writeFile(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** Packets that have come from and gone to the first pod, counted at the bridge. */
  packets(): number {
    const text = command('ip', ['-n', this.#bridge, '-s', '-j', 'link', 'show', 'veth1']);
    interface Counts {
      readonly packets: number;
    }
    const [link] = JSON.parse(text) as { stats64: { rx: Counts; tx: Counts } }[];
    return link === undefined ? 0 : link.stats64.rx.packets + link.stats64.tx.packets;
  }

  #netns(name: string): string {
    return `pwd-${this.#run}-${name}`;
  }
}

/** What there is of this demo now. */
export function ownBelongings(): Belongings {
  return findBelongings((pid) => pid === process.pid);
}

/** Gives everything back, also when Ground could not be built to its end.  Synchronous: nothing can come between. */
export function takeDown(): void {
  remove(ownBelongings());
}

/** Removes what demos left behind whose process is gone; says what it was. */
export function sweepDeadDemos(): string[] {
  const left = findBelongings((pid) => !existsSync(`/proc/${pid}`));
  remove(left);
  return [...left.namespaces, ...left.cgroups, ...left.pins, ...left.folders];
}

function findBelongings(isOwner: (pid: number) => boolean): Belongings {
  const inFolder = (folder: string): string[] => {
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder).filter((name) => {
      const pid = OWNED.exec(name)?.[1];
      return pid !== undefined && isOwner(Number(pid));
    });
    return names.map((name) => join(folder, name));
  };
  return {
    namespaces: inFolder(NETNS_FOLDER),
    cgroups: inFolder(cgroupRoot()),
    pins: inFolder(BPFFS),
    folders: inFolder(tmpdir()),
  };
}

/** The processes go first: they hold the rest. */
function remove({ namespaces, cgroups, pins, folders }: Belongings): void {
  for (const path of cgroups) removeCgroup(path);
  for (const path of namespaces) spawnSync('ip', ['netns', 'del', basename(path)]);
  for (const path of [...pins, ...folders]) rmSync(path, { recursive: true, force: true });
}
