/**
 * Reads of /proc about processes of pods.  Processes end at any time: every method answers "nothing" then, and only
 * errors that are no race (EPERM, EMFILE) are thrown.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { TrustKey } from '../../kernel/abi/layout.gen.ts';
import { argvHash, argvText } from './argv.ts';
import { isInterpreter } from './interpreters.ts';

/** An executable as the kernel's programs name it. */
export interface ExecutableId {
  readonly inode: bigint;
  /** kernel encoding: (major << 20) | minor */
  readonly device: number;
}

export interface OpenExecutable {
  readonly fd: number;
  readonly path: string;
  readonly id: ExecutableId;
}

/** One thread inside a system call. */
export interface ThreadCall {
  readonly number: number;
  readonly firstArgument: number;
}

const MAX_THREADS = 4096;
/** what the kernel puts behind the path of a removed file */
const DELETED = / \(deleted\)$/;
const GONE = new Set(['ENOENT', 'ESRCH', 'EACCES', 'ENOTDIR']);

export class Processes {
  readonly #root: string;

  constructor(options: { root?: string } = {}) {
    this.#root = options.root ?? '/proc';
  }

  /** Opens the running file itself, so that what is read later is what runs. The caller closes `fd`. */
  openExecutable(tgid: number): OpenExecutable | undefined {
    const link = this.#path(tgid, 'exe');
    return unlessGone(() => {
      const path = readlinkSync(link).replace(DELETED, '');
      const fd = openSync(link, 'r');
      try {
        const stat = fstatSync(fd, { bigint: true });
        return { fd, path, id: { inode: stat.ino, device: kernelDevice(stat.dev) } };
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    });
  }

  /**
   * Whether the process runs this file. On overlayfs and btrfs stat(2) has another device than the kernel; the
   * mappings show the kernel's.
   */
  runs(tgid: number, id: ExecutableId): boolean {
    const stat = unlessGone(() => statSync(this.#path(tgid, 'exe'), { bigint: true }));
    if (stat?.ino !== id.inode) return false;
    if (kernelDevice(stat.dev) === id.device) return true;
    const major = (id.device >>> 20).toString(16).padStart(2, '0');
    const minor = (id.device & 0xfffff).toString(16).padStart(2, '0');
    const maps = unlessGone(() => readFileSync(this.#path(tgid, 'maps'), 'latin1'));
    return maps?.includes(` ${major}:${minor} ${id.inode} `) ?? false;
  }

  /** All processes that run this file. */
  running(id: ExecutableId): number[] {
    return readdirSync(this.#root)
      .filter((name) => /^[1-9]\d*$/.test(name))
      .map(Number)
      .filter((tgid) => this.runs(tgid, id));
  }

  /** The kernel's numbers of the running file, from its mapping. */
  executableId(tgid: number): ExecutableId | undefined {
    const path = this.executablePath(tgid);
    const maps = unlessGone(() => readFileSync(this.#path(tgid, 'maps'), 'latin1'));
    if (path === undefined || maps === undefined) return undefined;
    for (const line of maps.split('\n')) {
      const match = /^\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) ([0-9]+) +(.*)$/.exec(line);
      if (match === null || match[4]?.replace(DELETED, '') !== path) continue;
      const major = parseInt(match[1] ?? '', 16);
      const minor = parseInt(match[2] ?? '', 16);
      return { inode: BigInt(match[3] ?? ''), device: ((major << 20) | minor) >>> 0 };
    }
    return undefined;
  }

  executablePath(tgid: number): string | undefined {
    const path = unlessGone(() => readlinkSync(this.#path(tgid, 'exe')));
    return path?.replace(DELETED, '');
  }

  argvHash(tgid: number): bigint | undefined {
    const cmdline = unlessGone(() => readFileSync(this.#path(tgid, 'cmdline')));
    return cmdline && argvHash(cmdline);
  }

  /** Its arguments, when they are those of `hash`. */
  argvText(tgid: number, hash: bigint): string | undefined {
    const cmdline = unlessGone(() => readFileSync(this.#path(tgid, 'cmdline')));
    return cmdline && argvHash(cmdline) === hash ? argvText(cmdline) : undefined;
  }

  /** The system calls its threads are blocked in; threads that run are left out. */
  calls(tgid: number): ThreadCall[] {
    const threads = unlessGone(() => readdirSync(this.#path(tgid, 'task'))) ?? [];
    const calls: ThreadCall[] = [];
    for (const thread of threads.slice(0, MAX_THREADS)) {
      const line = unlessGone(() =>
        readFileSync(join(this.#path(tgid, 'task'), thread, 'syscall'), 'latin1'),
      );
      const match = /^(\d+) 0x([0-9a-f]+)/.exec(line ?? '');
      if (match === null) continue;
      // descriptors are 32 bits wide; the register may carry more
      const firstArgument = Number(BigInt.asUintN(32, BigInt(`0x${match[2] ?? '0'}`)));
      calls.push({ number: Number(match[1]), firstArgument });
    }
    return calls;
  }

  /** The reader's key in the trust map, had it connected or listened itself. */
  trustKey(tgid: number, workload: number): TrustKey | undefined {
    const id = this.executableId(tgid);
    const path = this.executablePath(tgid);
    if (id === undefined || path === undefined) return undefined;
    const argv = isInterpreter(basename(path)) ? this.argvHash(tgid) : 0n;
    return argv === undefined ? undefined : { ...id, workload, argv };
  }

  /** Does any process of this program hold an io_uring? */
  hasIoUring(key: TrustKey): boolean {
    return this.running(key).some(
      (tgid) => (key.argv === 0n || this.argvHash(tgid) === key.argv) && this.usesIoUring(tgid),
    );
  }

  usesIoUring(tgid: number): boolean {
    const folder = this.#path(tgid, 'fd');
    const names = unlessGone(() => readdirSync(folder)) ?? [];
    return names.some(
      (name) => unlessGone(() => readlinkSync(join(folder, name))) === 'anon_inode:[io_uring]',
    );
  }

  #path(tgid: number, name: string): string {
    return join(this.#root, String(tgid), name);
  }
}

/** dev_t of stat(2) → the kernel's own: (major << 20) | minor */
export function kernelDevice(device: bigint): number {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xfff00n);
  return Number(BigInt.asUintN(32, (major << 20n) | minor));
}

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== undefined && GONE.has(code)) return undefined;
    throw error;
  }
}
