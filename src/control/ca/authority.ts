/**
 * Certificates on behalf of whatever signs: who they are for is decided before (auth/access-rules.ts), how they look here.
 */
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { formatNodeIdentity } from '../../model/node-identity.ts';
import { formatSpiffe, type Identity } from '../../model/identity.ts';
import { signLeaf, type LeafTemplate, type Validity } from './certificate.ts';
import { type Signer, type SignerSource, SignerUnavailableError } from './signer.ts';

export interface CertificateAuthorityOptions {
  readonly signer: SignerSource;
  readonly trustDomain: string;
  readonly lives: CertificateLives;
  readonly wall?: () => number;
}

/** The longest lives, in ms. */
export interface CertificateLives {
  readonly workload: number;
  readonly node: number;
  readonly serving: number;
}

/** The shape of the wire: PEM of leaf, intermediates, and all roots in the last one. */
export type CertificateChain = readonly string[];

const HOUR_MS = 3_600_000;
/**
 * A node that is away for longer must be given a new token; its certificate can be revoked at once (`podwire token revoke`),
 * so it may live longer than a workload's.
 */
export const DEFAULT_LIVES: CertificateLives = {
  workload: 24 * HOUR_MS,
  node: 7 * 24 * HOUR_MS,
  serving: 24 * HOUR_MS,
};
/** for peers whose clocks are behind */
const BACKDATE_MS = 120_000;
/** A certificate that is over before it is in use helps nobody. */
const MIN_LIFE_MS = 60_000;

/** What `OwnSigner` must know of them. */
export function longestLifeOf(lives: CertificateLives): number {
  return Math.max(...Object.values(lives));
}

export class CertificateAuthority {
  readonly #signer: SignerSource;
  readonly #trustDomain: string;
  readonly #lives: CertificateLives;
  readonly #wall: () => number;

  constructor({ signer, trustDomain, lives, wall = Date.now }: CertificateAuthorityOptions) {
    this.#signer = signer;
    this.#trustDomain = trustDomain;
    this.#lives = lives;
    this.#wall = wall;
  }

  /** `lifeMs` is what was asked for, 0: as long as allowed. Throws SignerUnavailableError, as all of these. */
  async issueWorkload(
    identity: Identity,
    key: KeyObject,
    lifeMs: number,
  ): Promise<CertificateChain> {
    const name = { type: 'url', value: formatSpiffe(identity) } as const;
    const usages = ['server', 'client'] as const;
    return this.#issue({ key, names: [name], usages }, this.#lives.workload, lifeMs);
  }

  /** For a node that joined; `enrolment` lets control end it, see JoinRegistry. */
  async issueNode(
    node: string,
    enrolment: string,
    key: KeyObject,
    lifeMs: number,
  ): Promise<CertificateChain> {
    const value = formatNodeIdentity(this.#trustDomain, node);
    const names = [{ type: 'url', value }] as const;
    return this.#issue(
      { key, names, usages: ['client'], organizationalUnit: enrolment },
      this.#lives.node,
      lifeMs,
    );
  }

  /** For control's own server: DNS names and addresses. */
  async issueServing(hosts: readonly string[], key: KeyObject): Promise<CertificateChain> {
    const names = hosts.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }) as const);
    return this.#issue({ key, names, usages: ['server'] }, this.#lives.serving, 0);
  }

  /** PEM of all roots to trust */
  bundle(): string {
    return this.#signer.current().roots.join('');
  }

  /** PEM of every certificate whose leaves are accepted */
  issuers(): readonly string[] {
    return this.#signer.current().issuers;
  }

  /** When the signing certificate, or one above it, ends; in ms since 1970. */
  validUntil(): number {
    return this.#signer.current().validUntil;
  }

  onChange(listener: () => void): () => void {
    return this.#signer.onChange(listener);
  }

  async #issue(
    template: Omit<LeafTemplate, 'validity'>,
    capMs: number,
    askedMs: number,
  ): Promise<CertificateChain> {
    // One value throughout: a rotation meanwhile must not mix the leaf of one root with the bundle of another.
    const signer = this.#signer.current();
    const validity = this.#validity(signer, askedMs > 0 ? Math.min(askedMs, capMs) : capMs);
    const leaf = await signLeaf(signer, { ...template, validity });
    return [leaf, ...signer.intermediates, signer.roots.join('')];
  }

  #validity({ validFrom, validUntil }: Signer, lifeMs: number): Validity {
    const now = this.#wall();
    if (now < validFrom) {
      throw new SignerUnavailableError('the signing certificate is not valid yet: see the clock');
    }
    if (validUntil - now < MIN_LIFE_MS) {
      throw new SignerUnavailableError('the signing certificate, or one above it, has expired');
    }
    return {
      notBefore: new Date(Math.max(now - BACKDATE_MS, validFrom)),
      notAfter: new Date(Math.min(now + lifeMs, validUntil)),
    };
  }
}
