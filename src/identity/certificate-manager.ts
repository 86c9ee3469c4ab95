/**
 * The certificates of the node: one key and certificate for each identity that has a pod here, in memory only, asked for
 * before they are needed, renewed at half of their life, and forgotten with the last pod.
 *
 * A certificate stays in use until it ends, whatever the source says meanwhile; then there is none (`current` is undefined)
 * and no connection is made or taken for the identity.  Nothing here ends the agent, and nothing waits for it.
 */
import type { Log } from '../log.ts';
import { parseSpiffe } from '../model/identity.ts';
import { CertificateRefusedError } from '../xds/client/certificate-refused-error.ts';
import { SYSTEM_CLOCK, type CertificateClock } from './certificate-clock.ts';
import type { CertificateSource, IssuedCertificate } from './certificate-source.ts';
import type {
  CertificateNumbers,
  CertificateStatus,
  FailureReason,
  HeldChain,
} from './certificate-status.ts';
import { bundleName, ManagedIdentity } from './managed-identity.ts';
import { PublishedCredentials, type CredentialsListener } from './published-credentials.ts';
import type { RevocationList } from './revocation-list.ts';
import type { TlsCredentials } from '../model/tls-credentials.ts';
import { trustDomainOf } from './trusted-roots.ts';
import {
  CertificateAnswerError,
  checkIssued,
  pemOf,
  type WorkloadCertificate,
} from './workload-certificate.ts';

export type Priority = 'now' | 'soon';

export interface CertificateManagerOptions {
  readonly source: CertificateSource;
  readonly log: Log;
  readonly clock?: CertificateClock;
  /** from [0, 1) */
  readonly random?: () => number;
  readonly maxParallel?: number;
}

const MAX_PARALLEL = 8;
/** of one answer, over all servers a source asks */
const PATIENCE_MS = 15_000;
/** timers are no longer than this: the wall clock may be set meanwhile */
const MAX_WAIT_MS = 30_000;
/** in which all identities are renewed when the roots have changed */
const ROOTS_SPREAD_MS = 60_000;
/** distinct bundles that are remembered */
const MAX_BUNDLES = 64;

export class CertificateManager {
  readonly #source: CertificateSource;
  readonly #log: Log;
  readonly #clock: CertificateClock;
  readonly #random: () => number;
  readonly #maxParallel: number;
  readonly #identities = new Map<string, ManagedIdentity>();
  readonly #published: PublishedCredentials;
  readonly #failed: Record<FailureReason, number> = { refused: 0, invalid: 0, unavailable: 0 };
  /** names of bundles an answer has had: only a new one renews the others, or two replicas of a CA could keep it going */
  readonly #bundles = new Set<string>();
  #issued = 0;
  #inFlight = 0;
  #orders = 0;
  #stopTimer: () => void = () => {};
  #closed = false;

  constructor(options: CertificateManagerOptions) {
    const { source, log, clock = SYSTEM_CLOCK, random = Math.random } = options;
    this.#source = source;
    this.#log = log;
    this.#clock = clock;
    this.#random = random;
    this.#published = new PublishedCredentials(clock.wall);
    this.#maxParallel = options.maxParallel ?? MAX_PARALLEL;
    source.onChange((spiffe) => this.#sourceChanged(spiffe));
  }

  get source(): string {
    return this.#source.name;
  }

  /**
   * `soon`: there is a pod with this identity; `now`: a connection waits for it.  May be said any number of times; a pause after
   * a failure is kept.  Throws RangeError when it is no identity of Istio's form.
   */
  want(spiffe: string, priority: Priority): void {
    if (this.#closed) return;
    if (parseSpiffe(spiffe) === undefined) throw new RangeError(`${spiffe} is no identity`);
    let identity = this.#identities.get(spiffe);
    if (identity === undefined) {
      identity = new ManagedIdentity(spiffe, this.#orders++, this.#clock, this.#random);
      this.#identities.set(spiffe, identity);
    }
    if (priority === 'now') identity.urgent = identity.certificate === undefined || identity.ended;
    identity.wanted ||= priority === 'now' || this.#source.prefetch;
    this.#advance();
  }

  /** The last pod with this identity is gone: key and certificate are forgotten. */
  release(spiffe: string): void {
    const identity = this.#identities.get(spiffe);
    if (identity === undefined) return;
    this.#identities.delete(spiffe);
    identity.asked?.abort();
    this.#source.release(spiffe);
    this.#published.takeBack(identity);
    this.#publish();
  }

  /** undefined: there is none, or it has ended */
  current(spiffe: string): TlsCredentials | undefined {
    const identity = this.#identities.get(spiffe);
    return identity === undefined || identity.ended ? undefined : identity.credentials;
  }

  /** What consumers were told so far, for one that comes later. */
  *all(): Iterable<TlsCredentials> {
    for (const spiffe of this.#identities.keys()) {
      const credentials = this.current(spiffe);
      if (credentials !== undefined) yield credentials;
    }
  }

  /** Calls back with every newer value, undefined when there is none any more; returns how to stop. */
  onChange(listener: CredentialsListener): () => void {
    return this.#published.onChange(listener);
  }

  /** Part of every identity's credentials from now on. */
  setRevocations(list: RevocationList | undefined): void {
    this.#published.revocations = list;
    this.#publish();
  }

  list(): readonly CertificateStatus[] {
    return this.#sorted().map((one) => one.status(this.#published.rootsOf(one).fingerprints));
  }

  /** No keys. */
  chains(): readonly HeldChain[] {
    return this.#sorted().map((one) =>
      one.chain(this.#published.rootsOf(one).certificates.map(pemOf)),
    );
  }

  numbers(): CertificateNumbers {
    const waiting = [...this.#identities.values()].filter((one) => one.waitMs() === 0);
    return {
      issued: this.#issued,
      failed: { ...this.#failed },
      inFlight: this.#inFlight,
      queued: waiting.length,
    };
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTimer();
    for (const { asked } of this.#identities.values()) asked?.abort();
    this.#identities.clear();
    await this.#source.close();
  }

  /** Asks for what is due, takes back what has ended, and sets the timer for what comes next. */
  #advance(): void {
    if (this.#closed) return;
    this.#stopTimer();
    const all = [...this.#identities.values()];
    const ended = all.filter((one) => one.endsInMs() === 0);
    for (const identity of ended) this.#expire(identity);
    if (ended.length > 0) this.#publish();
    const due = all.filter((one) => one.waitMs() === 0).sort(byUrgency);
    for (const identity of due.slice(0, Math.max(0, this.#maxParallel - this.#inFlight))) {
      void this.#ask(identity);
    }
    // what waits for a free place is not waited for by time
    const waits = all.map((one) => Math.min(one.waitMs() || Infinity, one.endsInMs()));
    const waitMs = Math.min(MAX_WAIT_MS, ...waits);
    this.#stopTimer = this.#clock.after(Math.ceil(waitMs), () => this.#advance());
  }

  async #ask(identity: ManagedIdentity): Promise<void> {
    const { spiffe } = identity;
    const asked = new AbortController();
    identity.asked = asked;
    this.#inFlight++;
    try {
      const issued = await this.#answer(spiffe, asked);
      if (asked.signal.aborted) return;
      this.#take(identity, checkIssued(spiffe, issued, this.#clock.wall()));
    } catch (error) {
      if (!asked.signal.aborted) this.#fail(identity, error as Error);
    } finally {
      identity.asked = undefined;
      this.#inFlight--;
      this.#advance();
    }
  }

  /** It may be the one that is held: a source that renews by itself tells of other roots so. */
  #take(identity: ManagedIdentity, certificate: WorkloadCertificate): void {
    const fresh = identity.certificate?.serial !== certificate.serial;
    identity.hold(certificate, !this.#source.renews);
    if (fresh) {
      this.#issued++;
      const { spiffe, serial } = certificate;
      const details = { identity: spiffe, serial, ends: this.#endOf(identity) };
      this.#log.info(details, 'a certificate was issued');
    }
    this.#noteBundle(identity);
    this.#publish(fresh ? identity : undefined);
  }

  /** A source that neither answers nor gives up must not keep its place for ever. */
  #answer(spiffe: string, asked: AbortController): Promise<IssuedCertificate> {
    return new Promise((resolve, reject) => {
      const late = new Error(`no answer within ${PATIENCE_MS / 1000} s`);
      const stop = this.#clock.after(PATIENCE_MS, () => reject(late));
      asked.signal.addEventListener('abort', () => reject(new Error('nobody needs it any more')));
      this.#source.issue(spiffe, asked.signal).then(resolve, reject).finally(stop);
    });
  }

  #fail(identity: ManagedIdentity, error: Error): void {
    const reason = reasonOf(error);
    this.#failed[reason]++;
    const again = error.message === identity.error;
    identity.fail(error.message);
    const { spiffe, certificate } = identity;
    const details = { identity: spiffe, reason, error: error.message, source: this.#source.name };
    if (again) this.#log.debug(details, 'no certificate');
    else if (certificate === undefined || identity.ended)
      this.#log.error(details, 'no certificate');
    else this.#log.warn({ ...details, ends: this.#endOf(identity) }, 'no newer certificate');
  }

  #expire(identity: ManagedIdentity): void {
    const { spiffe: name, error } = identity;
    this.#log.error({ identity: name, ended: this.#endOf(identity), error }, 'a certificate ended');
    this.#published.takeBack(identity);
  }

  /** The CA announces other roots than before: the node's other certificates are to bring them too, and soon. */
  #noteBundle(identity: ManagedIdentity): void {
    const name = `${trustDomainOf(identity.spiffe)} ${bundleName(identity.certificate!)}`;
    if (this.#bundles.has(name)) return;
    if (this.#bundles.size >= MAX_BUNDLES) this.#bundles.clear();
    this.#bundles.add(name);
    for (const other of this.#identities.values()) {
      const { certificate } = other;
      if (certificate === undefined || this.#source.renews) continue;
      if (trustDomainOf(other.spiffe) !== trustDomainOf(identity.spiffe)) continue;
      if (bundleName(certificate) !== bundleName(identity.certificate!)) {
        other.renewWithin(this.#random() * ROOTS_SPREAD_MS);
      }
    }
  }

  #sourceChanged(spiffe: string | undefined): void {
    for (const identity of this.#identities.values()) {
      if (spiffe !== undefined && identity.spiffe !== spiffe) continue;
      // a source that renews by itself has the newer ones already
      if (this.#source.renews) identity.askAtOnce();
      else identity.renewWithin(this.#random() * ROOTS_SPREAD_MS);
    }
    this.#advance();
  }

  #publish(fresh?: ManagedIdentity): void {
    this.#published.publish(this.#identities.values(), fresh);
  }

  #endOf({ certificate }: ManagedIdentity): string {
    return new Date(certificate?.notAfter ?? 0).toISOString();
  }

  #sorted(): ManagedIdentity[] {
    return [...this.#identities.values()].sort((a, b) => (a.spiffe < b.spiffe ? -1 : 1));
  }
}

/** A connection that waits, an identity without a certificate, one that is to be renewed; each in the order they came. */
function byUrgency(a: ManagedIdentity, b: ManagedIdentity): number {
  return rankOf(a) - rankOf(b) || a.order - b.order;
}

function rankOf(identity: ManagedIdentity): number {
  if (identity.certificate !== undefined && !identity.ended) return 2;
  return identity.urgent ? 0 : 1;
}

function reasonOf(error: Error): FailureReason {
  if (error instanceof CertificateRefusedError) return 'refused';
  return error instanceof CertificateAnswerError ? 'invalid' : 'unavailable';
}
