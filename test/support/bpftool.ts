/**
 * Lists of bpftool. It walks ids, and one object that comes or goes meanwhile ends the walk with an error: EAGAIN for a
 * link that has an id but is not published yet (bpf_link_by_id, kernel/bpf/syscall.c). Only another walk helps.
 */
import { command } from './node.ts';

const ATTEMPTS = 20;
const PAUSE_MS = 25;

/** `bpftool -j ARGS`, a list; [] when it prints nothing. Throws the last error when no attempt came to its end. */
export function bpftoolList<T>(...args: readonly string[]): readonly T[] {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let attempt = 1; ; attempt++) {
    try {
      return JSON.parse(command('bpftool', ['-j', ...args]) || '[]') as T[];
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      Atomics.wait(pause, 0, 0, PAUSE_MS);
    }
  }
}
