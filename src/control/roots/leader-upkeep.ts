/**
 * Something of an API server that is to be as control says: the leader compares it when it may have changed, and every so
 * often.  A failure is tried again, less and less often.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../../lifecycle/backoff.ts';
import type { Log } from '../../log.ts';
import { KubernetesError } from '../kubernetes/error.ts';

export interface LeaderUpkeepOptions {
  readonly leader: { readonly leading: boolean };
  /** Makes it so. Throws when something could not be done. */
  readonly compare: (signal: AbortSignal) => Promise<void>;
  /** what a log line says then */
  readonly failure: string;
  /** how often it is compared, though nothing was heard of a change */
  readonly resyncMs?: number;
  readonly log: Log;
}

const RESYNC_MS = 60_000;
/** Changes come in bursts. */
const QUIET_MS = 200;
/** how soon a replica notices that it leads */
const FOLLOW_MS = 1000;

export class LeaderUpkeep {
  readonly #options: LeaderUpkeepOptions;
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 30_000 });
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #due = true;
  #wake = (): void => {};

  constructor(options: LeaderUpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** What it is to be has changed, or what it is. */
  poke(): void {
    this.#due = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { leader, compare, failure, log, resyncMs = RESYNC_MS } = this.#options;
    const { signal } = this.#stop;
    let comparedMs = -Infinity;
    while (!signal.aborted) {
      let pauseMs = FOLLOW_MS;
      if (!leader.leading) comparedMs = -Infinity;
      else if (this.#due || performance.now() - comparedMs >= resyncMs) {
        this.#due = false;
        try {
          await compare(signal);
          comparedMs = performance.now();
          this.#backoff.reset();
        } catch (err) {
          if (!signal.aborted) log.warn({ err }, failure);
          this.#due = true;
          pauseMs = this.#backoff.nextMs();
        }
      }
      await this.#pause(pauseMs);
    }
  }

  /** A failure is waited out; otherwise a poke ends the pause, a moment later. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stop;
    if (this.#due) {
      await sleep(ms, undefined, { signal }).catch(() => {});
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = () => {};
    if (this.#due) await sleep(QUIET_MS, undefined, { signal }).catch(() => {});
  }
}

/** Somebody else was quicker, or it is going: the next comparison sees it. */
export function isOvertaken(error: unknown): boolean {
  return error instanceof KubernetesError && (error.status === 409 || error.status === 404);
}
