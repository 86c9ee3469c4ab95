/**
 * Which of these descriptors threads are blocked on right now: system call numbers of the kernel's two architectures
 * that podwire runs on, read from /proc/TGID/task/TID/syscall.
 */
import type { WatchKey } from '../../kernel/abi/layout.gen.ts';
import type { Processes } from './processes.ts';

export interface BlockedCalls {
  inSplice(target: WatchKey): boolean;
  inRead(target: WatchKey): boolean;
}

interface CallNumbers {
  readonly splice: number;
  /** read, readv, recvfrom, recvmsg, recvmmsg */
  readonly reads: readonly number[];
}

const CALLS: Readonly<Record<string, CallNumbers>> = {
  x64: { splice: 275, reads: [0, 19, 45, 47, 299] },
  arm64: { splice: 76, reads: [63, 65, 207, 212, 243] },
};

export class SyscallSampler {
  readonly #processes: Pick<Processes, 'calls'>;
  readonly #numbers: CallNumbers | undefined;

  constructor(options: { processes: Pick<Processes, 'calls'>; architecture?: string }) {
    this.#processes = options.processes;
    this.#numbers = CALLS[options.architecture ?? process.arch];
  }

  sample(tgids: Iterable<number>): BlockedCalls {
    const splice = new Set<string>();
    const read = new Set<string>();
    for (const tgid of tgids) {
      for (const { number, firstArgument } of this.#processes.calls(tgid)) {
        const text = `${tgid} ${firstArgument}`;
        if (number === this.#numbers?.splice) splice.add(text);
        if (this.#numbers?.reads.includes(number)) read.add(text);
      }
    }
    return {
      inSplice: ({ tgid, fd }) => splice.has(`${tgid} ${fd}`),
      inRead: ({ tgid, fd }) => read.has(`${tgid} ${fd}`),
    };
  }
}
