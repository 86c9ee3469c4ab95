/**
 * The node's certificates as one worker knows them: the newest of every identity, told by the main thread.
 *
 * Asked at every handshake, so that a rotation needs no new listener; what is established keeps what it had.
 */
import { isRevoked, type RevocationList } from '../../identity/revocation-list.ts';
import type { TlsCredentials } from '../../model/tls-credentials.ts';

interface Waiting {
  readonly resolve: (credentials: TlsCredentials | undefined) => void;
  readonly timer: NodeJS.Timeout;
}

/** one that cannot be had is asked for no more often, however many connections there are */
const WANT_MS = 1_000;

export class CertificateView {
  readonly #want: (spiffe: string) => void;
  /** monotonic: when it was asked for last */
  readonly #wanted = new Map<string, number>();
  readonly #newest = new Map<string, TlsCredentials>();
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #onRevoked = new Set<() => void>();
  #revocations: RevocationList | undefined;

  /** `want`: a connection waits for this one */
  constructor(want: (spiffe: string) => void) {
    this.#want = want;
  }

  set(spiffe: string, credentials: TlsCredentials | undefined): void {
    if (credentials === undefined) {
      this.#newest.delete(spiffe);
      return;
    }
    this.#newest.set(spiffe, credentials);
    this.#wanted.delete(spiffe);
    const waiting = this.#waiting.get(spiffe) ?? [];
    this.#waiting.delete(spiffe);
    for (const { resolve, timer } of waiting) {
      clearTimeout(timer);
      resolve(credentials);
    }
  }

  /** undefined: there is none, or it has ended; then it is asked for. */
  get(spiffe: string): TlsCredentials | undefined {
    const credentials = this.#newest.get(spiffe);
    if (credentials === undefined) this.#ask(spiffe);
    return credentials;
  }

  /** Resolves to undefined when there is none within that time. */
  whenHeld(spiffe: string, timeoutMs: number): Promise<TlsCredentials | undefined> {
    const held = this.get(spiffe);
    if (held !== undefined) return Promise.resolve(held);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(spiffe) ?? new Set<Waiting>();
      this.#waiting.set(spiffe, waiting);
      const timer = setTimeout(() => {
        waiting.delete(one);
        if (waiting.size === 0 && this.#waiting.get(spiffe) === waiting) {
          this.#waiting.delete(spiffe);
        }
        resolve(undefined);
      }, timeoutMs);
      const one: Waiting = { resolve, timer };
      waiting.add(one);
    });
  }

  revoke(list: RevocationList | undefined): void {
    this.#revocations = list;
    for (const listener of this.#onRevoked) listener();
  }

  /** Of each certificate of a peer's chain, at the handshake; `issuerHash`: see identity/issuer-hash.ts. */
  revoked(serial: string, issuerHash: string): boolean {
    return isRevoked(this.#revocations, serial, issuerHash);
  }

  /** Other certificates are revoked than before: live connections must be asked about again. Returns how to stop. */
  onRevocations(listener: () => void): () => void {
    this.#onRevoked.add(listener);
    return () => this.#onRevoked.delete(listener);
  }

  #ask(spiffe: string): void {
    const now = performance.now();
    if (now - (this.#wanted.get(spiffe) ?? -Infinity) < WANT_MS) return;
    this.#wanted.set(spiffe, now);
    this.#want(spiffe);
  }
}
