/**
 * 10,000 connections of random sizes, many at a time, spliced, every byte checked at both ends: also with bytes before
 * accept, slow readers and clients that abort.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Agent, startAgent } from '../support/agent.ts';
import { type Mesh, createMesh } from '../support/netns.ts';
import { cProgram, skipReason } from '../support/node.ts';
import { parseCounts, redirectedDuring, tortureArguments } from '../support/programs.ts';

const skip = skipReason();

interface Churn {
  readonly connections: number;
  readonly concurrent: number;
  readonly maxBytes: number;
  readonly readPauseUs?: number;
  readonly deferS?: number;
  readonly abortPercent?: number;
}

async function churn(mesh: Mesh, agent: Agent, plan: Churn, family: 'v4' | 'v6'): Promise<void> {
  const numbers = [
    ...[plan.connections, plan.concurrent, plan.maxBytes],
    ...[plan.readPauseUs ?? 0, plan.deferS ?? 0, plan.abortPercent ?? 0],
  ];
  const redirected = await redirectedDuring(agent, async () => {
    const args = [...tortureArguments(mesh, family), ...numbers.map(String)];
    const result = await mesh.run(cProgram('torture-churn'), args, { timeoutMs: 240_000 });
    assert.equal(result.code, 0, result.stdout + result.stderr);
    // with bytes before accept the first messages of a connection stay on TCP, and small ones may be all of it
    const spliced = parseCounts(result.stdout)['spliced'] ?? 0;
    assert.ok(spliced > plan.connections * 0.4, result.stdout);
  });
  assert.ok(redirected.spliced > plan.connections * 0.9, JSON.stringify(redirected));
}

test('churn loses, repeats and reorders nothing', { skip }, async (t) => {
  const annotations = { 'podwire.io/splice': 'always' };
  const mesh = createMesh(t, {
    pods: [
      { name: 'client', annotations },
      { name: 'server', annotations },
    ],
  });
  const agent = await startAgent({ mesh });
  await t.test('10,000 connections', () =>
    churn(mesh, agent, { connections: 10_000, concurrent: 1000, maxBytes: 20_000 }, 'v4'),
  );
  await t.test('IPv6, larger', () =>
    churn(mesh, agent, { connections: 2000, concurrent: 200, maxBytes: 400_000 }, 'v6'),
  );
  await t.test('deferred accept and a slow reader', () =>
    churn(
      mesh,
      agent,
      { connections: 3000, concurrent: 300, maxBytes: 50_000, readPauseUs: 1000, deferS: 1 },
      'v4',
    ),
  );
  await t.test('megabytes with a slow reader, both ways of travel in turn', () =>
    churn(
      mesh,
      agent,
      { connections: 1200, concurrent: 60, maxBytes: 4_000_000, readPauseUs: 1000 },
      'v4',
    ),
  );
  await t.test('clients that abort', () =>
    churn(
      mesh,
      agent,
      { connections: 3000, concurrent: 300, maxBytes: 50_000, abortPercent: 20 },
      'v4',
    ),
  );
});
