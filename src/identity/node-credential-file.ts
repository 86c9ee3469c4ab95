/**
 * A joined node's key and certificate on disk, the only key that an agent keeps there, in files of the state folder:
 *
 *   node-key.pem          a key that has been, or will be, shown to control with a join token; until its certificate is here
 *   node-credential.pem   key, certificate, intermediates
 *   node-roots.pem        control's roots, as they came with the certificate
 *
 * The first is what makes a lost answer harmless: a token is spent for a key, and the same key may come again.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readPrivateFile, replacePrivateFile, UNFINISHED } from '../private-file.ts';
import { newP256Key } from './csr.ts';
import { readPem, writePem } from './pem.ts';

export interface HeldCredential {
  /** PEM, PKCS #8 */
  readonly key: string;
  /** PEM: certificate, intermediates */
  readonly chain: string;
  /** the name it joined under */
  readonly node: string;
  /** id of the token it joined by; "" when the certificate does not say */
  readonly enrolment: string;
  /** ms since 1970 */
  readonly validFrom: number;
  readonly expiresAt: number;
}

/** A rotation has three. */
const MAX_ROOTS = 16;
const NODE_NAME = /^URI:spiffe:\/\/[a-z0-9.-]+\/node\/([a-z0-9.-]+)$/;

export class NodeCredentialFile {
  readonly path: string;
  readonly #folder: string;
  readonly #keyPath: string;
  readonly #rootsPath: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'node-credential.pem');
    this.#keyPath = join(folder, 'node-key.pem');
    this.#rootsPath = join(folder, 'node-roots.pem');
  }

  /** undefined: there is none. Throws an Error that says what is wrong with it. */
  async load(): Promise<HeldCredential | undefined> {
    // a writer that died may have left a key behind
    for (const name of await readdir(this.#folder)) {
      if (UNFINISHED.test(name)) await rm(join(this.#folder, name), { force: true });
    }
    const text = await readPrivateFile(this.path);
    if (text === undefined) return undefined;
    const [key, ...chain] = readPem(text) ?? [];
    if (key?.label !== 'PRIVATE KEY' || chain.some(({ label }) => label !== 'CERTIFICATE')) {
      throw new Error(`${this.path} is damaged`);
    }
    try {
      const certificates = chain.map(({ label, der }) => writePem(label, der));
      return heldCredential(createPrivateKey(writePem(key.label, key.der)), certificates);
    } catch (cause) {
      throw new Error(`${this.path} is damaged: ${(cause as Error).message}`, { cause });
    }
  }

  async save({ key, chain }: HeldCredential): Promise<void> {
    await replacePrivateFile(this.path, key + chain);
  }

  /** "": there are none. Throws an Error that says what is wrong with them. */
  async loadRoots(): Promise<string> {
    const text = await readPrivateFile(this.#rootsPath);
    if (text === undefined) return '';
    const roots = checkedRoots(text);
    if (roots === undefined) throw new Error(`${this.#rootsPath} is damaged`);
    return roots;
  }

  async saveRoots(roots: string): Promise<void> {
    await replacePrivateFile(this.#rootsPath, roots);
  }

  /** The one of an attempt that may have reached control, or a new one, on disk before it is used. */
  async joinKey(): Promise<KeyObject> {
    const saved = await readPrivateFile(this.#keyPath);
    const key = saved === undefined ? undefined : readKey(saved);
    if (key !== undefined) return key;
    const made = newP256Key();
    await replacePrivateFile(this.#keyPath, pemOf(made));
    return made;
  }

  async dropJoinKey(): Promise<void> {
    await rm(this.#keyPath, { force: true });
  }
}

/** Throws an Error when the certificate is not of this key, or not of a node. */
export function heldCredential(key: KeyObject, chain: readonly string[]): HeldCredential {
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('there is no certificate');
  const certificate = new X509Certificate(leaf);
  if (!certificate.checkPrivateKey(key)) throw new Error('the certificate is of another key');
  const [, node] = NODE_NAME.exec(certificate.subjectAltName ?? '') ?? [];
  if (node === undefined) {
    throw new Error(`the certificate is of no node but of ${certificate.subjectAltName}`);
  }
  return {
    key: pemOf(key),
    chain: chain.join(''),
    node,
    enrolment: /^OU=([0-9a-f]+)$/m.exec(certificate.subject)?.[1] ?? '',
    validFrom: Date.parse(certificate.validFrom),
    expiresAt: Date.parse(certificate.validTo),
  };
}

/** PEM of certificates of authorities and nothing else; undefined: it is not. */
export function checkedRoots(text: string): string | undefined {
  const blocks = readPem(text) ?? [];
  if (blocks.length === 0 || blocks.length > MAX_ROOTS) return undefined;
  try {
    const roots = blocks.map(({ label, der }) => writePem(label, der));
    return roots.every((root) => new X509Certificate(root).ca) ? roots.join('') : undefined;
  } catch {
    return undefined;
  }
}

function readKey(text: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(text);
    return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined;
  } catch {
    return undefined; // a crash while it was made: it was never used
  }
}

function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}
