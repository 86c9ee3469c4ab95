/**
 * Waits until a process that was just started is ready for work.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 5;

export interface WaitOptions {
  /** for the error's text */
  readonly what: string;
  readonly child: ChildProcess;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly isReady: (pid: number) => boolean | Promise<boolean>;
  /** what the process said, for the error's text */
  readonly explain: () => string;
}

/** Resolves with the process id. */
export async function waitFor(options: WaitOptions): Promise<number> {
  const { what, child, timeoutMs, signal, isReady, explain } = options;
  if (child.pid === undefined) await once(child, 'spawn', { signal });
  const pid = child.pid ?? 0;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${what} ended (${child.exitCode ?? child.signalCode}): ${explain()}`);
    }
    if (await isReadyYet(isReady, pid)) return pid;
    if (performance.now() > deadline) {
      throw new Error(`${what} was not ready after ${timeoutMs / 1_000} s: ${explain()}`);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** What a process that has just ended cannot answer is told by its exit code. */
async function isReadyYet(isReady: WaitOptions['isReady'], pid: number): Promise<boolean> {
  try {
    return await isReady(pid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ECONNREFUSED') return false;
    throw error;
  }
}
