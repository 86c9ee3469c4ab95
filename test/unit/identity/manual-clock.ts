/** Both clocks in the test's hand; timers run in their order when time is moved on. */
import type { CertificateClock } from '../../../src/identity/certificate-clock.ts';

export class ManualClock implements CertificateClock {
  #wall: number;
  #monotonic = 0;
  readonly #settle: () => Promise<void>;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  /** `settle`: resolves when everything that was set off has run */
  constructor(wall: number, settle: () => Promise<void>) {
    this.#wall = wall;
    this.#settle = settle;
  }

  readonly wall = (): number => this.#wall;
  readonly monotonic = (): number => this.#monotonic;
  readonly after = (ms: number, callback: () => void): (() => void) => {
    const timer = { at: this.#monotonic + ms, callback };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((one) => one !== timer));
  };

  /** Somebody sets the clock: no time passes. */
  set(ms: number): void {
    this.#wall += ms;
  }

  /** Both go on. */
  async pass(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await this.#settle();
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      const stepMs = Math.max(0, next.at - this.#monotonic);
      this.#monotonic += stepMs;
      this.#wall += stepMs;
      next.callback();
      await this.#settle();
    }
    this.#wall += end - this.#monotonic;
    this.#monotonic = end;
    await this.#settle();
  }
}
