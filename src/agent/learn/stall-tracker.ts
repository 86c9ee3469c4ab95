/**
 * Which sockets have not moved for too long.  A head message that is gone, smaller, or has fewer bytes behind it was
 * read; slow readers are left alone for longer and longer.  Pure: time comes with each scan.
 */
import type { Stall } from '../../kernel/abi/layout.gen.ts';

export interface StalledSocket {
  readonly stall: Stall;
  readonly stalledMs: number;
}

interface Tracked {
  stall: Stall;
  sinceMs: number;
  nextCheckMs: number;
  backoffMs: number;
}

export const STALL_MS = 200;
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 16_000;

export class StallTracker {
  readonly #tracked = new Map<bigint, Tracked>();

  /** sockets with unread bytes at the last scan */
  get size(): number {
    return this.#tracked.size;
  }

  /** Takes the result of one scan; returns what is due for a check. */
  update(stalls: readonly Stall[], nowMs: number): StalledSocket[] {
    const seen = new Set<bigint>();
    const due: StalledSocket[] = [];
    for (const stall of stalls) {
      seen.add(stall.cookie);
      const tracked = this.#tracked.get(stall.cookie);
      if (tracked === undefined || hasMoved(tracked.stall, stall)) {
        this.#tracked.set(stall.cookie, {
          stall,
          sinceMs: nowMs,
          nextCheckMs: nowMs + STALL_MS,
          backoffMs: tracked?.backoffMs ?? FIRST_BACKOFF_MS,
        });
        continue;
      }
      tracked.stall = stall;
      if (nowMs >= tracked.nextCheckMs) due.push({ stall, stalledMs: nowMs - tracked.sinceMs });
    }
    for (const cookie of this.#tracked.keys()) {
      if (!seen.has(cookie)) this.#tracked.delete(cookie);
    }
    return due;
  }

  /** A check found nothing wrong. */
  postpone(cookie: bigint, nowMs: number): void {
    const tracked = this.#tracked.get(cookie);
    if (tracked === undefined) return;
    tracked.nextCheckMs = nowMs + tracked.backoffMs;
    tracked.backoffMs = Math.min(2 * tracked.backoffMs, MAX_BACKOFF_MS);
  }

  /** Nobody has read since: the one question asked again before a connection is ended. */
  static unmoved(before: Stall, stalls: readonly Stall[]): boolean {
    const now = stalls.find((stall) => stall.cookie === before.cookie);
    return now !== undefined && !hasMoved(before, now);
  }
}

function hasMoved(before: Stall, now: Stall): boolean {
  return (
    before.head !== now.head || before.headBytes !== now.headBytes || now.unread < before.unread
  );
}
