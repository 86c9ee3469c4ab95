/**
 * How long one change takes to reach agents of a mesh of 10,000 pods.  The bounds are those of a machine that others use;
 * the figures are printed.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '../../../src/model/messages.ts';
import { pod } from '../../support/xds-client.ts';
import { startServer, until } from '../../support/xds-server.ts';

const PODS = 10_000;
const CHANGES = 100;
const address = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
const services = new Map([
  ['default/web.default.svc.cluster.local', [{ servicePort: 80, targetPort: 8080 }]],
]);
const endpoint = (i: number, healthy = true): Address =>
  pod(`p${i}`, address(i), { services, healthy, node: `n${i % 50}` });

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN;

for (const streams of [1, 50]) {
  test(`one endpoint of ${PODS} pods changes, ${streams} streams`, async (t) => {
    const { server, port, stop, seen } = await startServer({ limits: { streamsPerClient: 100 } });
    t.after(stop);
    const began = process.cpuUsage();
    server.apply({
      addresses: { upserts: Array.from({ length: PODS }, (_, i) => endpoint(i)), removals: [] },
    });
    const { user: loaded } = process.cpuUsage(began);
    // In a process of their own: their decoding is not to be taken for the server's work.
    const agents = fork(fileURLToPath(new URL('./latency-agents.js', import.meta.url)), [
      String(port),
      String(streams),
    ]);
    t.after(async () => {
      agents.kill();
      if (agents.exitCode === null && agents.signalCode === null) await once(agents, 'exit');
    });
    const joined = performance.now();
    await until('everybody has all', () => server.numbers().converged === streams, 60_000);
    const joinMs = performance.now() - joined;
    await sleep(300);
    seen.acks.length = 0;
    seen.pushes.length = 0;
    const cpu = process.cpuUsage();
    for (let change = 0; change < CHANGES; change++) {
      server.apply({ addresses: { upserts: [endpoint(change * 37, false)], removals: [] } });
      await sleep(25);
    }
    // On a loaded machine a change may find the last one unanswered and go with the next: fewer pushes, nothing lost.
    const isDone = (): boolean =>
      server.numbers().converged === streams && seen.acks.length === seen.pushes.length;
    await until('answers', isDone, 60_000);
    const { user, system } = process.cpuUsage(cpu);
    const sent = seen.pushes.map(({ delayMs }) => delayMs).sort((a, b) => a - b);
    const acked = seen.acks.map(({ delayMs }) => delayMs).sort((a, b) => a - b);
    const figure = (ms: number): string => ms.toFixed(2);
    t.diagnostic(
      `${streams} streams: change to sent p50 ${figure(quantile(sent, 0.5))} p99 ${figure(quantile(sent, 0.99))} ms, ` +
        `to ACK p50 ${figure(quantile(acked, 0.5))} p99 ${figure(quantile(acked, 0.99))} ms; ` +
        `CPU ${figure((user + system) / 1000 / CHANGES)} ms per change; ${seen.pushes[0]!.bytes} bytes; ` +
        `load ${figure(loaded / 1000)} ms CPU, join ${figure(joinMs)} ms, ` +
        `rss ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`,
    );
    assert.ok(seen.pushes.length >= streams && seen.pushes.length <= CHANGES * streams);
    assert.ok(quantile(acked, 0.5) < 1000);
    assert.ok(
      seen.pushes.every(({ bytes }) => bytes < 20_000),
      'what changed, not the mesh',
    );
  });
}
