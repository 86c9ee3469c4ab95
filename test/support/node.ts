/**
 * The machine the netns tests run on: where the build outputs are, which privileges and tools there are, the cgroup v2
 * mount, and what earlier test runs that were killed left behind. Namespaces are named `pwt-<pid>-<random>-POD`, cgroups
 * `podwire-test-<pid>-<random>`: run.sh knows these prefixes, and a later run can tell a dead run's leftovers from a
 * live one's property.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from './repository.ts';

export const NETNS_FOLDER = '/run/netns';
const OWNED = /^(?:pwt|podwire-test)-(\d+)-/;

/** A program of test/c. */
export function cProgram(name: string): string {
  const path = join(repositoryRoot(), 'test/c/.output', name);
  if (!existsSync(path)) throw new Error(`${path} does not exist; fix: make -C test/c`);
  return path;
}

/** Runs a command to its end; throws with its output when it fails. */
export function command(program: string, args: readonly string[], input?: string): string {
  const done = spawnSync(program, args, { encoding: 'utf8', input: input ?? '' });
  if (done.error) throw done.error;
  if (done.status !== 0) {
    throw new Error(
      `${program} ${args.join(' ')}: exit code ${done.status}: ${done.stderr}${done.stdout}`,
    );
  }
  return done.stdout;
}

/** The mount point of cgroup v2: on a hybrid host it is not /sys/fs/cgroup. */
export function cgroupRoot(): string {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, mountPoint, type] = line.split(' ');
    if (type === 'cgroup2' && mountPoint !== undefined) return mountPoint;
  }
  throw new Error(
    'no cgroup v2 in /proc/mounts; fix: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified',
  );
}

export function findProgram(name: string): string | undefined {
  const folders = [
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/usr/local/go/bin',
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Why a netns test cannot run here, or false: the value of node:test's `skip`. */
export function skipReason(...programs: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['ip', 'nsenter', ...programs].filter((name) => findProgram(name) === undefined);
  return missing.length > 0
    ? `needs ${missing.join(', ')}; fix: sh test/support/setup.sh test`
    : false;
}

/** `<pid>-<random>`, to follow one of the prefixes. */
export function uniqueName(): string {
  return `${process.pid}-${randomBytes(3).toString('hex')}`;
}

export function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended by itself
  }
}

export function cgroupProcesses(cgroup: string): number[] {
  try {
    return readFileSync(join(cgroup, 'cgroup.procs'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

/** Synchronous sleep, for clean-up in an exit handler. */
export function pauseSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Ends every process in the cgroup and removes it. */
export function removeCgroup(cgroup: string): void {
  for (let attempt = 0; existsSync(cgroup) && attempt < 200; attempt++) {
    for (const pid of cgroupProcesses(cgroup)) killQuietly(pid, 'SIGKILL');
    try {
      rmdirSync(cgroup);
    } catch {
      pauseSync(10);
    }
  }
}

export function makeCgroup(name: string): string {
  const path = join(cgroupRoot(), `podwire-test-${name}`);
  mkdirSync(path);
  return path;
}

/** Unmounts what is mounted in the folder and removes it. */
export function removeFolder(folder: string): void {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const mountPoint = line.split(' ')[1];
    if (mountPoint?.startsWith(`${folder}/`) === true) {
      spawnSync('umount', ['--lazy', mountPoint]);
    }
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Removes namespaces, cgroups and folders of test runs whose process is gone. */
export function sweepDeadRuns(): void {
  const dead = (name: string): boolean => {
    const pid = OWNED.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  for (const name of readdirSync(cgroupRoot()).filter(dead)) removeCgroup(join(cgroupRoot(), name));
  for (const name of readdirSync(tmpdir()).filter(dead)) removeFolder(join(tmpdir(), name));
  if (!existsSync(NETNS_FOLDER)) return;
  for (const name of readdirSync(NETNS_FOLDER).filter(dead)) {
    spawnSync('ip', ['netns', 'del', name]);
  }
}
