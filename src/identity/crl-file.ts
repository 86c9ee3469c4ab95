/**
 * The file of `--crl-file`, followed as it changes (a mounted Secret or ConfigMap too).
 *
 * While it cannot be read the last good one stays in force, and status says why.
 */
import { unwatchFile, watchFile } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Log } from '../log.ts';
import type { CrlReading } from './crl-reader.ts';
import type { RevocationList } from './revocation-list.ts';

export interface CrlStatus {
  readonly path: string;
  readonly lists: number;
  /** certificates that are revoked */
  readonly entries: number;
  /** ISO 8601: when it was read; "" when it never was */
  readonly read: string;
  /** why the file as it is now is not in force, or that it is past its date; "" */
  readonly error: string;
}

export interface CrlFileOptions {
  readonly path: string;
  readonly onChange: (list: RevocationList) => void;
  readonly log: Log;
  readonly intervalMs?: number;
}

/** Polled: a Secret is swapped by a link two levels up, where a watch of the file sees nothing. */
const INTERVAL_MS = 1_000;
/** some 200,000 entries */
const MAX_BYTES = 8 << 20;
const WRITABLE_BY_OTHERS = 0o022;

export class CrlFile {
  readonly #options: CrlFileOptions;
  /** one reading after the other */
  #turn: Promise<void> = Promise.resolve();
  #reading: CrlReading | undefined;
  #readAt = '';
  #error = '';
  #closed = false;
  readonly #changed = (): void => {
    this.#turn = this.#turn.then(() => this.#read());
  };

  constructor(options: CrlFileOptions) {
    this.#options = options;
  }

  /** Resolves when it was read, or why not was said. */
  async start(): Promise<void> {
    const { path, intervalMs: interval = INTERVAL_MS } = this.#options;
    watchFile(path, { interval, persistent: false }, this.#changed);
    this.#changed();
    await this.#turn;
  }

  status(): CrlStatus {
    const { lists = 0, entries = 0, nextUpdate = Infinity } = this.#reading ?? {};
    const late =
      nextUpdate < Date.now()
        ? `should have been replaced by ${new Date(nextUpdate).toISOString()}`
        : '';
    const { path } = this.#options;
    return { path, lists, entries, read: this.#readAt, error: this.#error || late };
  }

  /** Nothing is delivered after this resolves; may be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    unwatchFile(this.#options.path, this.#changed);
    await this.#turn;
  }

  async #read(): Promise<void> {
    const { path, log, onChange } = this.#options;
    try {
      const text = await trustedText(path);
      // the X.509 library is for agents with such a file only
      const { readCrls } = await import('./crl-reader.ts');
      const reading = readCrls(text);
      if (this.#closed) return;
      this.#error = '';
      this.#readAt = new Date().toISOString();
      if (reading.pem === this.#reading?.pem) return;
      this.#reading = reading;
      log.info({ path, lists: reading.lists, entries: reading.entries }, 'revocation lists read');
      onChange({ pem: reading.pem, serials: reading.serials });
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#error) log.error({ path, error: message }, 'no revocation lists');
      this.#error = message;
    }
  }
}

/** Throws an Error when others could have written it. */
async function trustedText(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { uid, mode, size } = await file.stat();
    if (uid !== 0 && uid !== process.geteuid?.()) throw new Error(`it belongs to user ${uid}`);
    if ((mode & WRITABLE_BY_OTHERS) !== 0) throw new Error('others than its owner can write it');
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, more than ${MAX_BYTES}`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
