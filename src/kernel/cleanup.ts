/**
 * Removes everything podwire keeps in the kernel and on disk, without the addon, the BPF objects or an agent: a link whose
 * last pin goes is detached by the kernel, a map whose last pin goes is freed with its last program.  Connections that
 * are spliced now stay so until they end: their sockets hold the programs they were born with.
 */
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { PodwireError } from '../errors.ts';
import { Generations } from './generations.ts';

export interface CleanupReport {
  /** in the order of removal */
  readonly removed: readonly string[];
  readonly failed: readonly { readonly path: string; readonly message: string }[];
}

const BPF_FS_MAGIC = 0xcafe4a11;

/** What agents write into their state folder; anything else in there is not ours to remove. */
const STATE_FILE = /^[a-z][a-z0-9-]*\.json(\.tmp)?$/;

/**
 * The process that holds an flock on the file, from /proc/locks; undefined when nobody does.  0: a process of another pid
 * namespace.
 */
export function lockHolder(path: string, locksText?: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const { dev, ino } = statSync(path, { bigint: true });
  const file = `${device(dev)}:${ino}`;
  for (const line of (locksText ?? readFileSync('/proc/locks', 'utf8')).split('\n')) {
    // "3: FLOCK  ADVISORY  WRITE 1234 00:1a:5678 0 EOF"; waiters have "->" after the number
    const [, kind, , , pid, where] = line.trim().split(/\s+/);
    if (kind === 'FLOCK' && where === file) return Math.max(0, Number(pid));
  }
  return undefined;
}

/** Throws PodwireError ERR_NO_BPFFS when `bpffs` is something else: what is below it would not be pins. */
export function removePins(bpffs: string): CleanupReport {
  const { root, links, pods } = new Generations(bpffs);
  if (!existsSync(root)) return { removed: [], failed: [] };
  if (statfsSync(root).type !== BPF_FS_MAGIC) {
    throw new PodwireError('ERR_NO_BPFFS', `${root} is not on a BPF file system`, {
      hint: 'name the one the agent was started with: --bpffs PATH',
    });
  }
  const sweep = new Sweep();
  // hooks first: nothing may run on half of its maps
  for (const folder of [links, pods, root]) sweep.tree(folder);
  return sweep;
}

export function removeState(stateDir: string): CleanupReport {
  const sweep = new Sweep();
  if (!existsSync(stateDir)) return sweep;
  const entries = readdirSync(stateDir, { withFileTypes: true });
  const ours = entries.filter((entry) => entry.isFile() && STATE_FILE.test(entry.name));
  for (const { name } of ours) sweep.file(join(stateDir, name));
  if (ours.length === entries.length) sweep.folder(stateDir);
  return sweep;
}

class Sweep implements CleanupReport {
  readonly removed: string[] = [];
  readonly failed: { path: string; message: string }[] = [];

  tree(path: string): void {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const below = join(path, entry.name);
      if (entry.isDirectory()) this.tree(below);
      else this.file(below);
    }
    this.folder(path);
  }

  file(path: string): void {
    this.#attempt(path, () => unlinkSync(path));
  }

  folder(path: string): void {
    this.#attempt(path, () => rmdirSync(path));
  }

  #attempt(path: string, remove: () => void): void {
    try {
      remove();
      this.removed.push(path);
    } catch (error) {
      this.failed.push({ path, message: (error as Error).message });
    }
  }
}

/** "MAJOR:MINOR" as /proc/locks prints it, from the encoding of stat(2) */
function device(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return [major, minor].map((part) => part.toString(16).padStart(2, '0')).join(':');
}
