/**
 * Bytes over HBONE between two nodes, over both transports: many connections, bulk both ways, slow readers, half-closes, resets
 * and servers that speak first.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { skipReason } from '../support/node.ts';
import { idOf, until } from '../support/puppet.ts';
import {
  connectionsOf,
  metricOf,
  refusal,
  residentKib,
  startTwoNodes,
  TRANSPORTS,
} from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const [ECHO, NAME, HOLD, SWAP, CLOSER] = [8080, 8081, 8082, 8083, 8084];
const MANY = 500;
const MIB = 1 << 20;
const NOBODY_LISTENS = 9;
/** a stream's window at both ends and the sockets' buffers beside, with room for a busy heap */
const SLOW_READER_KIB = 64 * 1024;

for (const transport of TRANSPORTS) {
  test(`bytes over HBONE: ${transport}`, { skip }, async (t) => {
    const stage = await startTwoNodes(t, { args: ['--transport', transport] });
    const [client, server] = [stage.puppet('client'), stage.puppet('server')];
    const to = stage.far.pod('server');
    const from = stage.near.pod('client');
    for (const addr of [to.v4, to.v6]) {
      await server.listen(addr, ECHO);
      await server.listen(addr, NAME, { mode: 'name', name: 'hello' });
    }
    const held = await server.listen(to.v4, HOLD, { mode: 'hold' });
    const closer = await server.listen(to.v4, CLOSER, { mode: 'hold' });
    await server.listen(to.v4, SWAP, { mode: 'swap', name: 'down', size: 3 * MIB });
    /** Dials, and both ends of what was accepted for it. */
    const pair = async (listener: number, port: number): Promise<[number, number]> => {
      const before = (await server.accepted(listener)).length;
      const id = await client.open(to.v4, port);
      const there = await until('accept', async () => (await server.accepted(listener))[before]);
      return [id, there.id];
    };

    await t.test('the first connection of all is served', async () => {
      const id = await client.open(to.v4, ECHO);
      assert.ok(await client.echoes(id));
      await client.close(id);
    });

    await t.test('IPv4, IPv6 and a mapped address in an IPv6 socket', async () => {
      for (const [addr, family, peer, own] of [
        [to.v4, undefined, to.v4, from.v4],
        [to.v6, undefined, `[${to.v6}]`, `[${from.v6}]`],
        [`::ffff:${to.v4}`, 6, `[::ffff:${to.v4}]`, `[::ffff:${from.v4}]`],
      ] as const) {
        const answer = await client.connect(addr, ECHO, { ...(family && { family }) });
        const id = idOf(answer);
        assert.ok(await client.echoes(id), addr);
        assert.equal(answer.peer, `${peer}:${ECHO}`);
        assert.ok(answer.own!.startsWith(`${own}:`), `${answer.own} for ${addr}`);
        await client.close(id);
      }
    });

    await t.test('a server that speaks first', async () => {
      for (const addr of [to.v4, to.v6]) {
        const id = await client.open(addr, NAME);
        assert.equal((await client.do('read', { id, size: 6 })).received, 6);
        await client.close(id);
      }
    });

    await t.test(`${MANY} connections at once; more than 100 need a second carrier`, async () => {
      const { counts, ids, slowestMs } = await client.do('open_many', {
        ...{ addr: to.v4, port: ECHO, count: MANY },
      });
      assert.deepEqual(counts, { ok: MANY });
      const carriers = await metricOf(stage.agents[0], 'podwire_hbone_connections');
      const tunnels = await metricOf(
        stage.agents[0],
        'podwire_hbone_tunnels{direction="outbound"}',
      );
      t.diagnostic(`slowest ${slowestMs!.toFixed(0)} ms; ${carriers} carriers`);
      assert.equal(tunnels, MANY);
      assert.ok(carriers >= 5 && carriers <= 12, `${carriers} carriers`);
      for (const agent of stage.agents) {
        const shown = (await connectionsOf(agent)).filter(({ path }) => path === 'hbone');
        assert.equal(shown.length, MANY);
      }
      for (const id of ids!) await client.close(id);
      await until('none left', async () => {
        const left = [
          await metricOf(stage.agents[0], 'podwire_hbone_tunnels{direction="outbound"}'),
          await metricOf(stage.agents[1], 'podwire_hbone_tunnels{direction="inbound"}'),
        ];
        return left.every((count) => count === 0);
      });
    });

    await t.test('20 connections × 2 MiB there and back at once', async () => {
      for (const addr of [to.v4, to.v6]) {
        const { counts, slowestMs } = await client.do('echo_many', {
          ...{ addr, port: ECHO, count: 20, size: 2 * MIB },
        });
        t.diagnostic(`slowest ${slowestMs!.toFixed(0)} ms`);
        assert.deepEqual(counts, { ok: 20 });
      }
    });

    await t.test('half-close: the client’s end first, and bytes still come', async () => {
      const id = await client.open(to.v4, SWAP);
      const { received, error } = await client.do('swap', { id, seed: 'up', size: 100 });
      assert.deepEqual([received, error], [3 * MIB, undefined]);
    });

    await t.test('half-close: the server’s end first, and bytes still go', async () => {
      const [id, there] = await pair(held, HOLD);
      await server.do('shutdown', { id: there });
      assert.equal((await client.do('end', { id })).end, 'eof');
      assert.equal(
        (await client.do('say', { id, text: 'last words', answer: false })).error,
        undefined,
      );
      assert.equal((await server.do('read', { id: there, size: 10 })).received, 10);
      await client.close(id);
      assert.equal((await server.do('end', { id: there })).end, 'eof');
      await server.close(there);
    });

    await t.test('a reset by the client, a reset by the server', async () => {
      const [id, there] = await pair(held, HOLD);
      await client.close(id, true);
      assert.equal((await server.do('end', { id: there })).end, 'reset');
      const [second, other] = await pair(closer, CLOSER);
      await server.close(other, true);
      assert.equal((await client.do('end', { id: second })).end, 'reset');
    });

    await t.test('a client that closes at once; a server that does', async () => {
      const before = (await server.accepted(held)).length;
      for (let i = 0; i < 20; i++) await client.close(await client.open(to.v4, HOLD));
      const all = await until('20 accepted', async () => {
        const list = await server.accepted(held);
        return list.length >= before + 20 ? list.slice(before) : undefined;
      });
      for (const { id } of all) assert.equal((await server.do('end', { id })).end, 'eof');
      const [id, there] = await pair(closer, CLOSER);
      await server.close(there);
      assert.equal((await client.do('end', { id })).end, 'eof');
    });

    await t.test('where nobody listens the end is a reset, at once', async () => {
      const start = Date.now();
      assert.equal(await refusal(client, to.v4, NOBODY_LISTENS), 'reset');
      assert.ok(Date.now() - start < 1000);
    });

    await t.test('readers that stand still cost a bounded amount of memory', async () => {
      const before = await Promise.all(stage.agents.map(residentKib));
      const opened = await client.do('open_many', { addr: to.v4, port: ECHO, count: 1 });
      const ids: number[] = [];
      let sent = 0;
      for (let i = 0; i < 8; i++) {
        const id = await client.open(to.v4, HOLD);
        ids.push(id);
        sent += (await client.do('fill', { id, seconds: 0.3 })).sent!;
      }
      const grown = (await Promise.all(stage.agents.map(residentKib))).map(
        (kib, i) => kib - before[i]!,
      );
      t.diagnostic(`${sent >> 20} MiB taken of 8 writers; agents grew by ${grown.join(', ')} KiB`);
      for (const kib of grown) assert.ok(kib < SLOW_READER_KIB, `${kib} KiB`);
      assert.ok(await client.echoes(opened.ids![0]!), 'others on the same carrier go on');
      for (const id of [...ids, ...opened.ids!]) await client.close(id, true);
    });
  });
}
