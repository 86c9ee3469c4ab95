/**
 * Roots in a folder: `roots-<number>.json`, 0600 in a folder 0700; the highest number is the state.
 *
 * A state is written beside, synced, and linked under the next number: link(2) fails when another process has taken that
 * number, which makes it the compare-and-swap that the store promises.  Rejected: flock, which needs the native addon (control
 * runs without one) and which a network file system may forget; a lock file, which a crash leaves behind.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PodwireError } from '../../errors.ts';
import {
  checkPrivate,
  createPrivateFile,
  openPrivateFolder,
  UNFINISHED,
} from '../../private-file.ts';
import { formatRootState, parseRootState, type RootState } from './root-state.ts';
import type { RootStore, StoredRoots } from './root-store.ts';

const STATE_FILE = /^roots-(\d{8})\.json$/;
/** older half-written files are of a process that died */
const UNFINISHED_LIFE_MS = 60_000;

export class FileRootStore implements RootStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<StoredRoots | undefined> {
    await openPrivateFolder(this.#folder);
    for (;;) {
      const number = Math.max(0, ...(await this.#numbers()));
      if (number === 0) return undefined;
      // keys that a writer had no time to remove
      await this.#removeBelow(number);
      const path = join(this.#folder, fileName(number));
      try {
        await checkPrivate(path);
        return { state: parseRootState(await readFile(path, 'utf8')), version: String(number) };
      } catch (cause) {
        // replaced since the folder was listed
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') continue;
        if (cause instanceof PodwireError) throw cause;
        throw new PodwireError('ERR_CONFIG', `${path} is damaged: ${(cause as Error).message}`, {
          cause,
          hint: 'restore it from a backup; without it a new root is made and every certificate must be renewed',
        });
      }
    }
  }

  async save(state: RootState, over: string | undefined): Promise<StoredRoots | 'conflict'> {
    await openPrivateFolder(this.#folder);
    const number = Number(over ?? 0) + 1;
    const path = join(this.#folder, fileName(number));
    if (!(await createPrivateFile(path, formatRootState(state)))) return 'conflict';
    // A writer that was so slow that its number had been used and removed again: the highest number never goes.
    if (Math.max(...(await this.#numbers())) !== number) {
      await rm(path, { force: true });
      return 'conflict';
    }
    await this.#removeBelow(number);
    return { state, version: String(number) };
  }

  async #numbers(): Promise<number[]> {
    const names = await readdir(this.#folder);
    return names.map((name) => Number(STATE_FILE.exec(name)?.[1] ?? 0));
  }

  async #removeBelow(number: number): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      const of = Number(STATE_FILE.exec(name)?.[1] ?? Infinity);
      if (of < number || (UNFINISHED.test(name) && (await isOld(path)))) {
        await rm(path, { force: true });
      }
    }
  }
}

function fileName(number: number): string {
  return `roots-${String(number).padStart(8, '0')}.json`;
}

async function isOld(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > UNFINISHED_LIFE_MS;
  } catch {
    return false;
  }
}
