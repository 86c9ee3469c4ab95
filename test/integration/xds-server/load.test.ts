/**
 * The server under clients that are slow, greedy, broken or many.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { MeshUpdate } from '../../../src/model/messages.ts';
import { RESOURCE_TYPES } from '../../../src/xds/resource-types.ts';
import { pod, uid } from '../../support/xds-client.ts';
import { open, startServer, until } from '../../support/xds-server.ts';

const address = (index: number): string =>
  `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;

function mesh(count: number, shift = 0): MeshUpdate {
  const upserts = Array.from({ length: count }, (_, i) => pod(`p${i}`, address(i + shift)));
  return { addresses: { upserts, removals: [] } };
}

test('a client that reads nothing costs one response, is told of, and is ended', async (t) => {
  const { server, port, stop, seen } = await startServer({ limits: { ackMs: 5000 } });
  t.after(stop);
  server.apply(mesh(5000));
  const stalled = open(t, port, { ack: false });
  const lively = open(t, port, { headers: { 'test-node': 'n2' } });
  stalled.pause();
  stalled.subscribe('addresses');
  lively.subscribe('addresses');
  await lively.response('addresses', 0);
  await until(
    'the stalled one alone',
    () => server.numbers().converged === 1 && seen.pushes.length === 2,
  );
  const held = server.numbers().pushBytes;
  globalThis.gc?.();
  const before = process.memoryUsage();
  const started = performance.now();
  for (let round = 1; round <= 8; round++) {
    server.apply(mesh(5000, round));
    await sleep(20);
  }
  await until(
    'newest state',
    () => lively.responses.at(-1)!.names.includes(uid('p0')) && server.numbers().converged === 1,
  );
  const one = server.streams().find(({ node }) => node === 'node-1');
  assert.equal(one?.types[0]?.pushes, 1, 'one response and no more');
  await until('the other has answered', () => server.numbers().pushBytes === held);
  await until('the end', () => server.numbers().streams.delta === 1);
  assert.ok(performance.now() - started < 15_000);
  assert.equal(server.numbers().ended.get('ack-timeout'), 1);
  assert.equal(server.numbers().pushBytes, 0);
  stalled.resume();
  await stalled.until('status', () => stalled.ended !== undefined);
  assert.equal(stalled.ended?.code, status.DEADLINE_EXCEEDED);
  assert.ok(process.memoryUsage().external - before.external < 64 * 1024 * 1024);
  assert.equal(lively.ended, undefined);
});

test('many that want everything at once take turns', async (t) => {
  const { server, port, stop } = await startServer({
    limits: { pushBytes: 1_000_000, streamsPerClient: 1 },
  });
  t.after(stop);
  server.apply(mesh(4000));
  const streams = Array.from({ length: 12 }, (_, i) =>
    open(t, port, { headers: { 'test-node': `n${i}` }, ack: false }),
  );
  for (const stream of streams) stream.subscribe('addresses');
  const answered = new Set<(typeof streams)[number]>();
  let most = 0;
  while (answered.size < streams.length) {
    await until('a next one', () =>
      streams.some((one) => one.responses.length > 0 && !answered.has(one)),
    );
    most = Math.max(most, server.numbers().pushBytes);
    for (const stream of streams) {
      const [response] = stream.responses;
      if (response === undefined || answered.has(stream)) continue;
      assert.equal(response.names.length, 4000);
      answered.add(stream);
      stream.ack(response);
    }
  }
  assert.ok(most <= 1_000_000, `${most} bytes in flight`);
  await until('acks', () => server.numbers().pushBytes === 0);
  assert.equal(server.numbers().pushesWaiting, 0);
});

test('who waits for its turn and leaves is not waited for', async (t) => {
  const { server, port, stop } = await startServer({ limits: { pushBytes: 100_000 } });
  t.after(stop);
  server.apply(mesh(4000));
  const first = open(t, port, { ack: false });
  first.subscribe('addresses');
  await first.response('addresses', 0);
  const second = open(t, port, { headers: { 'test-node': 'n2' } });
  second.subscribe('addresses');
  await until('waiting', () => server.numbers().pushesWaiting === 1);
  second.close();
  await until('gone', () => server.numbers().pushesWaiting === 0);
  const third = open(t, port, { headers: { 'test-node': 'n3' } });
  third.subscribe('addresses');
  await until('waiting', () => server.numbers().pushesWaiting === 1);
  first.close();
  await third.response('addresses', 0);
});

test('the first change is sent at once, a storm is put together, and nothing waits for longer than the bound', async (t) => {
  const { server, port, stop, seen } = await startServer({
    limits: { quietMs: 20, maxDelayMs: 120 },
  });
  t.after(stop);
  server.apply(mesh(10));
  const stream = open(t, port);
  stream.subscribe('addresses');
  await stream.response('addresses', 0);
  await sleep(100);
  seen.pushes.length = 0;
  server.apply(mesh(1, 1000));
  await until('a push', () => seen.pushes.length === 1);
  assert.equal(server.numbers().flushes.atOnce, 2, 'the first mesh, and this');
  await sleep(100);
  seen.pushes.length = 0;
  const began = performance.now();
  let changes = 0;
  while (performance.now() - began < 1000) {
    server.apply(mesh(1, 2000 + ++changes));
    await sleep(2);
  }
  await until('the last', () => server.numbers().converged === 1 && seen.pushes.length > 5);
  assert.ok(changes > 100, `${changes} changes`);
  assert.ok(seen.pushes.length < changes / 4, `${seen.pushes.length} pushes of ${changes} changes`);
  const slowest = Math.max(...seen.pushes.map(({ delayMs }) => delayMs));
  assert.ok(slowest < 120 + 150, `a change waited for ${slowest} ms`);
});

test('limits: streams, streams of one client, names, requests, bytes of a request', async (t) => {
  const { server, port, stop } = await startServer({
    limits: {
      streams: 3,
      streamsPerClient: 2,
      names: 100,
      nameLength: 50,
      requestsPerSecond: 10,
      requestBurst: 40,
      requestBytes: 4096,
    },
  });
  t.after(stop);
  const refused = async (
    code: status,
    what: (stream: ReturnType<typeof open>) => void,
    node = 'n1',
  ) => {
    const stream = open(t, port, { headers: { 'test-node': node } });
    what(stream);
    await stream.until(`refused ${status[code]}`, () => stream.ended !== undefined);
    assert.equal(stream.ended?.code, code, stream.ended?.details);
    return stream.ended.details;
  };
  const names = (count: number, length = 5) => ({
    resource_names_subscribe: Array.from({ length: count }, (_, i) => `${i}`.padStart(length, 'x')),
  });
  assert.match(
    await refused(status.RESOURCE_EXHAUSTED, (s) => s.subscribe('addresses', names(101))),
    /100 names/,
  );
  assert.match(
    await refused(status.RESOURCE_EXHAUSTED, (s) => {
      for (let i = 0; i < 3; i++) s.subscribe('addresses', names(60, 6 + i));
    }),
    /100 names/,
  );
  assert.match(
    await refused(status.RESOURCE_EXHAUSTED, (s) => s.subscribe('addresses', names(1, 51))),
    /50 char/,
  );
  await refused(status.RESOURCE_EXHAUSTED, (s) => s.subscribe('addresses', names(99, 49)));
  assert.match(
    await refused(status.RESOURCE_EXHAUSTED, (s) => {
      for (let i = 0; i < 100; i++) s.subscribe('addresses', { response_nonce: 'flood' });
    }),
    /too many requests/,
  );
  await until('all gone', () => server.numbers().streams.delta === 0);
  const held = [1, 2].map(() => open(t, port, { headers: { 'test-node': 'n1' } }));
  for (const stream of held) stream.subscribe('authorizations');
  for (const stream of held) await stream.response('authorizations', 0);
  assert.match(
    await refused(status.RESOURCE_EXHAUSTED, (s) => s.subscribe('addresses')),
    /one client/,
  );
  const third = open(t, port, { headers: { 'test-node': 'n2' } });
  third.subscribe('addresses');
  await third.response('addresses', 0);
  assert.match(
    await refused(status.RESOURCE_EXHAUSTED, (s) => s.subscribe('addresses'), 'n3'),
    /too many streams/,
  );
  third.close();
  await until('room', () => server.numbers().streams.delta === 2);
  assert.equal(server.numbers().ended.get('error'), undefined);
});

test('who opens a stream and asks for nothing is ended; so is an old stream, without an error', async (t) => {
  const { server, port, stop } = await startServer({
    limits: { firstRequestMs: 300, streamAgeMs: 1500 },
  });
  t.after(stop);
  server.apply(mesh(3));
  const silent = open(t, port);
  const old = open(t, port, { headers: { 'test-node': 'n2' } });
  old.subscribe('addresses');
  await silent.until('the end', () => silent.ended !== undefined);
  assert.equal(silent.ended?.code, status.DEADLINE_EXCEEDED);
  const opened = performance.now();
  await old.until('old age', () => old.ended !== undefined);
  assert.equal(old.ended?.code, status.OK);
  assert.ok(performance.now() - opened > 500);
  assert.deepEqual(Object.fromEntries(server.numbers().ended), { age: 1, 'no-request': 1 });
});

test('garbage on the wire ends its stream and nothing else', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  server.apply(mesh(2));
  const good = open(t, port, { headers: { 'test-node': 'good' } });
  good.subscribe('addresses');
  await good.response('addresses', 0);
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  t.after(() => session.destroy());
  const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
  const frame = (body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length, 1);
    return Buffer.concat([head, body]);
  };
  const garbage = [
    frame(Buffer.from('ffffffffffffffffffff', 'hex')),
    frame(Buffer.from([0x0a, 0xff, 0x01, 0x02])),
    Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
    Buffer.from([1, 0, 0, 0, 2, 9, 9]),
    frame(Buffer.from([0x12, 0x03, 0xff, 0xfe, 0xfd])),
  ];
  for (const bytes of garbage) {
    const request = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'test-node': 'bad',
    });
    request.on('error', () => {});
    request.write(bytes);
    await sleep(60);
    request.close();
  }
  await until('only the good one', () => server.numbers().streams.delta === 1);
  server.apply(mesh(2, 77));
  await good.response('addresses', 1);
  assert.equal(server.numbers().ended.get('error'), undefined);
});

test('a drain ends the streams one after the other, and lets nobody in', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  server.apply(mesh(2));
  const streams = Array.from({ length: 5 }, (_, i) =>
    open(t, port, { headers: { 'test-node': `n${i}` } }),
  );
  for (const stream of streams) stream.subscribe('addresses');
  for (const stream of streams) await stream.response('addresses', 0);
  const began = performance.now();
  const drained = server.drain(500);
  const late = open(t, port, { headers: { 'test-node': 'late' } });
  late.subscribe('addresses');
  await late.until('refused', () => late.ended !== undefined);
  assert.equal(late.ended?.code, status.UNAVAILABLE);
  await drained;
  assert.ok(performance.now() - began > 350);
  for (const stream of streams) {
    await stream.until('the end', () => stream.ended !== undefined);
    assert.equal(stream.ended?.code, status.OK);
  }
});

test('nothing is left of streams that are gone', async (t) => {
  const { server, port, stop } = await startServer();
  t.after(stop);
  server.apply(mesh(50));
  const table = server.table.type('addresses');
  for (let round = 0; round < 5; round++) {
    const stream = open(t, port);
    stream.subscribe('addresses');
    await stream.response('addresses', 0);
    server.apply({ addresses: { upserts: [], removals: [uid(`p${round}`)] } });
    server.apply({ addresses: { upserts: [pod(`q${round}`, '10.9.0.1')], removals: [] } });
    await stream.until('the change', () =>
      stream.of('addresses').some(({ names }) => names.includes(uid(`q${round}`))),
    );
    stream.close();
    await until('gone', () => server.numbers().streams.delta === 0);
  }
  const entries = [...table.entries()];
  assert.equal(entries.length, 50);
  assert.ok(entries.every(({ holders }) => holders === 0));
  assert.ok(table.slots <= 56, `${table.slots} slots`);
  assert.equal(RESOURCE_TYPES.addresses.key, table.key);
});
