/**
 * What running processes have used, and whether they listen yet, read from /proc.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';

const KIB_PER_MIB = 1024;
const NS_PER_SECOND = 1e9;
const LISTEN = '0A';

/** CPU seconds of all threads that are alive, to the nanosecond; /proc/PID/stat counts in 10 ms. */
export function cpuSeconds(pid: number): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [running] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    total += Number(running) / NS_PER_SECOND;
  }
  return total;
}

export function rssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib ?? 0) / KIB_PER_MIB;
}

/** Whether the process has entered the network namespace and anything there listens on the port. */
export function isListening(pid: number, netnsPath: string, port: number): boolean {
  if (statSync(`/proc/${pid}/ns/net`).ino !== statSync(netnsPath).ino) return false;
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === LISTEN && local?.endsWith(suffix) === true;
    });
}
