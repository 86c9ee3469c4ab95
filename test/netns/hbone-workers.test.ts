/** HBONE with several workers at both ends: each has its own carriers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { skipReason } from '../support/node.ts';
import { metricOf, startTwoNodes, untilSpeaks } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
const MANY = 120;

test('three workers', { skip }, async (t) => {
  const stage = await startTwoNodes(t, { args: ['--workers', '3'] });
  const client = stage.puppet('client');
  const to = stage.far.pod('server');
  for (const addr of [to.v4, to.v6]) await stage.puppet('server').listen(addr, PORT);
  await untilSpeaks(client, to.v4, PORT);

  await t.test('connections are spread over them', async () => {
    const { counts, ids } = await client.do('open_many', { addr: to.v4, port: PORT, count: MANY });
    assert.deepEqual(counts, { ok: MANY });
    const carriers = await metricOf(stage.agents[0], 'podwire_hbone_connections');
    assert.ok(carriers >= 3, `${carriers} carriers`);
    const inbound = 'podwire_hbone_tunnels{direction="inbound"}';
    assert.equal(await metricOf(stage.agents[1], inbound), MANY);
    for (const id of ids!) await client.close(id);
  });

  await t.test('bulk both ways at once, both families', async () => {
    for (const addr of [to.v4, to.v6]) {
      const all = { addr, port: PORT, count: 12, size: 1 << 20 };
      assert.deepEqual((await client.do('echo_many', all)).counts, { ok: 12 });
    }
  });

  await t.test('handing over', async () => {
    const load = client.do('load', { addr: to.v4, port: PORT, seconds: 6, count: 3, pause: 0.01 });
    const next = stage.start(1);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await stage.agents[1].kill('SIGTERM');
    stage.agents[1] = await next;
    assert.deepEqual(Object.keys((await load).counts!), ['ok']);
  });
});
