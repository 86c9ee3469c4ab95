/** A node that is cut off sends neither FIN nor RST: PINGs find out, at both ends. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { command, skipReason } from '../support/node.ts';
import { until } from '../support/puppet.ts';
import { startTwoNodes } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
/** a PING every 10 s, 20 s for its answer */
const VANISHED_MS = 45_000;

test('a node that vanishes', { skip }, async (t) => {
  const stage = await startTwoNodes(t);
  const [client, server] = [stage.puppet('client'), stage.puppet('server')];
  const to = stage.far.pod('server');
  const listener = await server.listen(to.v4, PORT, { mode: 'hold' });
  const live = await client.open(to.v4, PORT);
  const there = await until('accept', async () => (await server.accepted(listener))[0]);
  const node = stage.far.node.netns;
  command('ip', ['-n', node, 'link', 'set', 'wire0', 'down']);
  const since = Date.now();
  const ends = await Promise.all([
    client.do('end', { id: live, timeout: VANISHED_MS / 1000 }),
    server.do('end', { id: there.id, timeout: VANISHED_MS / 1000 }),
  ]);
  t.diagnostic(`both ends reset within ${Date.now() - since} ms`);
  assert.deepEqual(
    ends.map(({ end }) => end),
    ['reset', 'reset'],
  );
});
