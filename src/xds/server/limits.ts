/**
 * What the server lets its clients cost.
 */
export interface ServerLimits {
  readonly streams: number;
  /** of one client, so that a broken agent cannot take them all */
  readonly streamsPerClient: number;
  /** names per stream and type */
  readonly names: number;
  readonly nameLength: number;
  /** requests per second and stream in the long run, and at once */
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
  /** of one request: the names and versions of 100,000 resources have some 8 MB */
  readonly requestBytes: number;
  /** large responses on their way, of all streams together */
  readonly pushBytes: number;
  /** a stream is ended when a response stays without an answer for so long */
  readonly ackMs: number;
  /** a stream is ended when it has not asked for anything for so long */
  readonly firstRequestMs: number;
  /** a stream is ended at this age, give or take a fifth, so that agents spread over the replicas */
  readonly streamAgeMs: number;
  /** credentials that can be revoked are looked at again */
  readonly recheckMs: number;
  readonly quietMs: number;
  readonly maxDelayMs: number;
}

export const SERVER_LIMITS: ServerLimits = {
  streams: 10_000,
  streamsPerClient: 4,
  names: 100_000,
  nameLength: 1024,
  requestsPerSecond: 200,
  requestBurst: 2000,
  requestBytes: 16 * 1024 * 1024,
  pushBytes: 128 * 1024 * 1024,
  ackMs: 30_000,
  firstRequestMs: 20_000,
  streamAgeMs: 30 * 60_000,
  recheckMs: 10_000,
  quietMs: 10,
  maxDelayMs: 100,
};

/** A bucket of tokens. */
export class RateLimit {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at = 0;

  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** `nowMs` of a monotonic clock */
  take(nowMs: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#at) * this.#perMs);
    this.#at = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
