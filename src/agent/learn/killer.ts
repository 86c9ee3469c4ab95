/** Ends TCP sockets by cookie with a reset on both sides: stalled readers, and connections that policy revoked. */
import type { DetectPrograms } from './detect-programs.ts';

/** More at once would only make one iterator run longer. */
const MAX_BATCH = 4096;

export class Killer {
  readonly #programs: Pick<DetectPrograms, 'destroy'>;
  #killed = 0;

  constructor(options: { programs: Pick<DetectPrograms, 'destroy'> }) {
    this.#programs = options.programs;
  }

  /** sockets ended so far */
  get killed(): number {
    return this.#killed;
  }

  /** Looks for the cookies in each namespace; returns how many sockets were ended. */
  killSockets(options: { cookies: readonly bigint[]; netnsPaths: readonly string[] }): number {
    let ended = 0;
    for (let from = 0; from < options.cookies.length; from += MAX_BATCH) {
      const batch = options.cookies.slice(from, from + MAX_BATCH);
      ended += this.#programs.destroy(batch, options.netnsPaths).length;
    }
    this.#killed += ended;
    return ended;
  }
}
