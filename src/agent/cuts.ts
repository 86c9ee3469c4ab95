/** Why the agent itself ended connections, until the kernel reports their end: the access log then names the reason. */
import type { RuleName } from '../telemetry/flow-info.ts';

export type CutReason = 'revoked' | 'stalled-reader';

/** Why, and of a revoked connection the rule that no longer lets it be. */
export interface Cut extends RuleName {
  readonly reason: CutReason;
}

/** Sockets that never report (their pod was removed at the same time) must not pile up. */
const MAX_WAITING = 65_536;

export class Cuts {
  readonly #waiting = new Map<bigint, Cut>();
  readonly #counts: Record<CutReason, number> = { revoked: 0, 'stalled-reader': 0 };

  /** `cookies`: of the ends of one connection */
  add(cookies: readonly bigint[], cut: Cut): void {
    this.#counts[cut.reason]++;
    if (this.#waiting.size > MAX_WAITING) this.#waiting.clear();
    for (const cookie of cookies) this.#waiting.set(cookie, cut);
  }

  /** None waits: there is nothing to take. */
  get empty(): boolean {
    return this.#waiting.size === 0;
  }

  /** What is known of it, once. */
  take(cookies: readonly bigint[]): Cut | undefined {
    let found: Cut | undefined;
    for (const cookie of cookies) {
      found ??= this.#waiting.get(cookie);
      this.#waiting.delete(cookie);
    }
    return found;
  }

  count(reason: CutReason): number {
    return this.#counts[reason];
  }
}
