/**
 * Certificates of a CA over the network (istio.v1.auth.IstioCertificateService): istiod's, or podwire control's.
 *
 * The agent asks in the name of its pods; what it proves itself with, a token or this machine's own certificate, is read anew
 * for every question.
 */
import { readFile } from 'node:fs/promises';
import type { CertificateQuestion } from '../xds/client/certificate-client.ts';
import type { CertificateSource, IssuedCertificate } from './certificate-source.ts';
import { createCsr, newP256Key } from './csr.ts';

export interface CaSourceOptions {
  readonly name: string;
  readonly ask: (question: CertificateQuestion) => Promise<readonly string[]>;
  /** who asks; throws an Error that says why nobody can */
  readonly credential: () => Promise<CertificateQuestion['by']> | CertificateQuestion['by'];
  /** PEM of roots of the server's to believe besides those of the file */
  readonly roots?: () => string;
  readonly lifeSeconds: number;
}

export class CaSource implements CertificateSource {
  readonly prefetch = true;
  readonly renews = false;
  readonly #options: CaSourceOptions;

  constructor(options: CaSourceOptions) {
    this.#options = options;
  }

  get name(): string {
    return `CA ${this.#options.name}`;
  }

  async issue(spiffe: string): Promise<IssuedCertificate> {
    const { ask, credential, roots, lifeSeconds } = this.#options;
    const by = await credential();
    const key = newP256Key();
    const csr = createCsr(key, spiffe);
    const answer = await ask({ csr, lifeSeconds, impersonate: spiffe, by, roots: roots?.() ?? '' });
    // the roots are the last one, whatever else there is
    return { key, chain: answer.slice(0, -1), roots: answer.at(-1) ?? '' };
  }

  release(): void {}

  /** Other roots come with the next answer. */
  onChange(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The bearer token in a file, at this moment. Throws an Error when there is none. */
export async function tokenIn(path: string): Promise<{ readonly token: string }> {
  const token = (await readFile(path, 'utf8')).trim();
  if (token === '') throw new Error(`${path} is empty`);
  return { token };
}
