/** Which of these descriptors threads are blocked on right now, from /proc/TGID/task/TID/syscall. */
import type { WatchKey } from '../../kernel/abi/layout.gen.ts';
import type { Processes } from './processes.ts';
import { syscallNumbers } from './syscall-numbers.ts';

export interface BlockedCalls {
  inSplice(target: WatchKey): boolean;
  inRead(target: WatchKey): boolean;
}

const READS = ['read', 'readv', 'recvfrom', 'recvmsg', 'recvmmsg'] as const;

export class SyscallSampler {
  readonly #processes: Pick<Processes, 'calls'>;
  readonly #splice: number;
  readonly #reads: ReadonlySet<number>;

  constructor(options: { processes: Pick<Processes, 'calls'>; architecture?: string }) {
    this.#processes = options.processes;
    const numbers = syscallNumbers(options.architecture ?? process.arch);
    this.#splice = numbers.splice;
    this.#reads = new Set(READS.map((name) => numbers[name]));
  }

  sample(tgids: Iterable<number>): BlockedCalls {
    const splice = new Set<string>();
    const read = new Set<string>();
    for (const tgid of tgids) {
      for (const { number, firstArgument } of this.#processes.calls(tgid)) {
        const text = `${tgid} ${firstArgument}`;
        if (number === this.#splice) splice.add(text);
        if (this.#reads.has(number)) read.add(text);
      }
    }
    return {
      inSplice: ({ tgid, fd }) => splice.has(`${tgid} ${fd}`),
      inRead: ({ tgid, fd }) => read.has(`${tgid} ${fd}`),
    };
  }
}
