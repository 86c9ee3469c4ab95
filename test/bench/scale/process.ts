/**
 * A process under test: `podwire agent` or `podwire control`, at default settings.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../support/repository.ts';
import { cpuSeconds, rssMiB } from '../process-usage.ts';
import type { Sandbox } from '../sandbox.ts';
import { waitFor } from '../wait.ts';

const START_MS = 180_000;
const STOP_MS = 15_000;

interface LogLine {
  /** ISO 8601 */
  readonly time: string;
  readonly msg: string;
  readonly ms?: number;
}

export class ScaleProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(name: string, child: ChildProcess, log: string) {
    this.name = name;
    this.#child = child;
    this.#log = log;
  }

  /** `args`: verb and options */
  static spawn(input: {
    readonly sandbox: Sandbox;
    readonly name: string;
    readonly args: readonly string[];
    readonly cgroup: string;
  }): ScaleProcess {
    const { sandbox, name, args, cgroup } = input;
    const main = join(repositoryRoot(), 'dist/src/main.js');
    if (!existsSync(main)) throw new Error(`${main} is not built; fix: npm run build`);
    const log = join(sandbox.folder, `${name}.log`);
    const child = sandbox.start(process.execPath, [main, ...args], { place: { cgroup }, log });
    return new ScaleProcess(name, child, log);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get cpuSeconds(): number {
    return cpuSeconds(this.pid);
  }

  get rssMiB(): number {
    return rssMiB(this.pid);
  }

  /** Resolves with the time it said so, in milliseconds since 1970. */
  async whenReady(signal: AbortSignal): Promise<number> {
    const text = (): string => readFileSync(this.#log, 'utf8');
    await waitFor({
      what: `podwire ${this.name}`,
      child: this.#child,
      timeoutMs: START_MS,
      signal,
      isReady: () => text().includes('"msg":"ready"'),
      explain: () => text().trim().split('\n').slice(-5).join('\n'),
    });
    return Date.parse(this.#lines().find(({ msg }) => msg === 'ready')?.time ?? '');
  }

  /** What each application of changes took so far, in milliseconds, the first of all left out. */
  applied(): number[] {
    return this.#lines()
      .filter(({ msg }) => msg === 'mesh applied')
      .slice(1)
      .flatMap(({ ms }) => (ms === undefined ? [] : [ms]));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await closed;
    clearTimeout(killer);
  }

  #lines(): LogLine[] {
    return readFileSync(this.#log, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  }
}
