/** Why the agent itself ended connections, until the kernel reports their end: the access log then names the reason. */
export type CutReason = 'revoked' | 'stalled-reader';

/** Sockets that never report (their pod was removed at the same time) must not pile up. */
const MAX_WAITING = 65_536;

export class Cuts {
  readonly #reasons = new Map<bigint, CutReason>();
  readonly #counts: Record<CutReason, number> = { revoked: 0, 'stalled-reader': 0 };

  /** `cookies`: of the ends of one connection */
  add(cookies: readonly bigint[], reason: CutReason): void {
    this.#counts[reason]++;
    if (this.#reasons.size > MAX_WAITING) this.#reasons.clear();
    for (const cookie of cookies) this.#reasons.set(cookie, reason);
  }

  /** None waits: there is nothing to take. */
  get empty(): boolean {
    return this.#reasons.size === 0;
  }

  /** The reason, once. */
  take(cookies: readonly bigint[]): CutReason | undefined {
    let found: CutReason | undefined;
    for (const cookie of cookies) {
      found ??= this.#reasons.get(cookie);
      this.#reasons.delete(cookie);
    }
    return found;
  }

  count(reason: CutReason): number {
    return this.#counts[reason];
  }
}
