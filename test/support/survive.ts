/**
 * Connections that outlive agents: test/c/survive.c in the pods of a mesh. The drivers run for as long as the test wants
 * and say at any moment what has become of their connections.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from './agent.ts';
import type { Mesh, Pod, Spawned } from './netns.ts';
import { cProgram } from './node.ts';
import { parseCounts } from './programs.ts';

/** `ended`: reset, what a connection that policy denies must be; `failed`: anything else that is not right. */
export interface SurviveCounts {
  readonly open: number;
  readonly exchanges: number;
  readonly ended: number;
  readonly failed: number;
  /** of `idle`: when the last one ended, ms since 1970 */
  readonly lastEndMs: number;
  readonly text: string;
}

export class Driver {
  readonly #process: Spawned;
  #asked = 0;

  constructor(process: Spawned) {
    this.#process = process;
  }

  async counts(): Promise<SurviveCounts> {
    const wanted = ++this.#asked;
    process.kill(this.#process.pid, 'SIGUSR1');
    const deadline = Date.now() + 10_000;
    for (;;) {
      const lines = this.#process.output().match(/^open=.*\n/gm) ?? [];
      const text = lines[wanted - 1];
      if (text !== undefined) {
        const counted = parseCounts(text);
        const { open = NaN, exchanges = NaN, ended = NaN, failed = NaN } = counted;
        return { open, exchanges, ended, failed, lastEndMs: counted['last_end_ms'] ?? NaN, text };
      }
      if (Date.now() > deadline) throw new Error(`no counts: ${this.#process.output()}`);
      await sleep(5);
    }
  }

  /** Until each of its connections has had another turn, or that many exchanges more. */
  async turns(exchanges: number, timeoutMs = 20_000): Promise<SurviveCounts> {
    const before = await this.counts();
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const now = await this.counts();
      if (now.exchanges - before.exchanges >= exchanges) return now;
      if (Date.now() > deadline) throw new Error(`too slow: ${before.text}${now.text}`);
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

export async function serve(mesh: Mesh, pod: Pod, ...ports: readonly number[]): Promise<Spawned> {
  const server = mesh.spawn(cProgram('survive'), ['serve', ...ports.map(String)], { pod });
  await server.waitFor('serving');
  return server;
}

/** `count` connections that are used over and over; with `idle` once. */
export async function hold(
  mesh: Mesh,
  pod: Pod,
  address: string,
  port: number,
  count: number,
  how: 'hold' | 'idle' = 'hold',
): Promise<Driver> {
  const args = [how, address, String(port), String(count)];
  const driver = mesh.spawn(cProgram('survive'), args, { pod });
  await driver.waitFor('holding', 30_000);
  return new Driver(driver);
}

/** New connections, one after the other, to these ports in turn. */
export async function dial(
  mesh: Mesh,
  pod: Pod,
  address: string,
  ...ports: readonly number[]
): Promise<Driver> {
  const driver = mesh.spawn(cProgram('survive'), ['dial', address, ports.join(',')], { pod });
  await driver.waitFor('dialling');
  return new Driver(driver);
}

export async function assertAlive(driver: Driver, open: number): Promise<void> {
  const counts = await driver.turns(open * 3);
  assert.deepEqual([counts.open, counts.failed, counts.ended], [open, 0, 0], counts.text);
}

/** Milliseconds until all of its connections have been reset. */
export async function untilEnded(driver: Driver, ended: number): Promise<number> {
  const start = performance.now();
  for (;;) {
    const counts = await driver.counts();
    assert.equal(counts.failed, 0, counts.text);
    if (counts.ended === ended) return performance.now() - start;
    assert.ok(performance.now() - start < 10_000, counts.text);
    await sleep(10);
  }
}

/** `kernel` of /v1/status. */
export interface KernelStatus {
  readonly generation: number;
  readonly adopted: boolean;
  readonly older: readonly number[];
}

export async function kernelOf(agent: Agent): Promise<KernelStatus> {
  const { kernel } = (await agent.admin('/v1/status')) as { kernel: KernelStatus };
  return kernel;
}

/** What tests look at in /v1/connections. */
export interface Listed {
  readonly path: string;
  readonly bytesSpliced: number;
  readonly source: { readonly workload: string; readonly identity: string };
  readonly destination: { readonly address: string };
}

export async function listed(agent: Agent, port: number): Promise<readonly Listed[]> {
  const all = (await agent.admin('/v1/connections')) as readonly Listed[];
  return all.filter(({ destination }) => destination.address.endsWith(`:${port}`));
}

export async function eventually(
  what: string,
  done: () => Promise<boolean> | boolean,
): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await done())) {
    assert.ok(Date.now() < deadline, `not within 15 s: ${what}`);
    await sleep(100);
  }
}
