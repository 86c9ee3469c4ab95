/**
 * The agent dies; the mesh does not. Spliced connections go on while it is killed, new ones work while it is dead, and
 * the next agent adopts what it finds.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, startAgent } from '../support/agent.ts';
import { type Mesh, createMesh } from '../support/netns.ts';
import { NGINX_PORT, startNginx } from '../support/nginx.ts';
import { cProgram, skipReason } from '../support/node.ts';
import {
  buildGo,
  drive,
  parseCounts,
  redirectedDuring,
  torture,
  tortureArguments,
} from '../support/programs.ts';

const DEAD_MS = Number(process.env['PODWIRE_TEST_DEAD_MS'] ?? 10_000);
const annotations = { 'podwire.io/splice': 'always' };

function churnArguments(mesh: Mesh, connections: number): string[] {
  // long and slow: 50 connections at a time of up to 8 MB each way live through the kill
  return [...tortureArguments(mesh), ...[connections, 50, 8_000_000, 2000].map(String)];
}

async function assertCleanChurn(
  work: Promise<{ code: number | null; stdout: string }>,
): Promise<void> {
  const result = await work;
  assert.equal(result.code, 0, result.stdout);
  const counts = parseCounts(result.stdout);
  assert.ok((counts['spliced'] ?? 0) > (counts['connections'] ?? NaN) * 0.9, result.stdout);
}

test('SIGKILL of the agent under load', { skip: skipReason() }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      { name: 'client', annotations },
      { name: 'server', annotations },
    ],
  });
  let agent: Agent = await startAgent({ mesh });

  await t.test('live and new connections go on without it', async () => {
    const churn = mesh.run(cProgram('torture-churn'), churnArguments(mesh, 300));
    await sleep(500);
    await agent.kill('SIGKILL');
    await assertCleanChurn(churn);
    await torture(mesh, { program: 'torture', expect: 'spliced' });
  });

  await t.test('the next agent takes over under load, three times', async () => {
    for (let round = 0; round < 3; round++) {
      const churn = mesh.run(cProgram('torture-churn'), churnArguments(mesh, 300));
      await sleep(300);
      agent = await startAgent({ mesh });
      await sleep(300);
      await agent.kill('SIGKILL');
      await assertCleanChurn(churn);
    }
    agent = await startAgent({ mesh });
    const redirected = await redirectedDuring(agent, () =>
      torture(mesh, { program: 'torture', expect: 'spliced' }),
    );
    assert.ok(redirected.spliced > 0 && redirected.bytes > 0, JSON.stringify(redirected));
  });
});

test(`${DEAD_MS / 1000} s without an agent`, { skip: skipReason('nginx', 'go') }, async (t) => {
  const mesh = createMesh(t, {
    pods: ['client', 'server', 'nginx', 'backend'].map((name) => ({ name, annotations })),
  });
  const agent = await startAgent({ mesh });
  const [client, nginx, backend] = [mesh.pod('client'), mesh.pod('nginx'), mesh.pod('backend')];
  const httpEcho = buildGo(mesh, 'http-echo');
  const origin = mesh.spawn(httpEcho, ['serve', `${backend.v4}:9000`], { pod: backend });
  await origin.waitFor('listening');
  await startNginx(mesh, nginx, `${backend.v4}:9000`);
  const post = (requests: number): Promise<unknown> =>
    drive(
      mesh,
      httpEcho,
      ['drive', `http://${nginx.v4}:${NGINX_PORT}/echo`, String(requests), '8', '1000000'],
      {
        pod: client,
        expectOk: requests,
      },
    );
  const redirected = await redirectedDuring(agent, () => post(50));
  assert.ok(redirected.bytes > 0, 'the POSTs were not spliced');

  const stalled = torture(mesh, {
    program: 'torture-ready',
    expect: 'spliced',
    tests: ['long_stall'],
  });
  await agent.kill('SIGKILL');
  const end = Date.now() + DEAD_MS;
  while (Date.now() < end) await post(50);
  await stalled;

  const next = await startAgent({ mesh });
  const again = await redirectedDuring(next, () => post(50));
  assert.ok(again.bytes > 0, 'the next agent redirects nothing');
});
