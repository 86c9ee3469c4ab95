/**
 * podwire itself as one of the variants: an agent at default settings, for the pods of this variant alone.
 *
 * The agent is attached to the variant's cgroup instead of the node's root, so that the other variants do not pay for
 * its hooks.  On one node the drivers' programs are run until the agent trusts them, before anything is measured.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TrustView } from '../../src/admin/view.ts';
import { getAdmin } from '../../src/cli/client.ts';
import { podYaml, type YamlPod } from '../support/pod-yaml.ts';
import { repositoryRoot } from '../support/repository.ts';
import type { Place, Sandbox } from './sandbox.ts';
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
    /** of its folders */
    readonly name: string;
    readonly place: Place;
    readonly pods: readonly YamlPod[];
    readonly args?: readonly string[];
    readonly signal: AbortSignal;
  }): Promise<Agent> {
    const { sandbox, name, place, pods, args = [], signal } = input;
    const main = join(repositoryRoot(), 'dist/src/main.js');
    if (!existsSync(main)) throw new Error(`${main} is not built; fix: npm run build`);
    const folder = join(sandbox.folder, name);
    const config = join(folder, 'config');
    mkdirSync(config, { recursive: true });
    sandbox.writeFile(join(name, 'config/pods.yaml'), pods.map(podYaml).join('---\n'));
    const bpffs = join(sandbox.bpffs, name);
    mkdirSync(bpffs, { recursive: true });
    const admin = join(folder, 'admin.sock');
    const log = join(sandbox.folder, `${name}.log`);
    const child = sandbox.start(
      process.execPath,
      [
        ...[main, 'agent', '--config', config, '--cgroup', place.cgroup, '--bpffs', bpffs],
        ...['--state-dir', join(folder, 'state'), '--admin', admin, '--metrics', 'off', ...args],
      ],
      { place, log },
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

  counters(): Promise<Readonly<Record<string, number>>> {
    return getAdmin(this.#admin, '/v1/counters');
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
