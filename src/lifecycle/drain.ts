/**
 * What was started, and how it is stopped: in reverse order, each awaited, all of them even when some fail.  A step that
 * hangs costs the deadline once; the steps after it still run, without patience.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export type Close = () => void | Promise<void>;

export interface CloseFailure {
  readonly name: string;
  readonly error: unknown;
}

/** what a step gets when the deadline is over: enough for everything that does not wait for peers */
const GRACE_MS = 100;

export class Resources {
  readonly #steps: { readonly name: string; readonly close: Close }[] = [];
  #closing: Promise<readonly CloseFailure[]> | undefined;

  /** Throws once closing has begun: what is started then would never be stopped. */
  add(name: string, close: Close): void {
    if (this.#closing !== undefined) {
      throw new Error(`${name} was started while everything is being closed`);
    }
    this.#steps.push({ name, close });
  }

  /** Idempotent: later calls get the first one's result.  Never rejects; the failures are the result. */
  close(deadlineMs: number): Promise<readonly CloseFailure[]> {
    this.#closing ??= this.#closeAll(performance.now() + deadlineMs);
    return this.#closing;
  }

  async #closeAll(deadline: number): Promise<readonly CloseFailure[]> {
    const failures: CloseFailure[] = [];
    for (const { name, close } of this.#steps.splice(0).reverse()) {
      const patienceMs = Math.max(GRACE_MS, deadline - performance.now());
      try {
        await within(close, patienceMs);
      } catch (error) {
        failures.push({ name, error });
      }
    }
    return failures;
  }
}

async function within(close: Close, patienceMs: number): Promise<void> {
  const timer = new AbortController();
  const late = sleep(patienceMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`did not close within ${Math.round(patienceMs)} ms`);
  });
  try {
    // the loser's rejection is taken by race() too, so neither is ever unhandled
    await Promise.race([(async () => close())(), late]);
  } finally {
    timer.abort();
  }
}
