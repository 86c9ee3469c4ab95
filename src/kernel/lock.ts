/**
 * One writer of kernel state at a time: an flock on the pin folder. The kernel drops it with the process, so
 * a dead agent never blocks the next one. Data planes of two agents may overlap; writers may not.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Binding } from './binding.ts';

/** how often a waiting agent tries */
const RETRY_MS = 100;

export class WriterLock {
  readonly #binding: Binding;
  readonly #path: string;
  #fd: number | undefined;

  constructor(options: { binding: Binding; bpffs: string }) {
    this.#binding = options.binding;
    this.#path = join(options.bpffs, 'podwire');
  }

  /** Waits until the lock is ours; says so once, then every ten seconds. */
  async acquire(log: Log, signal?: AbortSignal): Promise<void> {
    mkdirSync(this.#path, { recursive: true, mode: 0o700 });
    for (let tries = 0; ; tries++) {
      this.#fd = this.#binding.tryLock(this.#path);
      if (this.#fd !== undefined) return;
      if (tries % 100 === 0) {
        log.warn(
          { lock: this.#path },
          'another agent is the writer of this node: waiting for its lock',
        );
      }
      await sleep(RETRY_MS, undefined, signal ? { signal } : {});
    }
  }

  /** Gives it away; whether another agent was waiting for it and is the writer now. */
  async handOver(): Promise<boolean> {
    this.release();
    await sleep(3 * RETRY_MS);
    const fd = this.#binding.tryLock(this.#path);
    if (fd === undefined) return true;
    this.#binding.closeFd(fd);
    return false;
  }

  release(): void {
    if (this.#fd !== undefined) this.#binding.closeFd(this.#fd);
    this.#fd = undefined;
  }
}
