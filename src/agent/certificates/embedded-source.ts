/**
 * A CA in the agent's own process, for a node whose mesh is a folder: the same signer, roots and rotation as podwire control's.
 *
 * With a root of its own, in the state folder, nobody on another node trusts it: certificates are made at the first use, and
 * until then the X.509 library is not loaded.  With a CA that was given, nodes that were given the same root trust each other.
 */
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import type { CertificateAuthority } from '../../control/ca/authority.ts';
import type { GivenFiles } from '../../control/ca/given-signer.ts';
import type { SignerSource } from '../../control/ca/signer.ts';
import type { CertificateSource, IssuedCertificate } from '../../identity/certificate-source.ts';
import { newP256Key } from '../../identity/csr.ts';
import type { Log } from '../../log.ts';
import { parseSpiffe } from '../../model/identity.ts';

export interface EmbeddedSourceOptions {
  readonly trustDomain: string;
  /** undefined: a root of its own, below `stateDir` */
  readonly files: GivenFiles | undefined;
  readonly stateDir: string;
  readonly lifeSeconds: number;
  readonly log: Log;
}

interface Opened {
  readonly authority: CertificateAuthority;
  readonly signer: SignerSource;
}

export class EmbeddedSource implements CertificateSource {
  readonly prefetch: boolean;
  readonly renews = false;
  readonly name: string;
  readonly #options: EmbeddedSourceOptions;
  #opened: Promise<Opened> | undefined;
  #listener: (spiffe?: string) => void = () => {};

  constructor(options: EmbeddedSourceOptions) {
    this.#options = options;
    this.prefetch = options.files !== undefined;
    this.name = `own CA (${options.files?.certificate ?? join(options.stateDir, 'ca')})`;
  }

  async issue(spiffe: string): Promise<IssuedCertificate> {
    const identity = parseSpiffe(spiffe);
    const { trustDomain, lifeSeconds } = this.#options;
    if (identity?.trustDomain !== trustDomain) {
      throw new Error(`${spiffe} is of another trust domain than this CA (${trustDomain})`);
    }
    const { authority } = await this.#open();
    const key = newP256Key();
    const chain = await authority.issueWorkload(identity, createPublicKey(key), lifeSeconds * 1000);
    return { key, chain: chain.slice(0, -1), roots: chain.at(-1) ?? '' };
  }

  release(): void {}

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.signer.close();
  }

  /** A store that could not be read is opened anew by the next question. */
  #open(): Promise<Opened> {
    this.#opened ??= this.#start().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #start(): Promise<Opened> {
    const { trustDomain, files, stateDir, log } = this.#options;
    const { CertificateAuthority, DEFAULT_LIVES, longestLifeOf } =
      await import('../../control/ca/authority.ts');
    let signer: SignerSource;
    // this CA makes no certificates for nodes, so a rotation need not wait for them
    const lives = { ...DEFAULT_LIVES, node: 0 };
    if (files !== undefined) {
      const { GivenSigner } = await import('../../control/ca/given-signer.ts');
      signer = await GivenSigner.start({ files, log });
    } else {
      const { FileRootStore } = await import('../../control/ca/file-root-store.ts');
      const { OwnSigner } = await import('../../control/ca/own-signer.ts');
      const store = new FileRootStore(join(stateDir, 'ca'));
      signer = await OwnSigner.start({
        store,
        trustDomain,
        longestLifeMs: longestLifeOf(lives),
        log,
      });
    }
    signer.onChange(() => this.#listener());
    return { authority: new CertificateAuthority({ signer, trustDomain, lives }), signer };
  }
}
