/**
 * Which CPUs a measurement may use.  "one": everything on the same CPU, sidecars included, as on a busy node.  "free":
 * client and server have a CPU each (or any, with --unpinned), sidecars run where the scheduler puts them.
 */
import { readFileSync } from 'node:fs';
import type { CpuPlan } from './drivers.ts';
import { command } from './sandbox.ts';
import type { Cpu } from './shapes.ts';

export class CpuPlacement {
  /** as a list for taskset */
  readonly #all: string;
  readonly #first: string;
  readonly #second: string;
  readonly #unpinned: boolean;

  constructor(options: { readonly allowed: readonly number[]; readonly unpinned: boolean }) {
    const [first = 0, second = first] = options.allowed;
    this.#all = options.allowed.join(',');
    this.#first = String(first);
    this.#second = String(second);
    this.#unpinned = options.unpinned;
  }

  plan(cpu: Cpu): CpuPlan {
    if (cpu === 'one') return { client: this.#first, server: this.#first };
    if (this.#unpinned) return { client: undefined, server: undefined };
    return { client: this.#first, server: this.#second };
  }

  /** Sidecars stay up between measurements, so they are moved. */
  moveSidecars(pids: readonly number[], cpu: Cpu): void {
    const list = cpu === 'one' ? this.#first : this.#all;
    for (const pid of pids) command('taskset', ['-a', '-c', '-p', list, String(pid)]);
  }
}

/** The CPUs this process may run on. */
export function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return parseCpuList(list ?? '0');
}

/** `0-2,5` → 0, 1, 2, 5. */
export function parseCpuList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}
