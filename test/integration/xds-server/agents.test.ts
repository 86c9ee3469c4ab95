/**
 * podwire's own agents on the server: scopes per node, replicas, old age, refusals.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeScopes } from '../../../src/control/scope/node-scopes.ts';
import type { Authorization } from '../../../src/model/authorization.ts';
import type { MeshUpdate } from '../../../src/model/messages.ts';
import { pod, policy, serverAt, startClient, uid } from '../../support/xds-client.ts';
import { open, startServer, until, type ServerUnderTest } from '../../support/xds-server.ts';

function mesh(count: number, more: MeshUpdate = {}): MeshUpdate {
  return {
    addresses: {
      upserts: Array.from({ length: count }, (_, i) => pod(`p${i}`, `10.0.0.${i + 1}`)),
      removals: [],
    },
    ...more,
  };
}

for (const protocol of ['delta', 'sotw'] as const) {
  test(`an agent follows the mesh, ${protocol}`, async (t) => {
    const { server, port, stop } = await startServer();
    t.after(stop);
    server.apply(mesh(20, { authorizations: { upserts: [policy('p')], removals: [] } }));
    const agent = startClient({
      servers: [serverAt(port)],
      protocol,
      linked: 'auto',
    });
    const { client, store } = agent;
    t.after(() => client.close());
    await agent.until(
      'all',
      () => store.incomplete === undefined && store.current.workloads.size === 20,
    );
    assert.ok(store.current.authorizations.has('default/p'));
    server.apply({ addresses: { upserts: [pod('p1', '10.0.9.9')], removals: [uid('p0')] } });
    await agent.until(
      'the change',
      () => store.current.workloads.get(uid('p1'))?.addresses[0] === '10.0.9.9',
    );
    assert.equal(store.current.workloads.size, 19);
    await until('converged', () => server.numbers().converged === 1);
    const asked = server.streams()[0]!.types.filter(({ state }) => state !== 'not-sent');
    assert.deepEqual(
      asked.map(({ type, state }) => `${type} ${state}`),
      ['addresses synced', 'authorizations synced', 'clusters synced', 'listeners synced'],
    );
  });
}

test('one of two replicas goes: the agent moves to the other, and nothing is away for a moment', async (t) => {
  const replicas = [await startServer(), await startServer()] as const;
  for (const { stop } of replicas) t.after(stop);
  for (const { server } of replicas) server.apply(mesh(50));
  const agent = startClient({
    servers: replicas.map(({ port }) => serverAt(port)),
    takeoverMs: 300,
  });
  const { client, store } = agent;
  t.after(() => client.close());
  await agent.until('all', () => store.current.workloads.size === 50);
  const on = ({ server }: ServerUnderTest): number => server.numbers().streams.delta;
  await until('on the first', () => on(replicas[0]) === 1);
  const before = agent.updates.length;
  const drained = replicas[0].server.drain(100);
  replicas[0].grpc.drain(`127.0.0.1:${replicas[0].port}`, 500);
  replicas[0].grpc.unbind(`127.0.0.1:${replicas[0].port}`);
  await drained;
  replicas[0].stop();
  await agent.until('on the second', () => client.status().servers[1]!.active, 15_000);
  replicas[1].server.apply({ addresses: { upserts: [pod('new', '10.0.1.1')], removals: [] } });
  await agent.until('news', () => store.current.workloads.has(uid('new')));
  assert.equal(store.current.workloads.size, 51);
  for (const { addresses } of agent.updates.slice(before)) {
    assert.deepEqual(addresses?.removals ?? [], [], 'nothing was away for a moment');
  }
});

test('an old stream ends, the agent comes back, and nothing is sent again', async (t) => {
  const { server, port, stop, seen } = await startServer({ limits: { streamAgeMs: 400 } });
  t.after(stop);
  server.apply(mesh(50));
  const agent = startClient({ servers: [serverAt(port)] });
  const { client, store } = agent;
  t.after(() => client.close());
  await agent.until('all', () => store.current.workloads.size === 50);
  await until('three lives', () => (server.numbers().ended.get('age') ?? 0) >= 2);
  const sizes = seen.pushes.filter(({ key }) => key === 'addresses').map(({ bytes }) => bytes);
  assert.ok(sizes[0]! > 5000);
  assert.ok(
    sizes.slice(1).every((bytes) => bytes < 1000),
    sizes.join(),
  );
});

test('two nodes: each gets its own policies, whatever it says of itself', async (t) => {
  const { server, port, stop } = await startServer({
    scopes: new NodeScopes({ ownCluster: 'Kubernetes' }),
  });
  t.after(stop);
  const scoped = (namespace: string): Authorization => ({ ...policy('p'), namespace });
  const at = (node: string, namespace: string) =>
    pod(node, '10.0.0.1', { node, namespace, uid: `Kubernetes//Pod/${namespace}/${node}` });
  server.apply({
    addresses: { upserts: [at('n1', 'shop'), at('n2', 'bank')], removals: [] },
    authorizations: { upserts: [scoped('shop'), scoped('bank')], removals: [] },
  });
  const one = open(t, port, { headers: { 'test-node': 'n1' } });
  const two = open(t, port, { headers: { 'test-node': 'n2' } });
  const forged = {
    fields: { NODE_NAME: { stringValue: 'n1' }, NAMESPACE: { stringValue: 'shop' } },
  };
  one.subscribe('authorizations');
  two.subscribe('authorizations', {
    node: { id: 'ztunnel~1.1.1.1~a.shop~shop.svc', metadata: forged },
  });
  assert.deepEqual((await one.response('authorizations', 0)).names, ['shop/p']);
  assert.deepEqual((await two.response('authorizations', 0)).names, ['bank/p']);
  two.subscribe('authorizations', { resource_names_subscribe: ['shop/p'] });
  assert.deepEqual(
    (await two.response('authorizations', 1)).removed,
    ['shop/p'],
    'as if there were none',
  );
  // a pod moves in: what holds for it comes in the same round
  server.apply({ addresses: { upserts: [at('n1', 'bank')], removals: [] } });
  assert.deepEqual((await one.response('authorizations', 1)).names, ['bank/p']);
  server.apply({ addresses: { upserts: [], removals: ['Kubernetes//Pod/bank/n1'] } });
  assert.deepEqual((await one.response('authorizations', 2)).removed, ['bank/p']);
  const nodes = server.preview({
    identity: { trustDomain: '', namespace: '', serviceAccount: '' },
    node: 'n2',
  });
  assert.deepEqual(
    nodes.get('authorizations')?.map(({ name }) => name),
    ['bank/p'],
  );
});
