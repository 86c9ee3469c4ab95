/**
 * The file of `--mesh-config`, followed as it changes (a mounted ConfigMap too).
 *
 * While it cannot be read or is not trusted the last good one stays in force, at first the defaults: providers that nobody
 * knows refuse what asks for them.
 */
import { unwatchFile, watchFile } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Finding } from '../model/finding.ts';
import { readMeshConfig, type MeshConfigReading } from './mesh-config.ts';
import { distrustOf } from './sources/file/trust.ts';

/** Polled: a ConfigMap is swapped by a link two levels up, where a watch of the file sees nothing. */
const INTERVAL_MS = 1000;
/** of a ConfigMap */
const MAX_BYTES = 1 << 20;

type Reading = Pick<MeshConfigReading, 'findings'> & Partial<MeshConfigReading>;

export class MeshConfigFile {
  readonly #path: string;
  readonly #onReading: (reading: Reading) => void;
  /** one reading after the other */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;
  readonly #changed = (): void => {
    this.#turn = this.#turn.then(() => this.#deliver());
  };

  /** `onReading`: no `config` is no change of it. */
  constructor(path: string, onReading: (reading: Reading) => void) {
    this.#path = path;
    this.#onReading = onReading;
  }

  /** Resolves when it was read, or why not was said. */
  async start(): Promise<void> {
    watchFile(this.#path, { interval: INTERVAL_MS, persistent: false }, this.#changed);
    this.#changed();
    await this.#turn;
  }

  /** Nothing is delivered after this resolves; may be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    unwatchFile(this.#path, this.#changed);
    await this.#turn;
  }

  async #deliver(): Promise<void> {
    const reading = await this.#read();
    if (!this.#closed) this.#onReading(reading);
  }

  async #read(): Promise<Reading> {
    try {
      await using file = await open(this.#path);
      const stats = await file.stat({ bigint: true });
      const distrust = distrustOf(this.#path, stats);
      if (distrust !== undefined) return this.#unusable('FILE_NOT_TRUSTED', distrust);
      if (stats.size > BigInt(MAX_BYTES)) {
        const message = `has ${stats.size} bytes, more than ${MAX_BYTES}`;
        return this.#unusable('FILE_TOO_LARGE', { message, fix: 'name the right file' });
      }
      return readMeshConfig(await file.readFile('utf8'), this.#path);
    } catch (error) {
      const message = `cannot be read: ${(error as Error).message}`;
      const fix = 'make it readable; until then the last good one is in force';
      return this.#unusable('FILE_UNREADABLE', { message, fix });
    }
  }

  #unusable(code: Finding['code'], said: Pick<Finding, 'message' | 'fix'>): Reading {
    const at = { file: this.#path, resource: 'MeshConfig', path: '' };
    return { findings: [{ code, severity: 'error', ...at, ...said }] };
  }
}
