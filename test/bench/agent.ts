/**
 * podwire itself as one of the variants: an agent at default settings, for the two pods of this variant alone.
 *
 * The agent is attached to the variant's cgroup instead of the node's root, so that the other variants do not pay for
 * its hooks.  Before anything is measured the drivers' programs are run until the agent trusts them.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TrustView } from '../../src/admin/view.ts';
import { getAdmin } from '../../src/cli/client.ts';
import { podYaml } from '../support/pod-yaml.ts';
import { repositoryRoot } from '../support/repository.ts';
import type { Pod, Sandbox } from './sandbox.ts';
import { waitFor } from './wait.ts';

const START_MS = 30_000;
const STOP_MS = 10_000;
const LEARN_MS = 60_000;

export class Agent {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #admin: string;

  private constructor(child: ChildProcess, pid: number, admin: string) {
    this.#child = child;
    this.pid = pid;
    this.#admin = admin;
  }

  static async start(input: {
    readonly sandbox: Sandbox;
    readonly cgroup: string;
    readonly client: Pod;
    readonly server: Pod;
    readonly signal: AbortSignal;
  }): Promise<Agent> {
    const { sandbox, cgroup, client, server, signal } = input;
    const main = join(repositoryRoot(), 'dist/src/main.js');
    if (!existsSync(main)) throw new Error(`${main} is not built; fix: npm run build`);
    const config = join(sandbox.folder, 'config');
    mkdirSync(config);
    sandbox.writeFile(
      'config/pods.yaml',
      Object.entries({ client, server })
        .map(([name, { address, netns }]) => podYaml({ name, namespace: 'bench', address, netns }))
        .join('---\n'),
    );
    mkdirSync(sandbox.bpffs);
    const admin = join(sandbox.folder, 'admin.sock');
    const log = join(sandbox.folder, 'agent.log');
    const child = sandbox.start(
      process.execPath,
      [
        ...[main, 'agent', '--config', config, '--cgroup', cgroup, '--bpffs', sandbox.bpffs],
        ...['--state-dir', join(sandbox.folder, 'state'), '--admin', admin, '--metrics', 'off'],
      ],
      { place: { cgroup }, log },
    );
    const pid = await waitFor({
      what: 'podwire agent',
      child,
      timeoutMs: START_MS,
      signal,
      isReady: () => readFileSync(log, 'utf8').includes('"msg":"ready"'),
      explain: () => readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n'),
    });
    return new Agent(child, pid, admin);
  }

  /** Runs EXERCISE, which uses all of the programs, until the agent trusts them; resolves with the seconds it took. */
  async learn(programs: readonly string[], exercise: () => Promise<void>): Promise<number> {
    const start = performance.now();
    for (;;) {
      await exercise();
      const rows = await getAdmin<readonly TrustView[]>(this.#admin, '/v1/trust');
      const seconds = (performance.now() - start) / 1_000;
      if (programs.every((program) => isTrusted(program, rows))) return seconds;
      if (seconds * 1_000 > LEARN_MS) {
        throw new Error(
          `the agent does not trust ${programs.join(', ')} after ${LEARN_MS / 1_000} s: ${JSON.stringify(rows)}`,
        );
      }
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await closed;
    clearTimeout(killer);
  }
}

function isTrusted(program: string, rows: readonly TrustView[]): boolean {
  const row = rows.find(({ name }) => basename(name) === program);
  if (row?.state === 'denied') {
    throw new Error(`the agent will not splice ${program}: ${row.reason}`);
  }
  return row?.state === 'trusted';
}
