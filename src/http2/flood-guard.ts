/**
 * A peer's allowance for frames that cost it little and us something: PING, SETTINGS, resets of requests that are still being
 * worked on, empty DATA, unknown frames. Resets after the answer are normal traffic and free: applications end
 * connections with RST, and a tunnel's session must live through any number of them.
 */
import { ConnectionError, ErrorCode } from './error.ts';

const BURST = 10_000;
const PER_SECOND = 2000;

/** in units of one PING */
export const Cost = {
  SMALL: 1,
  SETTINGS: 10,
  /** a request begun in vain: 500 at once, 100 a second (CVE-2023-44487, CVE-2025-8671) */
  RESET: 20,
} as const;

export class FloodGuard {
  #left = BURST;
  #at = Date.now();

  /** @throws ConnectionError ENHANCE_YOUR_CALM when the allowance is used up */
  take(cost: number, what: string): void {
    this.#left -= cost;
    if (this.#left >= 0) return;
    const now = Date.now();
    const elapsedMs = Math.max(0, now - this.#at);
    this.#at = now;
    this.#left = Math.min(BURST, this.#left + (elapsedMs * PER_SECOND) / 1000);
    if (this.#left < 0) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, what);
  }
}
