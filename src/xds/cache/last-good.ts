/**
 * The last good configuration on disk, for a start while no server answers.
 *
 * Written some time after a change, in slices, by rename; read as a whole.  Versions are not in it: whoever answers first
 * sends everything, so that a file that is older than it looks does no harm.  Neither are certificates with their keys.
 */
import type { Log } from '../../log.ts';
import type { MeshUpdate } from '../../model/messages.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { Codec } from '../codec.ts';
import { CacheFileError, readCacheFile, writeCacheFile } from './cache-file.ts';
import { recordsOf, updateOf } from './records.ts';

export interface LastGoodOptions {
  readonly path: string;
  readonly codec: Codec;
  readonly log: Log;
  /** quiet time before a write; a mesh that changes without end is written every ten of them */
  readonly quietMs?: number;
}

export interface Saved {
  /** Unix time */
  readonly savedAtMs: number;
  readonly update: MeshUpdate;
}

const QUIET_MS = 2_000;
const MAX_QUIETS = 10;

export class LastGood {
  readonly #options: LastGoodOptions;
  readonly #quietMs: number;
  #timer: NodeJS.Timeout | undefined;
  #firstAsked: number | undefined;
  #snapshot: (() => Snapshot) | undefined;
  #written: Snapshot | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closing = false;

  constructor(options: LastGoodOptions) {
    this.#options = options;
    this.#quietMs = options.quietMs ?? QUIET_MS;
  }

  /** Something changed; `snapshot` is asked when it is time to write. */
  schedule(snapshot: () => Snapshot): void {
    if (this.#closing) return;
    const now = performance.now();
    this.#snapshot = snapshot;
    this.#firstAsked ??= now;
    clearTimeout(this.#timer);
    const latest = this.#firstAsked + this.#quietMs * MAX_QUIETS;
    const delayMs = Math.max(0, Math.min(this.#quietMs, latest - now));
    this.#timer = setTimeout(() => this.#begin(), delayMs);
  }

  /** undefined: there is none, or none that can be used; why is in the log. */
  async load(): Promise<Saved | undefined> {
    const { path, codec, log } = this.#options;
    try {
      const file = await readCacheFile(path);
      if (file === undefined) return undefined;
      return { savedAtMs: file.savedAtMs, update: updateOf(codec, file.records) };
    } catch (error) {
      if (!(error instanceof CacheFileError)) throw error;
      log.warn({ path }, `the saved configuration is not used: ${error.message}`);
      return undefined;
    }
  }

  /** What waits to be written is written first. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) this.#begin();
    this.#closing = true;
    await this.#writing;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#firstAsked = undefined;
    const snapshot = this.#snapshot?.();
    if (snapshot === undefined) return;
    // one after the other: both would use the same temporary file
    this.#writing = this.#writing.then(() => this.#write(snapshot));
  }

  async #write(snapshot: Snapshot): Promise<void> {
    if (snapshot === this.#written) return;
    const { path, codec, log } = this.#options;
    try {
      await writeCacheFile(path, Date.now(), recordsOf(codec, snapshot));
      this.#written = snapshot;
    } catch (err) {
      log.warn({ err, path }, 'the configuration could not be saved');
    }
  }
}
