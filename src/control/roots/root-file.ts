/**
 * The roots in a file, for agents of this machine and for whoever copies it to others.
 *
 * Not secret, so it is readable by all who may enter its folder; written whole or not at all, because agents read it at any
 * moment.
 */
import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Log } from '../../log.ts';
import type { CertificateAuthority } from '../ca/authority.ts';

export interface RootFileOptions {
  readonly path: string;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'onChange'>;
  readonly log: Log;
}

const FILE_MODE = 0o644;
/** after a failure */
const RETRY_MS = 10_000;

export class RootFile {
  readonly #options: RootFileOptions;
  readonly #stopWatching: () => void;
  #writing: Promise<void>;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  /** Written by and by, and again at each change of the roots. */
  constructor(options: RootFileOptions) {
    this.#options = options;
    this.#writing = this.#write();
    this.#stopWatching = options.authority.onChange(() => this.#soon());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopWatching();
    clearTimeout(this.#retry);
    await this.#writing;
  }

  /** One after the other: the newest roots are written last. */
  #soon(): void {
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    const { path, authority, log } = this.#options;
    const beside = join(dirname(path), `.new-${randomUUID()}`);
    try {
      const file = await open(beside, 'wx', FILE_MODE);
      try {
        // The umask takes bits away from what open(2) is told.
        await file.chmod(FILE_MODE);
        await file.writeFile(authority.bundle());
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(beside, path);
    } catch (err) {
      log.error({ err, path }, 'the roots cannot be written for agents');
      await rm(beside, { force: true }).catch(() => {});
      this.#retry = setTimeout(() => this.#soon(), RETRY_MS).unref();
    }
  }
}
