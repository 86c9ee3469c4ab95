/**
 * Connections that are older than the agent: never touched, and listed as what they are, with the addresses and pods of both
 * ends and nobody's identity.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ConnectionView } from '../../src/admin/view.ts';
import { type Agent, startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { idOf, startPuppet, until } from '../support/puppet.ts';
import { dial, serve } from '../support/survive.ts';

const PORT = 8080;
const CHURN_PORT = 7001;
const TEXT = 'are you there?';
const annotations = { 'podwire.io/splice': 'always' };

async function preMesh(agent: Agent): Promise<readonly ConnectionView[]> {
  const all = (await agent.admin('/v1/connections')) as readonly ConnectionView[];
  return all.filter(({ reason }) => reason === 'older-than-agent');
}

test('connections that are older than the agent', { skip: skipReason('python3') }, async (t) => {
  const mesh = createMesh(t, {
    pods: ['client', 'server'].map((name) => ({ name, annotations })),
  });
  const [from, to] = [mesh.pod('client'), mesh.pod('server')];
  const [client, server] = [await startPuppet(mesh, from), await startPuppet(mesh, to)];
  for (const addr of [to.v4, to.v6]) await server.listen(addr, PORT);
  await server.listen('::', PORT + 100);
  await client.listen('127.0.0.1', PORT);
  await serve(mesh, to, CHURN_PORT);
  const opened = new Map<number, { own: string; destination: string }>();
  const open = async (addr: string, port: number, destination: string, family?: 6) => {
    const answer = await client.connect(addr, port, family ? { family } : {});
    const own = answer.own!.replace(/\[::ffff:(.*)\]/, '$1');
    opened.set(idOf(answer), { own, destination });
    assert.ok(await client.echoes(idOf(answer)));
  };
  await open(to.v4, PORT, `${to.v4}:${PORT}`);
  await open(to.v6, PORT, `[${to.v6}]:${PORT}`);
  await open(`::ffff:${to.v4}`, PORT + 100, `${to.v4}:${PORT + 100}`, 6);
  await open('127.0.0.1', PORT, `127.0.0.1:${PORT}`);
  const [first] = opened.keys();
  let agent = await startAgent({ mesh });

  await t.test('each is one row, with both ends', async () => {
    const rows = await preMesh(agent);
    assert.equal(rows.length, opened.size, JSON.stringify(rows, null, 1));
    for (const { own, destination } of opened.values()) {
      const row = rows.find(({ source }) => source.address === own);
      assert.ok(row, `${own}: ${JSON.stringify(rows)}`);
      assert.equal(row.destination.address, destination);
      const local = destination.startsWith('127.');
      assert.deepEqual(
        [row.source.workload, row.destination.workload],
        ['client', local ? 'client' : 'server'],
      );
      assert.deepEqual(
        [row.path, row.source.identity, row.destination.identity],
        ['plain', '', ''],
      );
      assert.deepEqual([row.bytesSent, row.bytesReceived], [TEXT.length, TEXT.length]);
      assert.ok(row.rttUs! > 0 && row.ageMs >= 0);
    }
  });

  await t.test('a new one is not among them, and they go on', async () => {
    const young = await client.open(to.v4, PORT);
    for (const id of [young, ...opened.keys()]) assert.ok(await client.echoes(id));
    assert.equal((await preMesh(agent)).length, opened.size);
    await client.close(young);
  });

  await t.test('short connections never show up as such', async () => {
    const dialler = await dial(mesh, from, to.v4, CHURN_PORT);
    for (let i = 0; i < 100; i++) assert.equal((await preMesh(agent)).length, opened.size);
    const { exchanges } = await dialler.counts();
    await dialler.stop();
    assert.ok(exchanges > 100, `${exchanges} connections`);
  });

  await t.test('a closed one is gone', async () => {
    await client.close(first!);
    opened.delete(first!);
    await until('three rows', async () => (await preMesh(agent)).length === opened.size);
  });

  await t.test('those that an agent met are not older than the next one', async () => {
    const id = await client.open(to.v4, PORT);
    await agent.kill('SIGKILL');
    agent = await startAgent({ mesh });
    assert.equal((await preMesh(agent)).length, opened.size);
    for (const each of [id, ...opened.keys()]) assert.ok(await client.echoes(each));
  });

  await t.test('from outside the mesh: one end is known, and which it is', async () => {
    await agent.kill('SIGTERM');
    agent = await startAgent({ mesh, pods: [to] });
    const rows = await preMesh(agent);
    for (const { own, destination } of opened.values()) {
      const row = rows.find(({ source }) => source.address === own);
      if (destination.startsWith('127.')) {
        assert.equal(row, undefined, 'in a pod that is not enrolled');
        continue;
      }
      assert.equal(row?.destination.address, destination);
      assert.deepEqual([row.source.workload, row.destination.workload], ['', 'server']);
      assert.deepEqual(
        [row.bytesSent, row.bytesReceived].map((n) => n % TEXT.length),
        [0, 0],
      );
    }
  });
});
