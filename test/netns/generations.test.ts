/**
 * An upgrade across a changed layout of records and connections, and back, with 1,000 live spliced connections: they keep
 * the programs and maps they were born with, and every agent after serves them to their end.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import {
  type Agent,
  type Resource,
  meshResources,
  placesOf,
  launchAgent,
  startAgent,
} from '../support/agent.ts';
import { type Mesh, createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { fromAccounts, policy, toPorts } from '../support/resources.ts';
import { buildOtherLayout } from '../support/other-build.ts';
import {
  type Driver,
  type Listed,
  assertAlive,
  dial,
  eventually,
  hold,
  kernelOf,
  listed,
  serve,
  untilEnded,
} from '../support/survive.ts';

const KEPT = 7001;
const REVOKED = 7002;
const HALF = 500;
const YOUNG = 20;
const annotations = { 'podwire.io/splice': 'always', 'ambient.istio.io/redirection': 'enabled' };

/** Of the pod `server`, to the client. */
function allowPorts(...ports: readonly number[]): Resource {
  const rules = [{ ...fromAccounts('client'), ...toPorts(...ports) }];
  return policy({ name: 'ports', app: 'server', action: 'ALLOW', rules });
}

function toldOf(agent: Agent, port: number): number {
  return agent.log.filter(
    (line) =>
      line['msg'] === 'connection complete' && String(line['dst.addr']).endsWith(`:${port}`),
  ).length;
}

async function closedTotal(agent: Agent): Promise<number> {
  const lines = (await agent.metrics()).split('\n');
  return lines
    .filter((line) => line.startsWith('istio_tcp_connections_closed_total{'))
    .filter((line) => line.includes('reporter="destination"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

function generationFolders(mesh: Mesh): string[] {
  const root = join(placesOf(mesh).bpffs, 'podwire');
  return existsSync(root) ? readdirSync(root).filter((name) => name.startsWith('gen-')) : [];
}

test('an upgrade across layouts with 1,000 live connections', { skip: skipReason() }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      { name: 'client', annotations },
      { name: 'server', annotations },
    ],
  });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  const other = buildOtherLayout(join(mesh.folder, 'other'));
  await serve(mesh, server, KEPT, REVOKED);
  const allowed = allowPorts(KEPT, REVOKED);
  let agent = await startAgent({ mesh, resources: [allowed] });
  const kept = await hold(mesh, client, server.v4, KEPT, HALF);
  const revoked = await hold(mesh, client, server.v4, REVOKED, HALF);
  const dialler = await dial(mesh, client, server.v4, KEPT);
  await Promise.all([assertAlive(kept, HALF), assertAlive(revoked, HALF)]);
  const before = await agent.counters();
  assert.ok(before['spliced']! >= 2 * HALF, JSON.stringify(before));
  const restart = async (signal: NodeJS.Signals, ...program: string[]): Promise<void> => {
    await agent.kill(signal);
    const options = { mesh, resources: [allowed] };
    agent = await startAgent(program[0] ? { ...options, program: program[0] } : options);
  };
  let young: Driver | undefined;

  await t.test('the new layout starts a generation; old connections go on', async () => {
    await restart('SIGKILL', other);
    const kernel = await kernelOf(agent);
    assert.deepEqual([kernel.generation, kernel.adopted, [...kernel.older]], [2, false, [1]]);
    await Promise.all([assertAlive(kept, HALF), assertAlive(revoked, HALF)]);
  });

  await t.test('they are listed, and their bytes still redirected', async () => {
    const first = await listed(agent, REVOKED);
    assert.equal(first.length, HALF);
    assert.ok(first.every(({ path }) => path === 'spliced'));
    assert.ok(first.every(({ source }) => source.identity.endsWith('/sa/client')));
    await assertAlive(revoked, HALF);
    const bytes = (rows: readonly Listed[]): number =>
      rows.reduce((sum, { bytesSpliced }) => sum + bytesSpliced, 0);
    assert.ok(bytes(await listed(agent, REVOKED)) - bytes(first) >= HALF * 700);
  });

  await t.test('new connections are spliced in the new generation', async () => {
    const counted = await agent.counters();
    assert.ok(counted['spliced']! >= before['spliced']!, 'counters fell');
    young = await hold(mesh, client, server.v4, KEPT, YOUNG);
    await assertAlive(young, YOUNG);
    assert.ok((await agent.counters())['spliced']! >= counted['spliced']! + YOUNG);
  });

  await t.test('a policy change ends those it denies, and only those', async () => {
    agent.writeResource('mesh.yaml', meshResources(mesh, [allowPorts(KEPT)]));
    const ms = await untilEnded(revoked, HALF);
    t.diagnostic(`${HALF} connections of the older generation revoked in ${Math.round(ms)} ms`);
    assert.ok(ms < 2000, `${ms} ms`);
    await assertAlive(kept, HALF);
    await assertAlive(young!, YOUNG);
  });

  await t.test('their end is in the access log and the metrics', async () => {
    await eventually('access log', () => toldOf(agent, REVOKED) >= HALF);
    assert.equal(toldOf(agent, REVOKED), HALF);
    assert.ok((await closedTotal(agent)) >= HALF);
  });

  await t.test('and back, handed over: both older generations are served', async (subtest) => {
    await revoked.stop();
    const next = launchAgent({ mesh, resources: [allowPorts(KEPT)] });
    await next.waitForLog('another agent is the writer of this node: waiting for its lock');
    const since = Date.now();
    await agent.kill('SIGTERM');
    subtest.diagnostic(`the old one was gone after ${Date.now() - since} ms`);
    agent = next;
    await agent.waitForLog('ready');
    const kernel = await kernelOf(agent);
    assert.deepEqual([kernel.generation, kernel.adopted, [...kernel.older]], [3, false, [2, 1]]);
    await assertAlive(kept, HALF);
    await assertAlive(young!, YOUNG);
    assert.ok((await listed(agent, KEPT)).length >= HALF + YOUNG);
  });

  await t.test(
    'with their last connection they are gone, and what they counted is not',
    async () => {
      const counted = await agent.counters();
      await Promise.all([kept, young!].map((driver) => driver.stop()));
      await eventually('older is empty', async () => (await kernelOf(agent)).older.length === 0);
      assert.equal(generationFolders(mesh).length, 1);
      await eventually('access log', () => toldOf(agent, KEPT) >= HALF + YOUNG);
      const after = await agent.counters();
      for (const key of ['spliced', 'redirect-bytes', 'connects']) {
        assert.ok(after[key]! >= counted[key]!, `${key}: ${counted[key]} → ${after[key]}`);
      }
    },
  );

  const { failed, ended, exchanges, text } = await dialler.counts();
  assert.deepEqual([failed, ended], [0, 0], text);
  assert.ok(exchanges > 500, text);
  t.diagnostic(`connect loop over both upgrades: ${text.trim()}`);
});
