/**
 * Programs of interpreters that ended undecided: a script that is started with other arguments every minute would fill
 * the kernel's map.  A program that still runs keeps its entry, because its listeners name it.
 */
import type { Processes } from './processes.ts';
import type { Subject } from './subject.ts';

const IDLE_MS = 600_000;
const LOOK_EVERY_MS = 60_000;

export class Retirement {
  readonly #processes: Pick<Processes, 'running' | 'argvHash'>;
  #nextMs = 0;

  constructor(options: { processes: Pick<Processes, 'running' | 'argvHash'> }) {
    this.#processes = options.processes;
  }

  ended(subjects: Iterable<Subject>, nowMs: number): Subject[] {
    if (nowMs < this.#nextMs) return [];
    this.#nextMs = nowMs + LOOK_EVERY_MS;
    return [...subjects].filter(
      ({ key, movedMs }) => key.argv !== 0n && nowMs - movedMs > IDLE_MS && !this.#runs(key),
    );
  }

  #runs(key: Subject['key']): boolean {
    return this.#processes.running(key).some((tgid) => this.#processes.argvHash(tgid) === key.argv);
  }
}
