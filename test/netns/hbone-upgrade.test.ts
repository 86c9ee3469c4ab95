/**
 * Agents that are upgraded under load: three nodes one after the other, the new agent waiting for the old one; and without such
 * an overlap.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { launchNodeAgent, makeCa, startNodeAgents } from '../support/node-agents.ts';
import { createNodes } from '../support/nodes.ts';
import { skipReason } from '../support/node.ts';
import { startPuppet, type Puppet } from '../support/puppet.ts';
import { startTwoNodes, untilSpeaks } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
const LOAD_S = 25;

test('a rolling upgrade of three nodes', { skip }, async (t) => {
  const names = ['n1', 'n2', 'n3'];
  const nodes = createNodes(
    t,
    names.map((name) => ({ name, pods: [{ name: `client-${name}` }, { name: `server-${name}` }] })),
  );
  const options = { nodes, ca: makeCa(nodes[0]!.folder) };
  const agents = [...(await startNodeAgents(options))];
  const clients: Puppet[] = [];
  for (const [i, node] of nodes.entries()) {
    clients.push(await startPuppet(node, node.pod(`client-${names[i]}`)));
    const pod = node.pod(`server-${names[i]}`);
    await (await startPuppet(node, pod)).listen(pod.v4, PORT);
  }
  const servers = nodes.map((node, i) => node.pod(`server-${names[i]}`).v4);
  const live: { readonly from: Puppet; readonly id: number }[] = [];
  for (const from of clients) {
    for (const addr of servers) {
      await untilSpeaks(from, addr, PORT);
      live.push({ from, id: await from.open(addr, PORT) });
    }
  }
  const loads = clients.flatMap((from) =>
    servers.map((addr) => from.do('load', { addr, port: PORT, seconds: LOAD_S, pause: 0.02 })),
  );
  const talks = live.map(({ from, id }) => from.do('talk', { id, seconds: LOAD_S, pause: 0.1 }));
  const since = Date.now();
  for (const [i, node] of nodes.entries()) {
    const next = launchNodeAgent(options, node);
    await next.waitForLog('another agent is the writer of this node: waiting for its lock');
    const before = agents[i]!;
    agents[i] = next;
    const ended = before.kill('SIGTERM');
    await next.waitForLog('ready');
    await ended;
    t.diagnostic(`${names[i]}: done after ${Date.now() - since} ms`);
  }
  assert.ok(Date.now() - since < LOAD_S * 1000, 'the upgrade took longer than the load');
  const sum: Record<string, number> = {};
  let slowest = 0;
  for (const { counts, slowestMs } of await Promise.all(loads)) {
    slowest = Math.max(slowest, slowestMs!);
    for (const [key, count] of Object.entries(counts!)) sum[key] = (sum[key] ?? 0) + count;
  }
  const ends = (await Promise.all(talks)).map(({ end }) => end);
  t.diagnostic(`new connections: ${JSON.stringify(sum)}, slowest ${slowest} ms`);
  t.diagnostic(`live ones: ${ends.join(' ')}`);
  assert.deepEqual(Object.keys(sum), ['ok']);
  for (const [i, end] of ends.entries()) {
    const sameNode = Math.floor(i / 3) === i % 3;
    assert.equal(end, sameNode ? 'none' : 'reset', `${i}: ${end}`);
  }
});

test('agents that are stopped before the next is started', { skip }, async (t) => {
  const stage = await startTwoNodes(t);
  const client = stage.puppet('client');
  const to = stage.far.pod('server').v4;
  await stage.puppet('server').listen(to, PORT);
  await untilSpeaks(client, to, PORT);
  for (const [which, errors] of [
    [1, []],
    [0, ['ECONNREFUSED', 'ECONNRESET']],
  ] as const) {
    const load = client.do('load', { addr: to, port: PORT, seconds: 12, pause: 0.02, count: 2 });
    const since = Date.now();
    await stage.agents[which].kill('SIGTERM');
    const stopped = Date.now() - since;
    stage.agents[which] = await stage.start(which);
    const ready = Date.now() - since;
    const { counts, slowestMs } = await load;
    const where = which === 0 ? 'client' : 'server';
    t.diagnostic(
      `at the ${where}: stopped after ${stopped} ms, the next one ready after ${ready} ms, ` +
        `${JSON.stringify(counts)}, slowest ${slowestMs} ms`,
    );
    const failed = Object.keys(counts!).filter((key) => key !== 'ok');
    assert.deepEqual(
      failed.filter((key) => !(errors as readonly string[]).includes(key)),
      [],
    );
    await untilSpeaks(client, to, PORT);
  }
});
