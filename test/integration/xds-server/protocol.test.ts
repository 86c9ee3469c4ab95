/**
 * What the protocol asks of the server, word by word, with a client that is not ours.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Address, MeshUpdate } from '../../../src/model/messages.ts';
import { RESOURCE_TYPES, type MeshResources } from '../../../src/xds/resource-types.ts';
import { decodeAddress } from '../../../src/xds/resources/address.ts';
import { codec, pod, uid } from '../../support/xds-client.ts';
import { service } from '../../support/xds-service.ts';
import { open, startServer, until, type RawResponse } from '../../support/xds-server.ts';

function addresses(upserts: readonly Address[], removals: readonly string[] = []): MeshUpdate {
  return { addresses: { upserts, removals } };
}

const serviceName = (name: string): string => `default/${name}.default.svc.cluster.local`;
const endpointOf = (name: string, service: string, ip: string): Address =>
  pod(name, ip, {
    services: new Map([[serviceName(service), [{ servicePort: 80, targetPort: 8080 }]]]),
  });

function ips(response: RawResponse): string[] {
  return response.contents.flatMap((bytes) => {
    const decoded = decodeAddress(codec, bytes!);
    assert.ok(decoded.ok);
    return decoded.value.kind === 'workload' ? decoded.value.workload.addresses : [];
  });
}

test('delta: everything, then changes, then removals; an answer for policies even when there are none', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  server.apply(addresses([pod('a', '10.0.0.1'), pod('b', '10.0.0.2')]));
  const stream = open(t, port);
  stream.subscribe('addresses', { node: { id: 'ztunnel~1.1.1.1~x.y~y.svc.cluster.local' } });
  stream.subscribe('authorizations');
  const first = await stream.response('addresses', 0);
  assert.deepEqual([...first.names].sort(), [uid('a'), uid('b')]);
  assert.deepEqual((await stream.response('authorizations', 0)).names, []);

  server.apply(addresses([pod('a', '10.0.0.9')]));
  const second = await stream.response('addresses', 1);
  assert.deepEqual(second.names, [uid('a')]);
  assert.deepEqual(ips(second), ['10.0.0.9']);
  assert.notEqual(second.versions.get(uid('a')), first.versions.get(uid('a')));

  server.apply(addresses([pod('a', '10.0.0.9'), pod('b', '10.0.0.2')]));
  server.apply(addresses([], [uid('b'), 'never/there']));
  const third = await stream.response('addresses', 2);
  assert.deepEqual([third.names, third.removed], [[], [uid('b')]]);
  await until('acks', () => server.numbers().converged === 1);
  const [one] = server.streams();
  assert.equal(one?.nodeId, 'ztunnel~1.1.1.1~x.y~y.svc.cluster.local');
  const [type] = one!.types;
  assert.deepEqual(
    [type!.state, type!.resources, type!.pushes, type!.ackedNonce],
    ['synced', 1, 3, third.nonce],
  );
});

test('one response of a type waits for its answer, and the next has the newest state only', async (t) => {
  const { server, port, stop, seen } = await startServer();
  t.after(stop);
  server.apply(addresses([pod('a', '10.0.0.1')]));
  const stream = open(t, port, { ack: false });
  stream.subscribe('addresses');
  const first = await stream.response('addresses', 0);
  for (let last = 2; last < 50; last++) {
    server.apply(addresses([pod('a', `10.0.0.${last}`), pod(`x${last}`, '10.1.0.1')]));
    if (last > 2) server.apply(addresses([], [uid(`x${last - 1}`)]));
    if (last % 10 === 0) await sleep(20);
  }
  await sleep(150);
  assert.equal(stream.responses.length, 1);
  stream.ack({ ...first, nonce: 'of another stream' });
  await sleep(50);
  assert.equal(stream.responses.length, 1, 'a stale nonce is no answer');
  assert.equal(seen.stale, 1);
  stream.ack(first);
  const second = await stream.response('addresses', 1);
  assert.deepEqual([...second.names].sort(), [uid('a'), uid('x49')]);
  assert.deepEqual(ips(second).sort(), ['10.0.0.49', '10.1.0.1']);
  assert.deepEqual(second.removed, [], 'what came and went was never sent');
});

test('a refused resource is noted with its reason and not sent again until it changes', async (t) => {
  const { server, port, stop, seen } = await startServer();
  t.after(stop);
  server.apply(addresses([pod('a', '10.0.0.1'), pod('b', '10.0.0.2')]));
  const stream = open(t, port, { ack: false });
  stream.subscribe('addresses');
  stream.nack(await stream.response('addresses', 0), 'a: bad; b: fine');
  await until('the refusal', () => seen.nacks.length === 1);
  const [type] = server.streams()[0]!.types;
  assert.deepEqual(
    [type!.state, type!.nacks, type!.nacked?.reason],
    ['nacked', 1, 'a: bad; b: fine'],
  );
  await sleep(100);
  assert.equal(stream.responses.length, 1);
  server.apply(addresses([pod('b', '10.0.0.3')]));
  assert.deepEqual((await stream.response('addresses', 1)).names, [uid('b')]);
  stream.ack(stream.responses[1]!);
  server.apply(addresses([pod('a', '10.0.0.3')]));
  assert.deepEqual((await stream.response('addresses', 2)).names, [uid('a')]);
});

test('who comes back is sent what it has not, and told what is gone; so by another replica', async (t) => {
  const replicas = [await startServer(), await startServer()] as const;
  for (const { stop } of replicas) t.after(stop);
  const one = open(t, replicas[0].port);
  replicas[0].server.apply(
    addresses([pod('a', '10.0.0.1'), pod('b', '10.0.0.2'), pod('c', '10.0.0.3')]),
  );
  one.subscribe('addresses');
  const { versions } = await one.response('addresses', 0);
  one.close();
  // in another order, with another history
  replicas[1].server.apply(addresses([pod('b', '10.0.0.9')]));
  replicas[1].server.apply(
    addresses([pod('d', '10.0.0.4'), pod('b', '10.0.0.8'), pod('a', '10.0.0.1')]),
  );
  const two = open(t, replicas[1].port);
  two.subscribe('addresses', { initial_resource_versions: Object.fromEntries(versions) });
  const answer = await two.response('addresses', 0);
  assert.deepEqual([...answer.names].sort(), [uid('b'), uid('d')]);
  assert.deepEqual(answer.removed, [uid('c')]);
});

test('on demand: nothing at first, then "<network>/<ip>" under exactly that name, and Services with endpoints', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  server.apply(
    addresses([
      pod('a', '10.0.0.1'),
      service('web', '10.96.0.1'),
      endpointOf('w', 'web', '10.0.0.7'),
    ]),
  );
  const stream = open(t, port);
  stream.subscribe('addresses', {
    resource_names_subscribe: ['*'],
    resource_names_unsubscribe: ['*'],
  });
  assert.deepEqual((await stream.response('addresses', 0)).names, []);
  stream.subscribe('addresses', {
    resource_names_subscribe: ['/10.0.0.1', '/10.0.0.2', 'n2/10.0.0.1'],
  });
  const first = await stream.response('addresses', 1);
  assert.deepEqual(first.names, ['/10.0.0.1']);
  assert.deepEqual(ips(first), ['10.0.0.1']);
  assert.deepEqual([...first.removed].sort(), ['/10.0.0.2', 'n2/10.0.0.1']);
  server.apply(addresses([pod('late', '10.0.0.2'), pod('other', '10.0.0.3')]));
  assert.deepEqual((await stream.response('addresses', 2)).names, ['/10.0.0.2']);
  server.apply(addresses([], [uid('late')]));
  assert.deepEqual((await stream.response('addresses', 3)).removed, ['/10.0.0.2']);

  stream.subscribe('addresses', { resource_names_subscribe: ['/10.96.0.1'] });
  const web = await stream.response('addresses', 4);
  assert.deepEqual([...web.names].sort(), ['/10.96.0.1', uid('w')].sort());
  server.apply(addresses([endpointOf('w2', 'web', '10.0.0.8')]));
  assert.deepEqual((await stream.response('addresses', 5)).names, [uid('w2')]);
  stream.subscribe('addresses', { resource_names_unsubscribe: ['/10.96.0.1'] });
  const gone = await stream.response('addresses', 6);
  assert.deepEqual([...gone.removed].sort(), [uid('w'), uid('w2')]);
  stream.subscribe('addresses', { resource_names_subscribe: [serviceName('web')] });
  const named = await stream.response('addresses', 7);
  assert.deepEqual([...named.names].sort(), [serviceName('web'), uid('w'), uid('w2')].sort());
});

test('a name that is asked for again is sent again; one that is not there is a removal', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  server.apply(addresses([pod('a', '10.0.0.1')]));
  const stream = open(t, port);
  stream.subscribe('addresses', { resource_names_subscribe: [uid('a'), uid('b')] });
  const first = await stream.response('addresses', 0);
  assert.deepEqual([first.names, first.removed], [[uid('a')], [uid('b')]]);
  stream.subscribe('addresses', { resource_names_unsubscribe: [uid('a')] });
  await until('the server knows', () => server.streams()[0]!.types[0]!.names === 1);
  server.apply(addresses([pod('a', '10.0.0.5')]));
  await sleep(50);
  assert.equal(stream.responses.length, 1, 'nobody asks for it');
  stream.subscribe('addresses', { resource_names_subscribe: [uid('a')] });
  assert.deepEqual((await stream.response('addresses', 1)).names, [uid('a')]);
  server.apply(addresses([pod('b', '10.0.0.6')]));
  assert.deepEqual((await stream.response('addresses', 2)).names, [uid('b')]);
});

test('the state of the world: all of it every time, names replaced, nothing again for who has it', async (t) => {
  const { server, port, stop, seen } = await startServer();
  t.after(stop);
  server.apply(addresses([pod('a', '10.0.0.1'), pod('b', '10.0.0.2')]));
  const stream = open(t, port, { variant: 'sotw' });
  stream.subscribe('addresses');
  stream.subscribe('authorizations');
  assert.deepEqual(ips(await stream.response('addresses', 0)).sort(), ['10.0.0.1', '10.0.0.2']);
  assert.deepEqual((await stream.response('authorizations', 0)).contents, []);
  server.apply(addresses([pod('a', '10.0.0.3')], [uid('b')]));
  const second = await stream.response('addresses', 1);
  assert.deepEqual(ips(second), ['10.0.0.3']);
  await until('acks', () => seen.acks.length === 3);

  const again = open(t, port, { variant: 'sotw', headers: { 'test-node': 'n2' } });
  again.send({ type_url: second.typeUrl, version_info: second.version });
  await sleep(100);
  assert.equal(again.responses.length, 0, 'it came with the newest version');
  server.apply(addresses([pod('c', '10.0.0.4')]));
  assert.deepEqual(ips(await again.response('addresses', 0)).sort(), ['10.0.0.3', '10.0.0.4']);

  const named = open(t, port, { variant: 'sotw', ack: false, headers: { 'test-node': 'n3' } });
  named.send({ type_url: second.typeUrl, resource_names: [uid('a')] });
  const one = await named.response('addresses', 0);
  assert.deepEqual(ips(one), ['10.0.0.3']);
  named.ack(one, [uid('a'), uid('c')]);
  const both = await named.response('addresses', 1);
  assert.deepEqual(ips(both).sort(), ['10.0.0.3', '10.0.0.4']);
  named.ack(both, [uid('c')]);
  await until('the server knows', () =>
    server.streams().some(({ node, types }) => node === 'n3' && types[0]!.names === 1),
  );
  server.apply(addresses([pod('a', '10.0.0.6')]));
  await sleep(100);
  assert.equal(named.responses.length, 2, 'a is asked for no more');
});

test('what refers to something goes after it, and what is referred to is removed last', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  // name "x", type ORIGINAL_DST, lb_policy CLUSTER_PROVIDED; name "x"
  const cluster = (name: string) => ({ ...decoded('clusters', '0a017810043006'), name });
  const route = (name: string, ignorePortInHost: boolean) => ({
    ...decoded('routes', '0a0178'),
    name,
    ignorePortInHost,
  });
  const stream = open(t, port, { ack: false });
  for (const key of ['routes', 'clusters'] as const) stream.subscribe(key);
  for (const key of ['routes', 'clusters'] as const) stream.ack(await stream.response(key, 0));
  await sleep(20);
  server.apply({
    clusters: { upserts: [cluster('one')], removals: [] },
    routes: { upserts: [route('r', false)], removals: [] },
  });
  await stream.response('routes', 1);
  assert.deepEqual(
    stream.responses.slice(2).map(({ names }) => names),
    [['one'], ['r']],
  );
  // no answer for the clusters yet: what needs the next one has to wait for it
  stream.ack(stream.of('routes')[1]!);
  server.apply({
    clusters: { upserts: [cluster('two')], removals: ['one'] },
    routes: { upserts: [route('r', true)], removals: [] },
  });
  await sleep(150);
  assert.equal(stream.responses.length, 4);
  stream.ack(stream.of('clusters')[1]!);
  await stream.response('routes', 2);
  stream.ack(await stream.response('clusters', 2));
  const last = await stream.response('clusters', 3);
  assert.deepEqual(
    stream.responses.slice(4).map(({ names, removed }) => [names, removed]),
    [
      [['two'], []],
      [['r'], []],
      [[], ['one']],
    ],
  );
  assert.deepEqual(last.removed, ['one']);
});

test('types nobody knows and nonsense harm nobody', async (t) => {
  const { server, port, stop, seen } = await startServer();
  t.after(stop);
  const stream = open(t, port);
  stream.send({ type_url: 'type.googleapis.com/no.such.Type' });
  stream.send({ type_url: '', response_nonce: 'x', error_detail: { code: 99, message: 'y' } });
  stream.subscribe('addresses', {
    response_nonce: 'from nowhere',
    resource_names_unsubscribe: ['z'],
  });
  stream.subscribe('addresses', {
    resource_names_subscribe: ['__proto__', 'constructor', '/', '/1.2.3', '*/1.2.3.4'],
  });
  await stream.response('addresses', 0);
  server.apply(addresses([pod('a', '10.0.0.1')]));
  await stream.until('a', () =>
    stream.of('addresses').some(({ names }) => names.includes(uid('a'))),
  );
  assert.deepEqual(seen.unknown, ['type.googleapis.com/no.such.Type', '']);
  assert.equal(stream.ended, undefined);
  assert.equal(server.numbers().ended.get('error'), undefined);
});

test('strangers get nothing, and learn nothing', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  const stream = open(t, port, { headers: { 'test-node': 'stranger' } });
  stream.subscribe('addresses');
  await stream.until('the end', () => stream.ended !== undefined);
  assert.deepEqual([stream.ended?.code, stream.ended?.details], [status.UNAUTHENTICATED, 'no']);
  assert.deepEqual([...server.numbers().refused], [['token', 1]]);
  assert.equal(stream.responses.length, 0);
});

function decoded<K extends 'clusters' | 'routes'>(key: K, hex: string): MeshResources[K] {
  const result = RESOURCE_TYPES[key].decode(codec, Buffer.from(hex, 'hex'));
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}
