/**
 * The agent of the demo: at default settings, attached to the demo's cgroup, so that nothing else of the machine is
 * concerned.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionView, CountersView, StatusView } from '../../src/admin/view.ts';
import { getAdmin } from '../../src/cli/client.ts';
import { bpftoolList } from '../support/bpftool.ts';
import { repositoryRoot } from '../support/repository.ts';
import type { Ground } from './ground.ts';
import { Program } from './program.ts';

const START_MS = 30_000;
const CLEANUP_MS = 20_000;

type LogLine = Readonly<Record<string, unknown>>;

export class DemoAgent {
  readonly pid: number;
  readonly readyAfterMs: number;
  readonly #program: Program;
  readonly #paths: Paths;

  private constructor(program: Program, paths: Paths, readyAfterMs: number) {
    this.#program = program;
    this.#paths = paths;
    this.pid = program.pid;
    this.readyAfterMs = readyAfterMs;
  }

  static async start(ground: Ground, signal: AbortSignal): Promise<DemoAgent> {
    const paths = pathsOf(ground);
    const start = performance.now();
    const args = ['agent', '--config', paths.config, '--cgroup', ground.cgroup, '--metrics', 'off'];
    const program = runPodwire({ ground, args: [...args, ...places(paths)], signal });
    await program.waitFor('"ready"', START_MS, () => parseLog(program.lines, 'ready')[0]);
    return new DemoAgent(program, paths, performance.now() - start);
  }

  status(): Promise<StatusView> {
    return this.#get('/v1/status');
  }

  connections(): Promise<readonly ConnectionView[]> {
    return this.#get('/v1/connections');
  }

  counters(): Promise<CountersView> {
    return this.#get('/v1/counters');
  }

  /** Lines of the access log that say this: `connection failed`, `connection complete`. */
  accessLog(message: string): LogLine[] {
    return parseLog(this.#program.lines, message);
  }

  /** Waits for the first of them that fits. */
  waitForAccess(message: string, fits: (line: LogLine) => boolean): Promise<LogLine> {
    return this.#program.waitFor(`"${message}"`, START_MS, () =>
      this.accessLog(message).find(fits),
    );
  }

  /** Links that live as long as their pins or the agent, whichever is longer. */
  links(): number[] {
    const below = `${this.#paths.bpffs}/`;
    const isOurs = ({ pinned = [], pids = [] }: LinkRow): boolean =>
      pinned.some((path) => path.startsWith(below)) || pids.some(({ pid }) => pid === this.pid);
    return liveLinks()
      .filter(isOurs)
      .map(({ id }) => id);
  }

  stop(signal: NodeJS.Signals): Promise<void> {
    return this.#program.stop(signal);
  }

  async #get<T>(path: string): Promise<T> {
    try {
      return await getAdmin<T>(this.#paths.admin, path);
    } catch (cause) {
      const words = this.#program.tail();
      throw new Error(`the agent does not answer; its last words: ${words}`, { cause });
    }
  }
}

export function configFolder(ground: Ground): string {
  const { config } = pathsOf(ground);
  if (!existsSync(config)) mkdirSync(config);
  return config;
}

/** `podwire cleanup`: what it removed. */
export async function cleanUp(ground: Ground, signal: AbortSignal): Promise<readonly string[]> {
  const args = ['cleanup', ...places(pathsOf(ground)), '-o', 'json'];
  const program = runPodwire({ ground, args, signal });
  const report = await program.waitFor('report', CLEANUP_MS, () => {
    const text = program.lines.join('\n');
    return text.endsWith('}') ? (JSON.parse(text) as { removed: string[] }) : undefined;
  });
  return report.removed;
}

/** Which of these links there still are. */
export function liveAmong(links: readonly number[]): number[] {
  const live = new Set(liveLinks().map(({ id }) => id));
  return links.filter((id) => live.has(id));
}

interface Paths {
  readonly config: string;
  readonly bpffs: string;
  readonly state: string;
  readonly admin: string;
}

interface LinkRow {
  readonly id: number;
  readonly pinned?: readonly string[];
  readonly pids?: readonly { readonly pid: number }[];
}

function pathsOf({ folder, bpffs }: Ground): Paths {
  const state = join(folder, 'state');
  return { config: join(folder, 'config'), bpffs, state, admin: join(folder, 'admin.sock') };
}

function places({ bpffs, state, admin }: Paths): string[] {
  return ['--bpffs', bpffs, '--state-dir', state, '--admin', admin];
}

function runPodwire(input: {
  readonly ground: Ground;
  readonly args: readonly string[];
  readonly signal: AbortSignal;
}): Program {
  const { ground, args, signal } = input;
  const main = join(repositoryRoot(), 'dist/src/main.js');
  const child = ground.start(process.execPath, [main, ...args], {});
  return new Program({ child, name: `podwire ${args[0]}`, signal });
}

function parseLog(lines: readonly string[], message: string): LogLine[] {
  const key = `"msg":${JSON.stringify(message)}`;
  return lines.filter((line) => line.includes(key)).map((line) => JSON.parse(line) as LogLine);
}

function liveLinks(): readonly LinkRow[] {
  return bpftoolList('-f', 'link', 'show');
}
