/**
 * The programs the netns tests put into pods (test/c, test/apps), how their one-line results are read, and the two
 * questions every application test asks: was it learnt, and were its bytes really redirected?
 */
import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from './agent.ts';
import type { Mesh, RunOptions, RunResult } from './netns.ts';
import { cProgram, command, findProgram } from './node.ts';
import { repositoryRoot } from './repository.ts';

export type Counts = Readonly<Record<string, number>>;

/** `ok=20 failed=0` → { ok: 20, failed: 0 } */
export function parseCounts(text: string): Counts {
  const pairs = [...text.matchAll(/(\w+)=(-?\d+)/g)];
  return Object.fromEntries(pairs.map(([, key, value]) => [key, Number(value)]));
}

export function appFile(name: string): string {
  return join(repositoryRoot(), 'test/apps', name);
}

/** The distribution's interpreter: a shim that starts another process first would be learnt instead. */
export function python(): string {
  return findProgram('python3') ?? 'python3';
}

/** Builds test/apps/NAME.go into the mesh's folder: standard library only, nothing is downloaded. */
export function buildGo(mesh: Mesh, name: string): string {
  const output = join(mesh.folder, name);
  const go = findProgram('go') ?? 'go';
  const env = ['GOFLAGS=', 'GOPROXY=off', 'GOTOOLCHAIN=local', 'CGO_ENABLED=0'];
  command('env', [...env, go, 'build', '-o', output, appFile(`${name}.go`)]);
  return output;
}

export interface TortureOptions {
  readonly program: string;
  readonly expect: 'plain' | 'spliced';
  readonly family?: 'v4' | 'v6' | 'mapped';
  /** all when absent */
  readonly tests?: readonly string[];
  readonly timeoutMs?: number;
}

/** Client sockets in pod `client`, server sockets in pod `server`. */
export function tortureArguments(mesh: Mesh, family: 'v4' | 'v6' | 'mapped' = 'v4'): string[] {
  const client = mesh.pod('client');
  const server = mesh.pod('server');
  const six = family === 'v6';
  return [
    ...['--client-ns', client.netnsPath, '--server-ns', server.netnsPath],
    ...['--client-addr', six ? client.v6 : client.v4, '--server-addr', six ? server.v6 : server.v4],
    ...['--client-addr6', client.v6, '--server-addr6', server.v6],
    ...(family === 'mapped' ? ['--mapped'] : []),
  ];
}

/** Runs torture tests; every `not ok` line is in the assertion's message. */
export async function torture(mesh: Mesh, options: TortureOptions): Promise<RunResult> {
  const args = [...tortureArguments(mesh, options.family), '--expect', options.expect];
  const result = await mesh.run(cProgram(options.program), [...args, ...(options.tests ?? [])], {
    timeoutMs: options.timeoutMs ?? 240_000,
  });
  const bad = result.stdout.split('\n').filter((line) => line.startsWith('not ok'));
  assert.deepEqual(bad, [], `${options.program} ${options.family ?? 'v4'}`);
  assert.equal(result.code, 0, result.stdout + result.stderr);
  return result;
}

/** Runs a driver and returns its counts; the driver's complaints are in the message when `ok` is not `expected`. */
export async function drive(
  mesh: Mesh,
  program: string,
  args: readonly string[],
  options: RunOptions & { readonly expectOk?: number },
): Promise<Counts> {
  const result = await mesh.run(program, args, options);
  const counts = parseCounts(result.stdout);
  if (options.expectOk !== undefined) {
    assert.equal(counts['ok'], options.expectOk, result.stdout + result.stderr.slice(0, 2000));
  }
  return counts;
}

export interface Redirected {
  readonly spliced: number;
  readonly bytes: number;
}

/** How many connections were spliced, and how many bytes were redirected, while `work` ran. */
export async function redirectedDuring(
  agent: Agent,
  work: () => Promise<unknown>,
): Promise<Redirected> {
  const before = await agent.counters();
  await work();
  const after = await agent.counters();
  const grown = (key: string): number => (after[key] ?? NaN) - (before[key] ?? NaN);
  return { spliced: grown('spliced'), bytes: grown('redirect-bytes') };
}

/** A decision of the observer: about this executable (its path, links resolved) in this pod. */
export interface Decision {
  readonly pod: string;
  readonly program: string;
  readonly state: 'trusted' | 'denied';
}

/** Names as the tests know them, e.g. decision('server', 'redis-server', 'trusted'). */
export function decision(pod: string, program: string, state: Decision['state']): Decision {
  return { pod, program: realpathSync(findProgram(program) ?? program), state };
}

export async function isDecided(agent: Agent, wanted: Decision): Promise<boolean> {
  return (await agent.trust()).some(
    ({ name, workload, state }) =>
      name.split(' ')[0] === wanted.program &&
      workload === `default/${wanted.pod}` &&
      state === wanted.state,
  );
}

/** Repeats `traffic` until the agent has decided so about all of them. */
export async function learn(
  agent: Agent,
  traffic: () => Promise<unknown>,
  wanted: readonly Decision[],
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    await traffic();
    const decided = await Promise.all(wanted.map((one) => isDecided(agent, one)));
    if (decided.every(Boolean)) return;
    if (Date.now() > deadline) {
      const open = wanted.filter((_, i) => decided[i] !== true);
      const known = JSON.stringify(await agent.trust());
      assert.fail(`not learnt: ${JSON.stringify(open)}; known: ${known}`);
    }
    await sleep(300);
  }
}
