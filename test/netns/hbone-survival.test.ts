/**
 * What becomes of tunnels when an agent is killed, leaves in order or hands over to its successor: live connections end with a
 * reset or go on, never hang, and nothing ever goes past the mesh.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { skipReason } from '../support/node.ts';
import { launchNodeAgent } from '../support/node-agents.ts';
import { refusal, startTwoNodes, untilSpeaks } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
/** how long a peer's agent is waited for */
const PATIENCE_MS = 10_000;

test('an agent that is killed', { skip }, async (t) => {
  const stage = await startTwoNodes(t);
  const [client, server] = [stage.puppet('client'), stage.puppet('server')];
  const to = stage.far.pod('server');
  await server.listen(to.v4, PORT);
  await untilSpeaks(client, to.v4, PORT);

  await t.test(
    'at the client: live ones are reset, new ones refused until it is back',
    async () => {
      const live = await client.open(to.v4, PORT);
      assert.ok(await client.echoes(live));
      await stage.agents[0].kill('SIGKILL');
      assert.equal((await client.do('end', { id: live })).end, 'reset');
      for (let i = 0; i < 5; i++) {
        const answer = await client.connect(to.v4, PORT);
        assert.equal(answer.error, 'ECONNREFUSED');
      }
      stage.agents[0] = await stage.start(0);
      await untilSpeaks(client, to.v4, PORT);
    },
  );

  await t.test(
    'at the server: live ones are reset, new ones wait for it, then are refused',
    async () => {
      const live = await client.open(to.v4, PORT);
      assert.ok(await client.echoes(live));
      await stage.agents[1].kill('SIGKILL');
      assert.equal((await client.do('end', { id: live })).end, 'reset');
      const start = Date.now();
      assert.equal(await refusal(client, to.v4, PORT, 20), 'reset');
      const took = Date.now() - start;
      assert.ok(took < PATIENCE_MS + 2000, `${took} ms`);
      const waiting = client.connect(to.v4, PORT);
      stage.agents[1] = await stage.start(1);
      const { id } = await waiting;
      await untilSpeaks(client, to.v4, PORT);
      t.diagnostic(`one that waited: ${(await client.do('say', { id: id!, text: 'hello' })).text}`);
    },
  );
});

test('an agent that leaves in order', { skip }, async (t) => {
  const stage = await startTwoNodes(t);
  const [client, server] = [stage.puppet('client'), stage.puppet('server')];
  const to = stage.far.pod('server');
  await server.listen(to.v4, PORT);
  await untilSpeaks(client, to.v4, PORT);

  for (const which of [1, 0] as const) {
    const where = which === 0 ? 'client' : 'server';
    await t.test(
      `at the ${where}, with a successor that waits: no new connection fails`,
      async () => {
        const live = await client.open(to.v4, PORT);
        const load = client.do('load', {
          addr: to.v4,
          port: PORT,
          seconds: 8,
          count: 2,
          pause: 0.005,
        });
        const talk = client.do('talk', { id: live, seconds: 20 });
        await new Promise((resolve) => setTimeout(resolve, 300));
        const next = launchNodeAgent(stage.options[which], stage.nodes[which]!);
        await next.waitForLog('another agent is the writer of this node: waiting for its lock');
        const before = stage.agents[which];
        stage.agents[which] = next;
        await before.kill('SIGTERM');
        await next.waitForLog('ready');
        const { counts, slowestMs } = await load;
        t.diagnostic(`${where}: ${JSON.stringify(counts)}, slowest ${slowestMs} ms`);
        assert.deepEqual(Object.keys(counts!), ['ok']);
        const told = await talk;
        t.diagnostic(`the live one: ${told.sent} words, then ${told.end}`);
        assert.notEqual(told.end, 'none', 'it ends with its agent');
      },
    );
  }
});
