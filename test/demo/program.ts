/**
 * A program of the demo that runs in the background and prints lines.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 5;
const STOP_MS = 10_000;

export class Program {
  /** what it printed, stdout and stderr */
  readonly lines: string[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #name: string;
  readonly #signal: AbortSignal;

  constructor(options: {
    readonly child: ChildProcessWithoutNullStreams;
    readonly name: string;
    readonly signal: AbortSignal;
  }) {
    this.#child = options.child;
    this.#name = options.name;
    this.#signal = options.signal;
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
    // writing to a program that has ended: its end is reported by waitFor()
    this.#child.stdin.on('error', () => undefined);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#name} could not be started`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  write(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Resolves with what FIND finds; throws when the program ends before, or TIMEOUTMS have passed. */
  async waitFor<T>(what: string, timeoutMs: number, find: () => T | undefined): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      this.#signal.throwIfAborted();
      if (!this.running) throw new Error(`${this.#name} ended without ${what}: ${this.tail()}`);
      if (performance.now() > deadline) {
        throw new Error(`${this.#name}: no ${what} in ${timeoutMs / 1_000} s: ${this.tail()}`);
      }
      await sleep(POLL_MS, undefined, { signal: this.#signal });
    }
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    if (!this.running) return;
    const ended = once(this.#child, 'exit', { signal: this.#signal });
    this.#child.kill(signal);
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    try {
      await ended;
    } finally {
      clearTimeout(killer);
    }
  }

  /** its last words */
  tail(): string {
    return this.lines.slice(-5).join('\n');
  }
}
