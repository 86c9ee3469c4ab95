/**
 * Thousands of live connections, half of which lose what allowed them: all of those end, with the reason, and the others,
 * which are in use all the time, do not notice. What is silent is ended by the agent alone.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Agent, meshResources, startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { fromAccounts, policy } from '../support/resources.ts';
import { type Driver, eventually, hold, listed, serve, untilEnded } from '../support/survive.ts';

const PORT = 7001;
const SILENT = 2000;
const BUSY = 2000;
const ROUNDS = 3;
const ENDED = 'connections ended: policy no longer allows them';
const annotations = { 'podwire.io/splice': 'always' };
const NOT_ALICE = policy({
  name: 'not-alice',
  app: 'server',
  action: 'DENY',
  rules: [fromAccounts('alice')],
});

async function msOfListing(agent: Agent): Promise<number> {
  const start = performance.now();
  assert.ok((await listed(agent, PORT)).length >= SILENT + BUSY);
  return performance.now() - start;
}

function revokedIn(agent: Agent): number {
  return agent.log.filter(
    ({ error, policy: name, rule }) =>
      error === 'revoked' && name === 'default/not-alice' && rule === '0',
  ).length;
}

test('2,000 of 4,000 connections are revoked', { skip: skipReason() }, async (t) => {
  const names = ['alice', 'bob', 'server'];
  const mesh = createMesh(t, { pods: names.map((name) => ({ name, annotations })) });
  const server = mesh.pod('server');
  await serve(mesh, server, PORT);
  const agent = await startAgent({ mesh });
  const holdBy = (name: string, count: number, how: 'hold' | 'idle'): Promise<Driver> =>
    hold(mesh, mesh.pod(name), server.v4, PORT, count, how);
  const busy = await holdBy('bob', BUSY, 'hold');
  const times: Record<'look' | 'list' | 'obeyed', number[]> = { look: [], list: [], obeyed: [] };
  for (let round = 1; round <= ROUNDS; round++) {
    const silent = await holdBy('alice', SILENT, 'idle');
    times.list.push(await msOfListing(agent));
    const start = Date.now();
    agent.writeResource('mesh.yaml', meshResources(mesh, [NOT_ALICE]));
    await untilEnded(silent, SILENT);
    times.obeyed.push((await silent.counts()).lastEndMs - start);
    await eventually('the lines', () => revokedIn(agent) === round * SILENT);
    const looks = agent.log.filter(({ msg }) => msg === ENDED);
    assert.deepEqual(
      looks.map(({ connections }) => connections),
      Array.from({ length: round }, () => SILENT),
    );
    times.look.push(Number(looks.at(-1)!['ms']));
    await silent.stop();
    agent.writeResource('mesh.yaml', meshResources(mesh));
    await eventually('alice may again', async () => {
      const policies = (await agent.admin('/v1/policies')) as readonly unknown[];
      return policies.length === 0;
    });
  }

  const after = await busy.turns(BUSY);
  assert.deepEqual([after.open, after.ended, after.failed], [BUSY, 0, 0], after.text);
  t.diagnostic(
    Object.entries(times)
      .map(([what, all]) => `${what}: ${all.map((ms) => ms.toFixed(0)).join(' ')} ms`)
      .join(', '),
  );
  // the machine may be busy with something else, so the yardstick is what an answer about all of them takes
  assert.ok(Math.min(...times.look) < Math.min(...times.list), 'looking is slower than listing');
  assert.ok(Math.min(...times.obeyed) < 1000, `obeyed after ${times.obeyed.join(' ')} ms`);
});
