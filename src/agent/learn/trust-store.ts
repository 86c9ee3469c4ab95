/**
 * Remembers decisions across restarts and reboots, so that a known program is spliced from its first connection.
 *
 * Keyed by what survives both: workload, path, fingerprint of the file, arguments of an interpreter's program; never by
 * inode.  A lost or damaged file costs one learning window, so it is reported and replaced, not fatal.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../log.ts';
import { BEHAVIOUR_NAMES } from './trust-policy.ts';
import type { DenyReason } from './trust-policy.ts';

/** What a decision is about. */
export interface TrustSubject {
  readonly workload: string;
  readonly path: string;
  readonly fingerprint: string;
  /** hash of the arguments, 0 unless an interpreter's */
  readonly argv: bigint;
}

export type Remembered =
  { readonly state: 'trusted' } | { readonly state: 'denied'; readonly reason: DenyReason };

interface StoredEntry {
  readonly workload: string;
  readonly path: string;
  readonly fingerprint: string;
  readonly argv: string;
  readonly state: 'trusted' | 'denied';
  readonly reason?: DenyReason;
}

const VERSION = 1;
const FILE = 'trust.json';
const MAX_ENTRIES = 4096;
const REASONS: ReadonlySet<string> = new Set([
  ...BEHAVIOUR_NAMES,
  'deny-list',
  'imports-splice',
  'stalled-reader',
]);

export class TrustStore {
  readonly #folder: string;
  readonly #log: Log;
  readonly #writeDelayMs: number;
  /** in order of last change, oldest first */
  readonly #entries = new Map<string, StoredEntry>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { folder: string; log: Log; writeDelayMs?: number }) {
    this.#folder = options.folder;
    this.#log = options.log;
    this.#writeDelayMs = options.writeDelayMs ?? 1_000;
  }

  /** Reads the file of an earlier agent. */
  load(): void {
    const path = join(this.#folder, FILE);
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    const entries = parse(text);
    if (entries === undefined) {
      this.#log.warn({ path }, 'trust decisions are unreadable; executables are learnt again');
      return;
    }
    for (const entry of entries) this.#entries.set(keyOf(entry), entry);
  }

  recall(subject: TrustSubject): Remembered | undefined {
    const entry = this.#entries.get(keyOf({ ...subject, argv: hex(subject.argv) }));
    if (entry === undefined) return undefined;
    return entry.state === 'trusted'
      ? { state: 'trusted' }
      : { state: 'denied', reason: entry.reason ?? 'stalled-reader' };
  }

  remember(subject: TrustSubject, decision: Remembered): void {
    const entry: StoredEntry = {
      workload: subject.workload,
      path: subject.path,
      fingerprint: subject.fingerprint,
      argv: hex(subject.argv),
      ...decision,
    };
    const key = keyOf(entry);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > MAX_ENTRIES && !oldest.done) this.#entries.delete(oldest.value);
    this.#timer ??= setTimeout(() => this.flush(), this.#writeDelayMs).unref();
  }

  /** Writes what is waiting to be written, now. */
  flush(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const path = join(this.#folder, FILE);
    const text = JSON.stringify(
      { version: VERSION, entries: [...this.#entries.values()] },
      null,
      1,
    );
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      chmodSync(this.#folder, 0o700);
      writeFileSync(`${path}.tmp`, text, { mode: 0o600, flush: true });
      renameSync(`${path}.tmp`, path);
    } catch (error) {
      this.#log.error(
        { path, err: error },
        'trust decisions cannot be written; they end with this agent',
      );
    }
  }
}

function keyOf(entry: Pick<StoredEntry, 'workload' | 'path' | 'fingerprint' | 'argv'>): string {
  return JSON.stringify([entry.workload, entry.path, entry.fingerprint, entry.argv]);
}

function hex(value: bigint): string {
  return value.toString(16);
}

function parse(text: string): StoredEntry[] | undefined {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { version, entries } = (root ?? {}) as { version?: unknown; entries?: unknown };
  return version === VERSION && Array.isArray(entries) && entries.every(isStoredEntry)
    ? entries
    : undefined;
}

function isStoredEntry(value: unknown): value is StoredEntry {
  if (typeof value !== 'object' || value === null) return false;
  const entry = value as Record<keyof StoredEntry, unknown>;
  const texts = [entry.workload, entry.path, entry.fingerprint, entry.argv];
  if (!texts.every((text) => typeof text === 'string')) return false;
  return (
    entry.state === 'trusted' ||
    (entry.state === 'denied' && typeof entry.reason === 'string' && REASONS.has(entry.reason))
  );
}
