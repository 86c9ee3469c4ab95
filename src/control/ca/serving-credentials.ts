/**
 * TLS of control's gRPC server: a certificate of its own CA, renewed at half of its life and at each change of the roots.
 *
 * Clients may present a certificate and need not: agents in Kubernetes come with a token, joined nodes with the
 * certificate.  One that does not verify counts as none.
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import { PodwireError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { CertificateAuthority } from './authority.ts';

export interface ServingCredentialsOptions {
  readonly authority: CertificateAuthority;
  /** DNS names and addresses at which agents reach control */
  readonly hosts: readonly string[];
  /** of a serving certificate, in ms */
  readonly lifeMs: number;
  /** PEM files, read again every so often, instead of a certificate of the CA; undefined: of the CA */
  readonly files?: { readonly certificate: string; readonly key: string } | undefined;
  readonly log: Log;
}

export interface ServingPair {
  /** PEM, chain included */
  readonly cert: string;
  readonly key: string;
}

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0];
type CaListener = Parameters<Provider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0];

/** after a failure */
const RETRY_MS = 30_000;
/** given files are looked at */
const REREAD_MS = 60_000;

export class ServingCredentials {
  readonly #options: ServingCredentialsOptions;
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #pairListeners = new Set<(pair: ServingPair) => void>();
  readonly #stopWatching: () => void;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #roots = Buffer.alloc(0);
  #certificate = Buffer.alloc(0);
  #key = Buffer.alloc(0);

  private constructor(options: ServingCredentialsOptions) {
    this.#options = options;
    this.#stopWatching = options.authority.onChange(() => void this.#renew());
  }

  /** Throws SignerUnavailableError. */
  static async start(options: ServingCredentialsOptions): Promise<ServingCredentials> {
    const credentials = new ServingCredentials(options);
    try {
      await credentials.#issue();
    } catch (error) {
      credentials.close();
      throw error;
    }
    credentials.#schedule(credentials.#periodMs);
    return credentials;
  }

  /** For `Server.bindAsync`; open connections keep what they have, new ones get the newest. */
  credentials(): ServerCredentials {
    // Told a moment later, as grpc-js adds its server's watcher after its listeners and repeats nothing.
    const provider: Provider = {
      addCaCertificateListener: (listener) => {
        this.#caListeners.add(listener);
        queueMicrotask(() => listener({ caCertificate: this.#roots }));
      },
      removeCaCertificateListener: (listener) => this.#caListeners.delete(listener),
      addIdentityCertificateListener: (listener) => {
        this.#identityListeners.add(listener);
        queueMicrotask(() => {
          listener({ certificate: this.#certificate, privateKey: this.#key });
        });
      },
      removeIdentityCertificateListener: (listener) => this.#identityListeners.delete(listener),
    };
    return experimental.createCertificateProviderServerCredentials(provider, provider, false);
  }

  /** For other servers of control; `onPair` tells the ones that follow. */
  get pair(): ServingPair {
    return { cert: this.#certificate.toString(), key: this.#key.toString() };
  }

  onPair(listener: (pair: ServingPair) => void): void {
    this.#pairListeners.add(listener);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stopWatching();
  }

  get #periodMs(): number {
    const { files, lifeMs } = this.#options;
    return files === undefined ? lifeMs / 2 : REREAD_MS;
  }

  async #renew(): Promise<void> {
    try {
      await this.#issue();
      this.#schedule(this.#periodMs);
    } catch (err) {
      this.#options.log.error({ err }, 'the server certificate cannot be renewed');
      this.#schedule(Math.min(RETRY_MS, this.#periodMs));
    }
  }

  async #issue(): Promise<void> {
    const { authority, hosts, files } = this.#options;
    if (files !== undefined) {
      await this.#read(files);
      this.#tell();
      return;
    }
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const chain = await authority.issueServing(hosts, createPublicKey(privateKey));
    this.#certificate = Buffer.from(chain.slice(0, -1).join(''));
    this.#roots = Buffer.from(chain.at(-1) ?? '');
    this.#key = Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' }));
    this.#tell();
  }

  /** Both or neither: files that are being replaced may not belong together. Throws PodwireError. */
  async #read(files: { readonly certificate: string; readonly key: string }): Promise<void> {
    try {
      const [certificate, key] = await Promise.all([
        readFile(files.certificate),
        readFile(files.key),
      ]);
      createSecureContext({ cert: certificate, key });
      this.#certificate = certificate;
      this.#key = key;
      this.#roots = Buffer.from(this.#options.authority.bundle());
    } catch (cause) {
      throw new PodwireError('ERR_CONFIG', `the server certificate cannot be used`, {
        cause,
        hint: `check ${files.certificate} and ${files.key}: PEM, and of one another`,
      });
    }
  }

  #tell(): void {
    for (const listener of this.#caListeners) listener({ caCertificate: this.#roots });
    for (const listener of this.#identityListeners) {
      listener({ certificate: this.#certificate, privateKey: this.#key });
    }
    for (const listener of this.#pairListeners) listener(this.pair);
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#renew(), delayMs).unref();
  }
}
