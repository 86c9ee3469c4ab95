/**
 * One identity of the manager: its certificate, when the next one is due, and how often asking has failed.
 *
 *   idle ──want──► wanted ──► asked ──ok──► held ──(half of its life, or told)──► asked, and so on
 *                    ▲          │ failed                └── ended ─► nothing is held, still asked for
 *                    └─back-off─┘
 */
import { Backoff } from '../lifecycle/backoff.ts';
import type { CertificateClock } from './certificate-clock.ts';
import type { CertificateState, CertificateStatus, HeldChain } from './certificate-status.ts';
import type { TlsCredentials } from '../model/tls-credentials.ts';
import { fingerprintOf, pemOf, type WorkloadCertificate } from './workload-certificate.ts';

/** Istio's: 1 s, doubled, give or take a fifth, at most 150 s */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 150_000;
/** Half of its life, give or take a tenth of that: identities that were asked for together do not renew together. */
const RENEW_FROM = 0.45;
const RENEW_SPREAD = 0.1;
/** however short its life is */
const MIN_RENEW_MS = 1_000;

export class ManagedIdentity {
  readonly spiffe: string;
  /** of those that wait: the lowest is asked for first */
  order: number;
  urgent = false;
  /** false: known, but nobody needs it yet */
  wanted = false;
  /** being asked for */
  asked: AbortController | undefined;
  certificate: WorkloadCertificate | undefined;
  /** what the data plane was told last */
  credentials: TlsCredentials | undefined;
  error = '';
  failures = 0;
  readonly #clock: CertificateClock;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  /** monotonic: not before */
  #retryAt = -Infinity;
  /** both clocks; Infinity: when told */
  #renewWall = Infinity;
  #renewMonotonic = Infinity;

  constructor(spiffe: string, order: number, clock: CertificateClock, random: () => number) {
    this.spiffe = spiffe;
    this.order = order;
    this.#clock = clock;
    this.#random = random;
    const range = { firstMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS } as const;
    this.#backoff = new Backoff({ ...range, jitter: 'fifth', random });
  }

  get ended(): boolean {
    return this.certificate !== undefined && this.#clock.wall() >= this.certificate.notAfter;
  }

  /** ms until it is to be asked for; 0: now; Infinity: not at all */
  waitMs(): number {
    if (!this.wanted || this.asked !== undefined) return Infinity;
    const now = this.#clock.monotonic();
    const dueMs =
      this.certificate === undefined || this.ended
        ? 0
        : Math.min(this.#renewWall - this.#clock.wall(), this.#renewMonotonic - now);
    return Math.max(0, dueMs, this.#retryAt - now);
  }

  /** ms until what the data plane has must be taken back; Infinity: it has nothing */
  endsInMs(): number {
    const { certificate, credentials } = this;
    if (certificate === undefined || credentials === undefined) return Infinity;
    return Math.max(0, certificate.notAfter - this.#clock.wall());
  }

  /** `renews`: at half of its life; false: the source says when */
  hold(certificate: WorkloadCertificate, renews: boolean): void {
    this.certificate = certificate;
    this.error = '';
    this.failures = 0;
    this.#backoff.reset();
    this.#retryAt = -Infinity;
    this.urgent = false;
    const leftMs = certificate.notAfter - this.#clock.wall();
    const part = RENEW_FROM + RENEW_SPREAD * this.#random();
    this.#renewIn(renews ? Math.max(MIN_RENEW_MS, leftMs * part) : Infinity);
  }

  fail(message: string): void {
    this.error = message;
    this.failures++;
    this.#retryAt = this.#clock.monotonic() + this.#backoff.nextMs();
  }

  /** A newer one is to be asked for within that time at the latest. */
  renewWithin(ms: number): void {
    if (this.#renewMonotonic - this.#clock.monotonic() > ms) this.#renewIn(ms);
  }

  /** Whatever has failed before. */
  askAtOnce(): void {
    this.#retryAt = -Infinity;
    this.#renewIn(0);
  }

  status(roots: readonly string[]): CertificateStatus {
    const { certificate, error, failures, spiffe } = this;
    const iso = (ms: number | undefined): string =>
      ms === undefined || ms === Infinity ? '' : new Date(ms).toISOString();
    return {
      identity: spiffe,
      state: this.#state(),
      serial: certificate?.serial ?? '',
      notBefore: iso(certificate?.notBefore),
      notAfter: iso(certificate?.notAfter),
      renews: iso(certificate && this.#renewWall),
      roots,
      error,
      failures,
    };
  }

  chain(roots: readonly string[]): HeldChain {
    const { certificate, spiffe: identity, error } = this;
    return {
      identity,
      state: this.#state(),
      error,
      chain: certificate?.chain.map(pemOf) ?? [],
      roots,
    };
  }

  #state(): CertificateState {
    if (this.certificate !== undefined) return this.ended ? 'expired' : 'valid';
    if (!this.wanted) return 'idle';
    return this.failures > 0 ? 'failed' : 'requested';
  }

  #renewIn(ms: number): void {
    this.#renewWall = this.#clock.wall() + ms;
    this.#renewMonotonic = this.#clock.monotonic() + ms;
  }
}

/** A bundle's name: the same for the same roots in any order. */
export function bundleName({ roots }: WorkloadCertificate): string {
  return roots.map(fingerprintOf).sort().join(' ');
}
