/** What /proc says of a process. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every architecture that Node runs on */
const TICK_MS = 10;

export interface Footprint {
  readonly cpuMs: number;
  readonly rssMib: number;
  readonly descriptors: number;
  readonly threads: number;
}

export function footprint(pid: number): Footprint {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  /* behind the name, which may hold anything: utime and stime are fields 14 and 15 */
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const number = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN);
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    rssMib: number('VmRSS') / 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: number('Threads'),
  };
}
