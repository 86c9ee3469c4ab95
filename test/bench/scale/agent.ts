/**
 * The process under test: `podwire agent` on a config folder, with control inside, at default settings.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../support/repository.ts';
import { cpuSeconds } from '../process-usage.ts';
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

export class ScaleAgent {
  readonly pid: number;
  readonly startMs: number;
  /** when it was ready */
  readonly startCpuMs: number;
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(input: {
    readonly child: ChildProcess;
    readonly pid: number;
    readonly log: string;
    readonly startedAt: number;
  }) {
    const { child, pid, log, startedAt } = input;
    this.#child = child;
    this.#log = log;
    this.pid = pid;
    this.startCpuMs = cpuSeconds(pid) * 1000;
    const ready = this.#lines().find(({ msg }) => msg === 'ready');
    this.startMs = Date.parse(ready?.time ?? '') - startedAt;
  }

  static async start(input: {
    readonly sandbox: Sandbox;
    readonly cgroup: string;
    readonly config: string;
    readonly signal: AbortSignal;
  }): Promise<ScaleAgent> {
    const { sandbox, cgroup, config, signal } = input;
    const main = join(repositoryRoot(), 'dist/src/main.js');
    if (!existsSync(main)) throw new Error(`${main} is not built; fix: npm run build`);
    mkdirSync(sandbox.bpffs, { recursive: true });
    const log = join(sandbox.folder, 'agent.log');
    const startedAt = Date.now();
    const child = sandbox.start(
      process.execPath,
      [
        ...[main, 'agent', '--config', config, '--cgroup', cgroup, '--bpffs', sandbox.bpffs],
        ...['--state-dir', join(sandbox.folder, 'state'), '--metrics', 'off'],
        ...['--admin', join(sandbox.folder, 'admin.sock')],
      ],
      { place: { cgroup }, log },
    );
    const text = (): string => readFileSync(log, 'utf8');
    const pid = await waitFor({
      what: 'podwire agent',
      child,
      timeoutMs: START_MS,
      signal,
      isReady: () => text().includes('"msg":"ready"'),
      explain: () => text().trim().split('\n').slice(-5).join('\n'),
    });
    return new ScaleAgent({ child, pid, log, startedAt });
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
