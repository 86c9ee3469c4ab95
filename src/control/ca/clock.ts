/**
 * The wall clock, watched: rotation waits for other processes' certificates to expire in real time, so it must not be
 * hurried by a clock that is set.
 */
export interface TimeSource {
  /** ms since 1970 */
  readonly wall: () => number;
  /** ms since anything; never set, and stands still while the machine sleeps */
  readonly monotonic: () => number;
}

export const SYSTEM_TIME: TimeSource = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
};

/** More is no drift but a jump. */
export const MAX_DRIFT_MS = 300_000;

export class WatchedClock {
  readonly #time: TimeSource;
  #wall: number;
  #monotonic: number;

  constructor(time: TimeSource) {
    this.#time = time;
    this.#wall = time.wall();
    this.#monotonic = time.monotonic();
  }

  /** How far the wall clock has jumped since the last call, in ms; 0: it runs as it should. */
  jump(): number {
    const wall = this.#time.wall();
    const monotonic = this.#time.monotonic();
    const jump = wall - this.#wall - (monotonic - this.#monotonic);
    this.#wall = wall;
    this.#monotonic = monotonic;
    return Math.abs(jump) > MAX_DRIFT_MS ? jump : 0;
  }
}
