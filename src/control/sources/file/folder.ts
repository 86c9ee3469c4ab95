/**
 * A folder of YAML as a source of resources: one scan.
 *
 * Owns the last good content of every file.  A file that no longer parses keeps what it said before, document and all,
 * and its findings say so; only a file that is gone loses its resources.  Unchanged files are not read again, unchanged
 * documents not parsed again.  Calls are synchronous, with a breath between batches of files: a dozen trips to libuv's
 * threads cost a save of one file more than its parsing does.
 */
import { hash } from 'node:crypto';
import {
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  type BigIntStats,
} from 'node:fs';
import { join, sep } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Finding, FindingCode } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';
import { validateDocument, type ValidatedDocument } from '../../validate/document.ts';
import { parseText, splitDocuments } from './documents.ts';
import { distrustOf } from './trust.ts';

const MAX_FILE_BYTES = 64 * 1024 * 1024;
const BATCH = 32;
const YAML_NAME = /^[^.].*\.ya?ml$/;

/** Why the folder as a whole cannot be used. */
export class FolderError extends Error {
  readonly code: 'FOLDER_UNREADABLE' | 'FOLDER_NOT_TRUSTED';
  readonly fix: string;

  constructor(code: FolderError['code'], message: string, fix: string) {
    super(message);
    this.name = 'FolderError';
    this.code = code;
    this.fix = fix;
  }
}

export interface FileContent {
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
}

export interface FolderScan {
  /** files whose resources or findings may differ from the last scan; undefined: the file is gone */
  readonly changed: ReadonlyMap<string, FileContent | undefined>;
}

interface FileState {
  readonly signature: string;
  /** by digest of its text: what each document of the last good content meant */
  readonly documents: ReadonlyMap<string, ValidatedDocument>;
  readonly resources: readonly Resource[];
}

export class ConfigFolder {
  readonly #dir: string;
  #files = new Map<string, FileState>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Throws FolderError when the folder itself is unreadable or not trusted: what was read before stays in force.  `touched`:
   * entries that may differ since the last scan; undefined: any.
   */
  async scan(touched?: ReadonlySet<string>): Promise<FolderScan> {
    const root = this.#trustedFolder();
    const some = touched && this.#filesAmong(touched);
    const names = some?.present ?? this.#allNames();
    const changed = new Map<string, FileContent | undefined>();
    const present = new Set(names);
    for (const name of some?.gone ?? this.#files.keys()) {
      if (!present.has(name) && this.#files.has(name)) changed.set(name, undefined);
    }
    for (const [index, name] of names.entries()) {
      if (index > 0 && index % BATCH === 0) await breathe();
      const state = this.#scanFile(name, root);
      if (state !== undefined) changed.set(name, state);
    }
    for (const [name, content] of changed) if (content === undefined) this.#files.delete(name);
    return { changed };
  }

  /** undefined when another entry is among them: files may be links to it (a mounted ConfigMap's are, to ..data). */
  #filesAmong(
    touched: ReadonlySet<string>,
  ): { present: readonly string[]; gone: readonly string[] } | undefined {
    const present: string[] = [];
    const gone: string[] = [];
    for (const name of [...touched].sort()) {
      if (!isThere(join(this.#dir, name))) gone.push(name);
      else if (YAML_NAME.test(name)) present.push(name);
      else return undefined;
    }
    return { present, gone };
  }

  #allNames(): readonly string[] {
    try {
      return readdirSync(this.#dir)
        .filter((name) => YAML_NAME.test(name))
        .sort();
    } catch (error) {
      throw unreadable(error);
    }
  }

  #trustedFolder(): string {
    let stats: BigIntStats;
    let root: string;
    try {
      root = realpathSync.native(this.#dir);
      stats = statSync(root, { bigint: true });
    } catch (error) {
      throw unreadable(error);
    }
    const distrust = distrustOf(root, stats);
    if (distrust !== undefined) {
      throw new FolderError('FOLDER_NOT_TRUSTED', `${this.#dir} ${distrust.message}`, distrust.fix);
    }
    return root;
  }

  /** undefined: nothing changed */
  #scanFile(name: string, root: string): FileContent | undefined {
    const path = join(this.#dir, name);
    const previous = this.#files.get(name);
    let signature = '';
    try {
      const stats = statSync(path, { bigint: true });
      signature = signatureOf(stats);
      if (previous?.signature === signature) return undefined;
      const refusal = this.#refusalOf(path, stats, root);
      if (refusal !== undefined) return this.#keep(name, signature, refusal);
      const text = readFileSync(path, 'utf8');
      // Written while it was read: the event of that write brings the next scan.
      const after = statSync(path, { bigint: true });
      return signatureOf(after) === signature ? this.#load(name, signature, text) : undefined;
    } catch (error) {
      if (!isErrno(error)) throw error;
      if (error.code === 'ENOENT' && previous === undefined) return undefined;
      return this.#keep(name, signature, {
        code: 'FILE_UNREADABLE',
        message: error.message,
        fix: 'make the file readable, or remove it',
      });
    }
  }

  #refusalOf(path: string, stats: BigIntStats, root: string): Refusal | undefined {
    if (!realpathSync.native(path).startsWith(root + sep)) {
      const fix = 'put the file itself into the folder';
      return { code: 'FILE_NOT_TRUSTED', message: 'is a link that leaves the folder', fix };
    }
    const distrust = distrustOf(path, stats);
    if (distrust !== undefined) return { code: 'FILE_NOT_TRUSTED', ...distrust };
    if (!stats.isFile()) {
      const fix = 'put the YAML files into the folder itself';
      return { code: 'FILE_UNREADABLE', message: 'is no regular file', fix };
    }
    if (stats.size > BigInt(MAX_FILE_BYTES)) {
      const message = `is larger than ${MAX_FILE_BYTES >> 20} MiB`;
      return { code: 'FILE_TOO_LARGE', message, fix: 'split it into several files' };
    }
    return undefined;
  }

  #load(name: string, signature: string, text: string): FileContent {
    const known = this.#files.get(name)?.documents;
    const documents = new Map<string, ValidatedDocument>();
    const resources: Resource[] = [];
    const findings: Finding[] = [];
    const parts = splitDocuments(text);
    if (parts.length === 0 && (this.#files.get(name)?.resources.length ?? 0) > 0) {
      // `generate > file` empties the file long before it fills it.
      const fix = 'write the resources, or delete the file to remove them';
      return this.#keep(name, signature, { code: 'YAML_INVALID', message: 'is empty', fix });
    }
    for (const document of parts) {
      const digest = digestOf(document.text);
      let validated = known?.get(digest);
      if (validated === undefined) {
        const parsed = parseText(document);
        if (!parsed.ok) {
          const fix = 'correct the YAML and save the file again';
          return this.#keep(name, signature, {
            code: 'YAML_INVALID',
            message: parsed.message,
            fix,
          });
        }
        validated = validateDocument(parsed.content, name);
      }
      documents.set(digest, validated);
      resources.push(...validated.resources);
      findings.push(...validated.findings);
    }
    this.#files.set(name, { signature, documents, resources });
    return { resources, findings };
  }

  /** The last good content stays; what was found in it is not repeated, the reason is the news. */
  #keep(name: string, signature: string, refusal: Refusal): FileContent {
    const previous = this.#files.get(name);
    const resources = previous?.resources ?? [];
    const documents = previous?.documents ?? new Map<string, ValidatedDocument>();
    this.#files.set(name, { signature, documents, resources });
    const kept = resources.length > 0 ? '; its last good content stays in force' : '';
    const finding: Finding = {
      ...refusal,
      message: `${refusal.message}${kept}`,
      severity: 'error',
      file: name,
      resource: '',
      path: '',
    };
    return { resources, findings: [finding] };
  }
}

function unreadable(error: unknown): FolderError {
  const fix = 'name a folder of YAML files that the agent can read';
  return new FolderError('FOLDER_UNREADABLE', (error as Error).message, fix);
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

interface Refusal {
  readonly code: FindingCode;
  readonly message: string;
  readonly fix: string;
}

function signatureOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
}

function digestOf(text: string): string {
  return hash('sha256', text, 'base64');
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string';
}
