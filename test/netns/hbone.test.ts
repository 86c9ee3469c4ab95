/**
 * Two nodes with an agent each: connections between them go over HBONE, both ends see each other's addresses, policy knows who
 * is at the other end, and what cannot be proven is refused.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import type { ConnectionView } from '../../src/admin/view.ts';
import type { Agent } from '../support/agent.ts';
import { makeCa, nodeResources, startNodeAgents } from '../support/node-agents.ts';
import { createNodes } from '../support/nodes.ts';
import { skipReason } from '../support/node.ts';
import { idOf, startPuppet, until } from '../support/puppet.ts';
import { service } from '../support/resources.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
const SWAP_PORT = 8081;
const HOLD_PORT = 8082;
const MEGABYTES_5 = 5_000_000;
const VIP = '198.18.0.1';
const ID = 'spiffe://cluster.local/ns/default/sa';

async function connections(agent: Agent): Promise<readonly ConnectionView[]> {
  return (await agent.admin('/v1/connections')) as readonly ConnectionView[];
}

function seedDigest(seed: string, size: number): string {
  const bytes = createHash('shake128', { outputLength: size }).update(seed).digest();
  return createHash('sha256').update(bytes).digest('hex');
}

test('two nodes', { skip }, async (t) => {
  const nodes = createNodes(t, [
    { name: 'n1', pods: [{ name: 'client' }, { name: 'other' }] },
    { name: 'n2', pods: [{ name: 'server' }] },
  ]);
  const [near, far] = [nodes[0]!, nodes[1]!];
  const ca = makeCa(near.folder);
  const resources = [
    service({
      ...{ name: 'vip', addresses: [VIP], port: 80, targetPort: PORT },
      selector: { app: 'server' },
    }),
  ];
  const [source, destination] = (await startNodeAgents({ nodes, ca, resources })) as [Agent, Agent];
  const [from, to] = [near.pod('client'), far.pod('server')];
  const client = await startPuppet(near, from);
  const other = await startPuppet(near, near.pod('other'));
  const server = await startPuppet(far, to);
  const four = await server.listen(to.v4, PORT);
  const six = await server.listen(to.v6, PORT);
  await server.listen(to.v4, SWAP_PORT, { mode: 'swap', name: 'down', size: MEGABYTES_5 });
  await server.listen(to.v6, SWAP_PORT, { mode: 'swap', name: 'down', size: MEGABYTES_5 });
  const held = await server.listen(to.v4, HOLD_PORT, { mode: 'hold' });
  t.after(() => {
    if (process.env['PODWIRE_TEST_LOGS']) console.error(source.stderr, destination.stderr);
  });

  for (const [name, address, host, own, listener] of [
    ['IPv4', to.v4, from.v4, to.v4, four],
    ['IPv6', to.v6, `[${from.v6}]`, `[${to.v6}]`, six],
  ] as const) {
    await t.test(`${name}: both ends see each other’s addresses`, async () => {
      const answer = await client.connect(address, PORT);
      const id = idOf(answer);
      assert.ok(await client.echoes(id));
      assert.equal(answer.peer, `${own}:${PORT}`);
      assert.ok(answer.own!.startsWith(`${host}:`), answer.own);
      const seen = (await server.accepted(listener)).at(-1)!;
      assert.ok(seen.peer.startsWith(`${host}:`), `what the server sees: ${seen.peer}`);
      assert.ok(seen.from.startsWith(`${host}:`), `what accept said: ${seen.from}`);
      assert.equal(seen.own, `${own}:${PORT}`);
      await client.close(id);
    });
  }

  await t.test('nothing but HBONE is on the wire', async () => {
    const before = [await source.counters(), await destination.counters()] as const;
    const id = await client.open(to.v4, PORT);
    assert.ok(await client.echoes(id));
    const after = [await source.counters(), await destination.counters()] as const;
    assert.equal(after[0]['tunnelled-out']! - before[0]['tunnelled-out']!, 1);
    assert.ok(after[1]['tunnelled-in']! >= 1);
    await client.close(id);
  });

  await t.test('through a Service: the client sees the virtual address', async () => {
    const answer = await client.connect(VIP, 80);
    assert.ok(await client.echoes(idOf(answer)));
    assert.equal(answer.peer, `${VIP}:80`);
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

  await t.test('a reset comes out as a reset', async () => {
    const before = (await server.accepted(held)).length;
    const id = await client.open(to.v4, HOLD_PORT);
    const accepted = await until('accept', async () => (await server.accepted(held))[before]);
    await client.close(id, true);
    assert.equal((await server.do('end', { id: accepted.id })).end, 'reset');
  });

  await t.test('a port where nobody listens', async () => {
    const answer = await client.connect(to.v4, 9);
    const end = answer.error ?? (await client.do('end', { id: answer.id! })).end;
    assert.ok(end === 'reset' || end === 'ECONNREFUSED' || end === 'ECONNRESET', end);
    const line = await until('a line', () => source.log.find(({ msg }) => msg === 'no tunnel'));
    assert.deepEqual(
      [line['direction'], line['peer'], line['reason']],
      ['outbound', `${to.v4}:9`, 'status-503'],
    );
  });

  await t.test('both agents list it, with both identities', async () => {
    const answer = await client.connect(to.v4, PORT);
    const id = idOf(answer);
    assert.ok(await client.echoes(id));
    for (const agent of [source, destination]) {
      const shown = (await connections(agent)).filter(
        ({ destination: { address } }) => address === `${to.v4}:${PORT}`,
      );
      assert.equal(shown.length, 1, JSON.stringify(shown));
      const [one] = shown;
      assert.equal(one!.path, 'hbone');
      assert.equal(one!.source.identity, `${ID}/client`);
      assert.equal(one!.source.workload, 'client');
      assert.equal(one!.destination.workload, 'server');
      assert.ok(one!.source.address.startsWith(`${from.v4}:`), one!.source.address);
    }
    await client.close(id);
    const line = await until('access log', () =>
      destination.log.find(
        (entry) => entry['msg'] === 'connection complete' && entry['dst.workload'] === 'server',
      ),
    );
    assert.equal(line['path'], 'hbone');
    assert.equal(line['src.identity'], `${ID}/client`);
    assert.equal(line['src.workload'], 'client');
  });

  await t.test('policy knows the certificate’s identity, live connections obey', async () => {
    const mine = await client.open(to.v4, PORT);
    const others = await other.open(to.v4, PORT);
    assert.ok((await client.echoes(mine)) && (await other.echoes(others)));
    const policy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'only-client', namespace: 'default' },
      spec: {
        selector: { matchLabels: { app: 'server' } },
        action: 'ALLOW',
        rules: [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/client'] } }] }],
      },
    };
    const since = Date.now();
    destination.writeResource('mesh.yaml', nodeResources(nodes, far, [...resources, policy]));
    const { end } = await other.do('end', { id: others });
    t.diagnostic(`ended ${Date.now() - since} ms after the save`);
    assert.equal(end, 'reset');
    assert.ok(await client.echoes(mine));
    const denied = await other.connect(to.v4, PORT);
    const gone = denied.error ?? (await other.do('end', { id: denied.id! })).end;
    assert.ok(gone === 'reset' || gone === 'ECONNRESET', gone);
    assert.ok(await client.echoes(await client.open(to.v4, PORT)));
    const line = await until('access log', () =>
      destination.log.find(
        (entry) => entry['msg'] === 'connection failed' && entry['src.identity'] === `${ID}/other`,
      ),
    );
    assert.equal(line['error'], 'policy');
  });
});
