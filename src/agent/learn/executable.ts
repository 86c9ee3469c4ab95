/**
 * What an executable file says about itself before it has done anything: its name, imports, language, identity.
 *
 * A hint for the trust policy only: no import of splice(2) proves nothing (a library or a raw system call may use it),
 * but an import keeps programs out that splice only under load (HAProxy's `option splice-auto`).
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isInterpreter } from './interpreters.ts';
import { readElf } from './elf.ts';
import type { ReadRange } from './elf.ts';
import type { ExecutableId, Processes } from './processes.ts';
import type { TrustKey } from '../../kernel/abi/layout.gen.ts';

export interface Executable {
  readonly path: string;
  readonly name: string;
  /** build id, or hash of the first MiB and the size: survives a copy to another inode */
  readonly fingerprint: string;
  /** runs many programs: each is judged by its arguments */
  readonly interpreter: boolean;
  readonly go: boolean;
  /** the C symbol, or for Go internal/poll.Splice */
  readonly importsSplice: boolean;
}

export type Inspection =
  /** `argv`: of an interpreter's program, '' */
  | { readonly ok: true; readonly executable: Executable; readonly argv: string }
  | { readonly ok: false; readonly error: string };

const MAX_SCAN_BYTES = 256 << 20;
const CHUNK_BYTES = 1 << 20;
const GO_SPLICE = Buffer.from('internal/poll.Splice');
const C_SPLICE = Buffer.from('\0splice\0');
const MAX_CACHED = 1024;

export class ExecutableInspector {
  readonly #processes: Processes;
  readonly #known = new Map<string, Promise<Executable>>();

  constructor(options: { processes: Processes }) {
    this.#processes = options.processes;
  }

  /**
   * The file is opened before the first await: of a short-lived process it is gone a moment later.  Refuses a process
   * that meanwhile runs something else than `expected`.
   */
  async inspect(tgid: number, expected: Omit<TrustKey, 'workload'>): Promise<Inspection> {
    let fd: number | undefined;
    try {
      const opened = this.#processes.openExecutable(tgid);
      if (opened === undefined) return { ok: false, error: `process ${tgid} has ended` };
      fd = opened.fd;
      const { path, id } = opened;
      const same = id.inode === expected.inode && id.device === expected.device;
      if (!same && !this.#processes.runs(tgid, expected)) {
        return { ok: false, error: `process ${tgid} runs another file by now` };
      }
      const argv = expected.argv ? (this.#processes.argvText(tgid, expected.argv) ?? '') : '';
      return { ok: true, executable: await this.#describe(fd, path, id), argv };
    } catch (error) {
      return { ok: false, error: `executable of process ${tgid}: ${(error as Error).message}` };
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  #describe(fd: number, path: string, id: ExecutableId): Promise<Executable> {
    const stat = fstatSync(fd, { bigint: true });
    const cacheKey = [path, id.inode, id.device, stat.size, stat.mtimeNs].join(' ');
    const known = this.#known.get(cacheKey);
    if (known !== undefined) return known;
    const executable = describe(fd, path, Number(stat.size));
    this.#known.set(cacheKey, executable);
    executable.catch(() => this.#known.delete(cacheKey));
    this.#forgetOldest();
    return executable;
  }

  #forgetOldest(): void {
    const oldest = this.#known.keys().next();
    if (this.#known.size > MAX_CACHED && !oldest.done) this.#known.delete(oldest.value);
  }
}

async function describe(fd: number, path: string, size: number): Promise<Executable> {
  const name = basename(path);
  const read: ReadRange = (offset, length) => {
    if (!Number.isSafeInteger(offset) || offset + length > size) return undefined;
    const buffer = Buffer.alloc(length);
    return readSync(fd, buffer, 0, length, offset) === length ? buffer : undefined;
  };
  const elf = readElf(read);
  const go = elf?.go ?? (await contains(fd, size, GO_SPLICE));
  let importsSplice = elf?.importsSplice ?? (await contains(fd, size, C_SPLICE));
  if (go) importsSplice = await contains(fd, size, GO_SPLICE);
  return {
    path,
    name,
    fingerprint: elf?.buildId ? `build-id:${elf.buildId}` : headHash(read, size),
    interpreter: isInterpreter(name),
    go,
    importsSplice,
  };
}

function headHash(read: ReadRange, size: number): string {
  const head = read(0, Math.min(size, CHUNK_BYTES)) ?? Buffer.alloc(0);
  return `sha256:${createHash('sha256').update(head).digest('hex')}:${size}`;
}

/** Streamed, with the event loop served between the chunks; the first 256 MiB. */
async function contains(fd: number, size: number, text: Buffer): Promise<boolean> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  const step = CHUNK_BYTES - text.length + 1;
  for (let offset = 0; offset < Math.min(size, MAX_SCAN_BYTES); offset += step) {
    const length = readSync(fd, buffer, 0, CHUNK_BYTES, offset);
    if (buffer.subarray(0, length).includes(text)) return true;
    await nextTurn();
  }
  return false;
}
