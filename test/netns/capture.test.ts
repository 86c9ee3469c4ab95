/**
 * `podwire.io/capture: proxy`: connections through the agent keep their addresses, bytes, half-closes and backpressure, on
 * the client's side, on the server's and on both; without an agent they go straight; nobody else reaches its listeners.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test, { type TestContext } from 'node:test';
import type { ConnectionView } from '../../src/admin/view.ts';
import { type Agent, startAgent } from '../support/agent.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { idOf, type Puppet, startPuppet, until } from '../support/puppet.ts';
import { service } from '../support/resources.ts';

const skip = skipReason('python3');
const PORT = 8080;
const SWAP_PORT = 8081;
const HOLD_PORT = 8082;
const MEGABYTES_5 = 5_000_000;
const AGENT_PORTS = [15001, 15006, 15008];
const VIP = '198.18.0.1';

interface Stage {
  readonly mesh: Mesh;
  readonly client: Puppet;
  readonly server: Puppet;
  agent: Agent;
}

async function setTheStage(t: TestContext, captured: readonly string[]): Promise<Stage> {
  const annotations = { 'podwire.io/splice': 'always' };
  const mesh = createMesh(t, {
    pods: ['client', 'server'].map((name) => ({
      name,
      annotations: captured.includes(name)
        ? { ...annotations, 'podwire.io/capture': 'proxy' }
        : annotations,
    })),
  });
  const selector = { app: 'server' };
  const virtual = { name: 'vip', addresses: [VIP], port: 80, targetPort: PORT, selector };
  const agent = await startAgent({ mesh, resources: [service(virtual)] });
  const [client, server] = await Promise.all(
    ['client', 'server'].map((name) => startPuppet(mesh, mesh.pod(name))),
  );
  return { mesh, agent, client: client!, server: server! };
}

function seedDigest(seed: string, size: number): string {
  const bytes = createHash('shake128', { outputLength: size }).update(seed).digest();
  return createHash('sha256').update(bytes).digest('hex');
}

async function connections(agent: Agent): Promise<readonly ConnectionView[]> {
  return (await agent.admin('/v1/connections')) as readonly ConnectionView[];
}

const SIDES = [
  ['the client’s side', ['client']],
  ['the server’s side', ['server']],
  ['both sides', ['client', 'server']],
] as const;

for (const [side, captured] of SIDES) {
  test(`captured on ${side}`, { skip }, async (t) => {
    const stage = await setTheStage(t, captured);
    const { mesh, agent, client, server } = stage;
    const [from, to] = [mesh.pod('client'), mesh.pod('server')];
    const listeners = {
      four: await server.listen(to.v4, PORT),
      six: await server.listen(to.v6, PORT),
      mapped: await server.listen('::', PORT + 100),
    };
    await server.listen(to.v4, SWAP_PORT, { mode: 'swap', name: 'down', size: MEGABYTES_5 });
    await server.listen(to.v6, SWAP_PORT, { mode: 'swap', name: 'down', size: MEGABYTES_5 });
    const held = await server.listen(to.v4, HOLD_PORT, { mode: 'hold' });

    await t.test('both ends see each other’s addresses', async () => {
      for (const [listener, addr, port, family, host, own] of [
        [listeners.four, to.v4, PORT, undefined, from.v4, to.v4],
        [listeners.six, to.v6, PORT, undefined, `[${from.v6}]`, `[${to.v6}]`],
        [
          listeners.mapped,
          `::ffff:${to.v4}`,
          PORT + 100,
          6,
          `[::ffff:${from.v4}]`,
          `[::ffff:${to.v4}]`,
        ],
      ] as const) {
        const answer = await client.connect(addr, port, family ? { family } : {});
        const id = idOf(answer);
        assert.ok(await client.echoes(id));
        assert.equal(answer.peer, `${own}:${port}`, 'what the client sees as its peer');
        assert.ok(
          answer.own!.startsWith(`${host}:`),
          `what the client sees as itself: ${answer.own}`,
        );
        const seen = (await server.accepted(listener)).at(-1)!;
        assert.ok(seen.peer.startsWith(`${host}:`), `what the server sees: ${seen.peer}`);
        assert.equal(seen.own, `${own}:${port}`, 'what the server sees as itself');
        // the client's own agent speaks from the pod's address, but from a port of its own
        if (captured.every((name) => name !== 'client')) assert.equal(seen.peer, answer.own);
        await client.close(id);
      }
    });

    await t.test('through a Service: the client sees the virtual address', async () => {
      const answer = await client.connect(VIP, 80);
      assert.ok(await client.echoes(idOf(answer)));
      assert.equal(answer.peer, `${VIP}:80`);
      const shown = (await connections(agent)).find((one) => one.source.address === answer.own);
      assert.equal(shown?.destination.address, `${to.v4}:${PORT}`);
      await client.close(answer.id!);
    });

    await t.test('5 MB each way, with half-closes', async () => {
      for (const addr of [to.v4, to.v6]) {
        const id = await client.open(addr, SWAP_PORT);
        const answer = await client.do('swap', { id, seed: `up-${addr}`, size: MEGABYTES_5 });
        assert.equal(answer.error, undefined);
        assert.equal(answer.received, MEGABYTES_5);
        assert.equal(answer.digest, seedDigest('down', MEGABYTES_5));
      }
    });

    await t.test('what the client sends arrives whole, also when it ends first', async () => {
      const id = await client.open(to.v4, HOLD_PORT);
      const accepted = await until('accept', async () => (await server.accepted(held)).at(-1));
      const [up, down] = await Promise.all([
        client.do('swap', { id, seed: 'up', size: MEGABYTES_5 }),
        server.do('swap', { id: accepted.id, seed: 'back', size: 1000, pause: 0.001 }),
      ]);
      assert.deepEqual(down, { received: MEGABYTES_5, digest: seedDigest('up', MEGABYTES_5) });
      assert.equal(up.digest, seedDigest('back', 1000));
    });

    await t.test('a reader that does not read stops the writer', async () => {
      const before = await memory(agent);
      const id = await client.open(to.v4, HOLD_PORT);
      const { sent } = await client.do('fill', { id, seconds: 0.5 });
      assert.ok(sent! < 64 << 20, `${sent} bytes were taken`);
      const grown = (await memory(agent)) - before;
      assert.ok(grown < 64 << 20, `the agent grew by ${grown} bytes`);
      t.diagnostic(
        `${side}: ${Math.round(sent! / 1024)} KiB were taken, the agent grew by ${grown >> 20} MiB`,
      );
      await client.close(id, true);
    });

    await t.test('a reset comes out as a reset', async () => {
      const before = (await server.accepted(held)).length;
      const id = await client.open(to.v4, HOLD_PORT);
      const accepted = await until('accept', async () => (await server.accepted(held))[before]);
      await client.close(id, true);
      assert.equal((await server.do('end', { id: accepted.id })).end, 'reset');
    });

    await t.test('it is shown as proxied, both legs spliced', async () => {
      const before = await agent.counters();
      const id = await client.open(to.v4, PORT);
      for (let i = 0; i < 3; i++) assert.ok(await client.echoes(id));
      const after = await agent.counters();
      const grown = (key: string): number => (after[key] ?? NaN) - (before[key] ?? NaN);
      const list = await connections(agent);
      const { own } = await client.do('names', { id });
      const shown = list.filter(({ source }) => source.address === own);
      assert.deepEqual([...new Set(shown.map(({ path }) => path))], ['proxied']);
      const legs = captured.length + 1;
      assert.equal(grown('spliced'), legs, 'spliced legs');
      assert.ok(grown('redirect-bytes') > 0);
      assert.equal(grown('captured-out'), captured.some((name) => name === 'client') ? 1 : 0);
      assert.equal(grown('captured-in'), captured.some((name) => name === 'server') ? 1 : 0);
      await client.close(id);
    });

    await t.test(
      'the agent dies: proxied ones are reset, new ones go straight, the next agent captures',
      async () => {
        const seen = (await server.accepted(held)).length;
        const id = await client.open(to.v4, HOLD_PORT);
        const accepted = await until('accept', async () => (await server.accepted(held))[seen]);
        /* each has half of what the other says: its end must not look like the whole */
        const talk = [client.do('say', { id, text: 'half' })];
        talk.push(server.do('say', { id: accepted.id, text: 'half' }));
        for (const { text } of await Promise.all(talk)) assert.equal(text, 'half');
        const ending = [client.do('end', { id }), server.do('end', { id: accepted.id })];
        await agent.kill('SIGKILL');
        for (const { end, error } of await Promise.all(ending)) {
          assert.deepEqual([end, error], ['reset', 'ECONNRESET']);
        }
        const direct = await client.open(to.v4, PORT);
        assert.ok(await client.echoes(direct));
        stage.agent = await startAgent({ mesh });
        assert.ok(
          await client.echoes(direct),
          'the direct connection did not survive the next agent',
        );
        const again = await client.open(to.v4, PORT);
        assert.ok(await client.echoes(again));
        const paths = (await connections(stage.agent)).map(({ path }) => path);
        assert.ok(paths.includes('proxied') && paths.includes('spliced'), paths.join());
      },
    );
  });
}

async function memory(agent: Agent): Promise<number> {
  const text = await agent.metrics();
  return Number(/^process_resident_memory_bytes (.*)$/m.exec(text)?.[1]);
}

test('the agent’s ports are nobody else’s', { skip }, async (t) => {
  const { mesh, agent, client, server } = await setTheStage(t, ['client', 'server']);
  const denied = async (): Promise<number> => (await agent.counters())['denied.agent-port'] ?? NaN;

  await t.test(
    'dialling them is refused and counted: loopback, own address, another pod',
    async () => {
      const [own, other] = [mesh.pod('client'), mesh.pod('server')];
      const before = await denied();
      let tries = 0;
      for (const port of AGENT_PORTS) {
        for (const addr of [
          '127.0.0.1',
          '::1',
          '::ffff:127.0.0.1',
          own.v4,
          own.v6,
          other.v4,
          other.v6,
        ]) {
          const answer = await client.connect(
            addr,
            port,
            addr.startsWith('::ffff') ? { family: 6 } : {},
          );
          assert.equal(answer.error, 'ECONNREFUSED', `${addr}:${port}`);
          tries++;
        }
      }
      assert.equal((await denied()) - before, tries);
    },
  );

  await t.test('a process that binds 15001 itself gets nothing of ours', async () => {
    const thief = await client.listen('127.0.0.1', 15001, { mode: 'name', name: 'thief' });
    const thief6 = await client.listen('::1', 15001, { mode: 'name', name: 'thief' });
    const inbound = await server.listen('0.0.0.0', 15006, { mode: 'name', name: 'thief' });
    await server.listen(mesh.pod('server').v4, PORT);
    await server.listen(mesh.pod('server').v6, PORT);
    for (let i = 0; i < 10; i++) {
      for (const addr of [mesh.pod('server').v4, mesh.pod('server').v6]) {
        const id = await client.open(addr, PORT);
        assert.ok(await client.echoes(id));
        await client.close(id);
      }
    }
    assert.deepEqual(await client.accepted(thief), []);
    assert.deepEqual(await client.accepted(thief6), []);
    assert.deepEqual(await server.accepted(inbound), []);
  });
});

test('pods that are not captured by the proxy have no agent ports either', { skip }, async (t) => {
  const { mesh, agent, client } = await setTheStage(t, []);
  const before = (await agent.counters())['denied.agent-port'] ?? NaN;
  for (const addr of ['127.0.0.1', mesh.pod('client').v4, mesh.pod('server').v4]) {
    for (const port of AGENT_PORTS) {
      assert.equal((await client.connect(addr, port)).error, 'ECONNREFUSED', `${addr}:${port}`);
    }
  }
  assert.equal(((await agent.counters())['denied.agent-port'] ?? NaN) - before, 9);
});
