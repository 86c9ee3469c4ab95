/**
 * Certificate requests as clients and forgers make them, and openssl as a second reader of what comes back.
 */
import { execFile } from 'node:child_process';
import { webcrypto, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  type Extension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';

const run = promisify(execFile);

export async function temporaryDirectory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'podwire-ca-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export interface Request {
  readonly pem: string;
  readonly privateKey: webcrypto.CryptoKey;
}

export interface RequestOptions {
  readonly subject?: string;
  readonly uris?: readonly string[];
  readonly ca?: boolean;
  readonly keys?: webcrypto.CryptoKeyPair;
  readonly algorithm?: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };

export async function newKeys(
  algorithm: RequestOptions['algorithm'] = P256,
): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

export async function newRequest(options: RequestOptions = {}): Promise<Request> {
  const { subject = '', uris = [], ca, algorithm = P256 } = options;
  const keys = options.keys ?? (await newKeys(algorithm));
  const extensions: Extension[] = [];
  if (uris.length > 0) {
    const names = uris.map((value) => ({ type: 'url', value }) as const);
    extensions.push(new SubjectAlternativeNameExtension(names, true));
  }
  if (ca) extensions.push(new BasicConstraintsExtension(true, 3, true));
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys,
    extensions,
    signingAlgorithm: { ...algorithm, hash: 'SHA-256' } as webcrypto.EcdsaParams,
  });
  return { pem: request.toString('pem'), privateKey: keys.privateKey };
}

export async function openssl(...args: string[]): Promise<string> {
  return (await run('openssl', args)).stdout;
}

/** What `openssl x509 -text` says. */
export async function textOf(dir: string, pem: string): Promise<string> {
  const path = join(dir, `text-${new X509Certificate(pem).serialNumber}.pem`);
  await writeFile(path, pem);
  return openssl('x509', '-in', path, '-noout', '-text');
}

/** Whether openssl accepts `chain` (leaf, intermediates) for a purpose, by these roots, at a moment (ms since 1970). */
export async function opensslVerifies(
  dir: string,
  chain: readonly string[],
  roots: string,
  purpose: 'sslclient' | 'sslserver',
  at: number = Date.now(),
): Promise<true | string> {
  const [leaf = '', ...intermediates] = chain;
  const prefix = join(dir, `verify-${webcrypto.randomUUID()}`);
  await writeFile(`${prefix}-leaf.pem`, leaf);
  await writeFile(`${prefix}-roots.pem`, roots);
  await writeFile(`${prefix}-chain.pem`, intermediates.join(''));
  const untrusted = intermediates.length > 0 ? ['-untrusted', `${prefix}-chain.pem`] : [];
  const args = ['-x509_strict', '-purpose', purpose, '-attime', String(Math.floor(at / 1000))];
  try {
    const roots_ = ['-CAfile', `${prefix}-roots.pem`, '-no-CApath', '-no-CAstore'];
    await run('openssl', ['verify', ...args, ...roots_, ...untrusted, `${prefix}-leaf.pem`]);
    return true;
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? String(error);
  }
}
