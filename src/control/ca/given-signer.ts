/**
 * A root or intermediate the operator gave, as files (Istio's cacerts: ca-cert.pem, ca-key.pem, cert-chain.pem, root-cert.pem).
 *
 * The files are read again when one of them has changed; a set that does not fit together leaves the last good one in force.
 * Rotation is the operator's: first a `--ca-root` with both roots, after the longest life of a leaf the new certificate and
 * key, after another one the new root alone.
 */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PodwireError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { importSigner } from './certificate.ts';
import { readPem, writePem } from '../../identity/pem.ts';
import { type Signer, SignerListeners, type SignerSource, validityOf } from './signer.ts';

export interface GivenFiles {
  readonly certificate: string;
  readonly key: string;
  /** from the signer to the root; undefined: the signer is signed by a root */
  readonly chain: string | undefined;
  readonly roots: string;
}

export interface GivenSignerOptions {
  readonly files: GivenFiles;
  readonly log: Log;
  readonly intervalMs?: number;
}

const DEFAULT_INTERVAL_MS = 60_000;
const KEY_BY_OTHERS = 0o007;

export class GivenSigner implements SignerSource {
  readonly #files: GivenFiles;
  readonly #log: Log;
  readonly #listeners = new SignerListeners();
  readonly #closed = new AbortController();
  #signer: Signer;
  #stamp: string;
  #running: Promise<void> | undefined;

  private constructor({ files, log }: GivenSignerOptions, signer: Signer, stamp: string) {
    this.#files = files;
    this.#log = log;
    this.#signer = signer;
    this.#stamp = stamp;
  }

  /** Throws PodwireError when the files cannot be used. */
  static async start(options: GivenSignerOptions): Promise<GivenSigner> {
    const { files, intervalMs = DEFAULT_INTERVAL_MS } = options;
    try {
      const stamp = await stampOf(files);
      const signer = new GivenSigner(options, await readSigner(files), stamp);
      signer.#running = signer.#run(intervalMs);
      return signer;
    } catch (cause) {
      const message = `the given CA cannot be used: ${(cause as Error).message}`;
      throw new PodwireError('ERR_CONFIG', message, {
        cause,
        hint: 'see --ca-cert, --ca-key, --ca-chain and --ca-root',
      });
    }
  }

  current(): Signer {
    return this.#signer;
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Reads the files if one of them has changed. */
  async check(): Promise<void> {
    try {
      const stamp = await stampOf(this.#files);
      if (stamp === this.#stamp) return;
      this.#signer = await readSigner(this.#files);
      this.#stamp = stamp;
      this.#log.info('the given CA has changed');
      this.#listeners.call();
    } catch (err) {
      this.#log.error({ err }, 'the given CA cannot be used: the last one stays');
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  async #run(intervalMs: number): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => {});
      if (!signal.aborted) await this.check();
    }
  }
}

/** Throws with what does not fit. */
async function readSigner(files: GivenFiles): Promise<Signer> {
  const { mode } = await stat(files.key);
  if ((mode & KEY_BY_OTHERS) !== 0) throw new Error(`${files.key} can be read by everybody`);
  const [certificate, ...more] = await certificatesOf(files.certificate);
  if (certificate === undefined) throw new Error(`${files.certificate} is empty`);
  const named = files.chain === undefined ? [] : await certificatesOf(files.chain);
  const roots = await certificatesOf(files.roots);
  const signing = await importSigner(certificate, await readFile(files.key, 'utf8'));
  const issuers = [...new Set([certificate, ...more, ...named])];
  const chain = pathToRoot(certificate, issuers, roots);
  return {
    ...signing,
    ...validityOf(chain),
    intermediates: chain.filter((pem) => !roots.includes(pem)),
    roots,
    issuers: [...new Set([...issuers, ...roots])],
  };
}

/** From the signer to a root, both included; throws when no root is reached. */
function pathToRoot(leaf: string, pool: readonly string[], roots: readonly string[]): string[] {
  const path: string[] = [];
  for (let pem: string | undefined = leaf; pem !== undefined;) {
    const certificate = checkedAuthority(pem);
    path.push(pem);
    const isIssuer = (candidate: string): boolean => issued(candidate, certificate);
    if (roots.includes(pem)) return path;
    const root = roots.find(isIssuer);
    if (root !== undefined) return [...path, root];
    pem = pool.find((candidate) => !path.includes(candidate) && isIssuer(candidate));
  }
  throw new Error('the certificate does not lead to one of the roots');
}

function checkedAuthority(pem: string): X509Certificate {
  const certificate = new X509Certificate(pem);
  const name = certificate.subject.replaceAll('\n', ', ');
  if (!certificate.ca) throw new Error(`${name} is not allowed to sign certificates (CA:FALSE)`);
  if (Date.parse(certificate.validTo) < Date.now()) throw new Error(`${name} has expired`);
  return certificate;
}

function issued(issuer: string, certificate: X509Certificate): boolean {
  const { publicKey } = new X509Certificate(issuer);
  return certificate.checkIssued(new X509Certificate(issuer)) && certificate.verify(publicKey);
}

/** PEM of each certificate of a file */
async function certificatesOf(path: string): Promise<string[]> {
  const blocks = readPem(await readFile(path, 'utf8'));
  if (!blocks || blocks.some(({ label }) => label !== 'CERTIFICATE')) {
    throw new Error(`${path} must hold certificates in PEM and nothing else`);
  }
  return blocks.map(({ label, der }) => writePem(label, der));
}

/** Changes with any of the files. */
async function stampOf(files: GivenFiles): Promise<string> {
  const paths = [files.certificate, files.key, files.roots, ...(files.chain ? [files.chain] : [])];
  const stats = await Promise.all(paths.map((path) => stat(path)));
  return stats.map(({ ino, mtimeMs, size }) => `${ino}:${mtimeMs}:${size}`).join(' ');
}
