/**
 * Listeners, routes, clusters and endpoints from a foreign server: asked for by what names them, warmed in order.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADDRESS_TYPE_URL, encodeAddress } from '../../../src/xds/resources/address.ts';
import {
  AUTHORIZATION_TYPE_URL,
  encodeAuthorization,
} from '../../../src/xds/resources/authorization.ts';
import { ControlPlane } from '../../support/control-plane.ts';
import { ScriptedServer } from '../../support/scripted-xds.ts';
import { codec, pod, policy, serverAt, startClient, uid } from '../../support/xds-client.ts';
import { cluster, endpoints, listener, routes } from '../../support/xds-linked.ts';

const FOUNDATION = { addresses: [pod('a', '10.0.0.1')], authorizations: [policy('p')] };

for (const variant of ['delta', 'sotw'] as const) {
  test(`what names what is followed, ${variant}`, async (t) => {
    const server = await ControlPlane.start();
    t.after(() => server.kill());
    await server.serve({
      ...FOUNDATION,
      listeners: [listener('l', 'r')],
      routes: [routes('r', ['c']), routes('unasked', ['c'])],
      clusters: [cluster('c')],
      loadAssignments: [endpoints('c', '10.0.0.1'), endpoints('unasked', '10.0.0.2')],
    });
    const under = startClient({
      servers: [serverAt(server.port)],
      protocol: variant,
      linked: 'on',
    });
    t.after(() => under.client.close());
    const { store, until, updates } = under;
    await until('the listener', () => store.current.listeners.has('l'));
    assert.equal(updates.length, 1, 'the first step has everything');
    assert.deepEqual([...store.current.routes.keys()], ['r']);
    assert.deepEqual([...store.current.loadAssignments.keys()], ['c']);

    // a new cluster is pushed with the route that uses it, while its endpoints are nowhere yet
    await server.serve({ clusters: [cluster('d')], routes: [routes('r', ['d'])] });
    await until('the wait', () => under.client.status().waiting.length > 0);
    assert.ok(store.current.clusters.has('c'), 'what the old route needs stays');
    await server.serve({ loadAssignments: [endpoints('d', '10.0.0.3')] });
    await until('the new cluster', () => store.current.clusters.has('d'));
    await until('the old one is gone', () => !store.current.clusters.has('c'));
    assert.deepEqual([...store.current.loadAssignments.keys()], ['d']);

    await server.serve({ listeners: [] });
    await until('no listener', () => store.current.listeners.size === 0);
    assert.equal(store.current.routes.size, 0);
    await server.serve({ listeners: [listener('m', 'r')] });
    const pending = (): boolean => under.client.status().waiting.length > 0;
    await until('the listener', () => pending() || store.current.listeners.has('m'));
    // this server sends what is given back and asked for again only when it changes
    await server.serve({ routes: [routes('r', ['d', 'd'])] });
    await until('the listener and its route', () => store.current.routes.has('r'));
    // names of today are asked for again on a new stream
    await server.endStreams();
    await until('a new stream', () => under.client.status().servers[0]!.reconnects > 0);
    await server.serve({ loadAssignments: [endpoints('d', '10.0.0.4')] });
    await until('the change', () => {
      const [locality] = store.current.loadAssignments.get('d')?.localities ?? [];
      return locality?.endpoints[0]?.address === '10.0.0.4';
    });
  });
}

for (const [headers, count] of [
  [{ 'podwire-control': '1' }, 4],
  [{}, 2],
] as const) {
  test(`auto: a server that ${count > 2 ? 'is' : 'is not'} podwire’s is asked for ${count} types`, async (t) => {
    const server = await ScriptedServer.start({ headers });
    t.after(() => server.stop());
    const { client, until } = startClient({ servers: [serverAt(server.port)], linked: 'auto' });
    t.after(() => client.close());
    await until('the requests', () => server.streams[0]?.requests.length === count);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(server.streams[0]!.requests.length, count);
  });
}

test('on demand: nothing at first, then by address, until there is an answer', async (t) => {
  const server = await ScriptedServer.start();
  t.after(() => server.stop());
  const { client, store, until } = startClient({
    servers: [serverAt(server.port)],
    onDemand: true,
  });
  t.after(() => client.close());
  await until('a stream', () => server.streams.length === 1);
  const [stream] = server.streams;
  const first = await stream!.request();
  assert.deepEqual(first.resource_names_subscribe, ['*']);
  assert.deepEqual(first.resource_names_unsubscribe, ['*']);
  const both = Promise.all([...client.lookup(['/10.0.0.9']), ...client.lookup(['/10.0.0.9'])]);
  const asked = await stream!.request((one) => one.resource_names_subscribe.includes('/10.0.0.9'));
  const typeUrl = asked.type_url;
  // the answer may come before the server's word counts
  stream!.send({ type_url: typeUrl, nonce: 'n', removed_resources: ['/10.0.0.9'] });
  stream!.send({ type_url: AUTHORIZATION_TYPE_URL, nonce: 'p' });
  assert.deepEqual(await both, [false, false]);
  const [found] = client.lookup(['/10.0.0.1']);
  await stream!.request((one) => one.resource_names_subscribe.includes('/10.0.0.1'));
  const value = Buffer.from(encodeAddress(codec, pod('a', '10.0.0.1')));
  const resource = { type_url: typeUrl, value };
  stream!.send({
    type_url: typeUrl,
    nonce: 'm',
    resources: [{ name: '/10.0.0.1', resource }],
  } as never);
  assert.equal(await found, true);
  assert.ok(store.current.workloads.has(uid('a')));
});

test('state of the world: a policy that is no longer there goes after the workload that names it', async (t) => {
  const server = await ScriptedServer.start();
  t.after(() => server.stop());
  const { client, store, until } = startClient({
    servers: [serverAt(server.port)],
    protocol: 'sotw',
  });
  t.after(() => client.close());
  await until('a stream', () => server.streams.length === 1);
  const [stream] = server.streams;
  const push = (typeUrl: string, version: string, contents: readonly Uint8Array[]): void =>
    stream!.send({
      type_url: typeUrl,
      version_info: version,
      nonce: `${typeUrl} ${version}`,
      resources: contents.map((value) => ({ type_url: typeUrl, value: Buffer.from(value) })),
    } as never);
  const named = (authorizationPolicies: readonly string[]): Uint8Array =>
    encodeAddress(codec, pod('a', '10.0.0.1', { authorizationPolicies }));
  const only = { ...policy('p'), scope: 'WORKLOAD_SELECTOR' } as const;
  push(AUTHORIZATION_TYPE_URL, '1', [encodeAuthorization(codec, only)]);
  push(ADDRESS_TYPE_URL, '1', [named(['default/p'])]);
  await until('both', () => store.current.workloads.size === 1);
  push(AUTHORIZATION_TYPE_URL, '2', []);
  await until('the wait', () => client.status().waiting.length === 1);
  assert.ok(store.current.authorizations.has('default/p'));
  push(ADDRESS_TYPE_URL, '2', [named([])]);
  await until('it is gone', () => !store.current.authorizations.has('default/p'));
  assert.deepEqual(client.status().waiting, []);
});
