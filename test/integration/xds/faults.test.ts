/**
 * What a server may do wrong: the client refuses what is wrong, keeps what it holds, and comes back.
 */
import assert from 'node:assert/strict';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import type { Address } from '../../../src/model/messages.ts';
import { ADDRESS_TYPE_URL, encodeAddress } from '../../../src/xds/resources/address.ts';
import {
  AUTHORIZATION_TYPE_URL,
  encodeAuthorization,
} from '../../../src/xds/resources/authorization.ts';
import { freePorts } from '../../support/free-ports.ts';
import { ScriptedServer, type ScriptedStream } from '../../support/scripted-xds.ts';
import {
  codec,
  pod,
  policy,
  serverAt,
  startClient,
  uid,
  type ClientUnderTest,
} from '../../support/xds-client.ts';

interface Wire {
  readonly name: string;
  readonly version: string;
  readonly resource: { readonly type_url: string; readonly value: Buffer };
}

function wire(address: Address, version = '1'): Wire {
  const name = address.kind === 'workload' ? address.workload.uid : 'service';
  const value = Buffer.from(encodeAddress(codec, address));
  return { name, version, resource: { type_url: ADDRESS_TYPE_URL, value } };
}

function push(
  stream: ScriptedStream,
  nonce: string,
  resources: Wire[],
  removed: string[] = [],
): void {
  stream.send({
    type_url: ADDRESS_TYPE_URL,
    nonce,
    resources,
    removed_resources: removed,
  } as never);
}

function pushPolicies(stream: ScriptedStream): void {
  const value = Buffer.from(encodeAuthorization(codec, policy('p')));
  const resource = { type_url: AUTHORIZATION_TYPE_URL, value };
  const resources = [{ name: 'default/p', version: '1', resource }];
  stream.send({ type_url: AUTHORIZATION_TYPE_URL, nonce: 'p', resources } as never);
}

function encodeDelta(resources: Wire[]): Buffer {
  const { responseSerialize } = codec.discovery['DeltaAggregatedResources']!;
  return responseSerialize({ type_url: ADDRESS_TYPE_URL, nonce: 'half', resources } as never);
}

/** A client that has a and b, and the stream they came by. */
async function established(
  t: TestContext,
): Promise<ClientUnderTest & { server: ScriptedServer; stream: ScriptedStream }> {
  const server = await ScriptedServer.start({
    onStream: (stream) => {
      if (server.streams.length > 1) return;
      push(stream, 'first', [wire(pod('a', '10.0.0.1')), wire(pod('b', '10.0.0.2'))]);
      pushPolicies(stream);
    },
  });
  t.after(() => server.stop());
  const under = startClient({ servers: [serverAt(server.port)] });
  t.after(() => under.client.close());
  await under.until('a and b', () => under.store.current.workloads.size === 2);
  const stream = server.streams[0]!;
  await stream.request((one) => one.response_nonce === 'first');
  return { ...under, server, stream };
}

const addressOf = ({ store }: ClientUnderTest, name: string): string | undefined =>
  store.current.workloads.get(uid(name))?.addresses[0];

test('the first requests: Address, then Authorization, all of both, with the token of the day', async (t) => {
  const { stream } = await established(t);
  const [address, authorization] = stream.requests;
  assert.equal(address?.type_url, ADDRESS_TYPE_URL);
  assert.equal(authorization?.type_url, AUTHORIZATION_TYPE_URL);
  assert.deepEqual(address.resource_names_subscribe, []);
  assert.equal(address.node?.user_agent_name, 'podwire');
  assert.deepEqual(stream.metadata.get('clusterid'), ['Kubernetes']);
});

test('a name that comes twice is refused, and the last good one stays', async (t) => {
  const under = await established(t);
  push(under.stream, 'n', [
    wire(pod('a', '10.1.1.1'), '2'),
    wire(pod('c', '10.0.0.3')),
    wire(pod('a', '10.1.1.2'), '3'),
  ]);
  const nack = await under.stream.request((one) => one.response_nonce === 'n');
  assert.equal(
    nack.error_detail?.message,
    `${uid('a')}: name: comes more than once in one response`,
  );
  await under.until('c', () => under.store.current.workloads.size === 3);
  assert.equal(addressOf(under, 'a'), '10.0.0.1');
});

test('a name that comes and goes in one response is refused', async (t) => {
  const under = await established(t);
  push(under.stream, 'n', [wire(pod('a', '10.1.1.1'), '2')], [uid('a')]);
  const nack = await under.stream.request((one) => one.response_nonce === 'n');
  assert.match(nack.error_detail?.message ?? '', /more than once/);
  assert.equal(addressOf(under, 'a'), '10.0.0.1');
});

test('a resource under another’s name, of another type, or with nothing in it is refused', async (t) => {
  const under = await established(t);
  const a = wire(pod('a', '10.1.1.1'));
  push(under.stream, 'n', [
    { ...a, name: uid('x') },
    { ...a, resource: { ...a.resource, type_url: AUTHORIZATION_TYPE_URL } },
    { name: uid('y'), version: '1' } as never,
    wire(pod('c', '10.0.0.3')),
  ]);
  const nack = await under.stream.request((one) => one.response_nonce === 'n');
  const message = nack.error_detail?.message ?? '';
  assert.match(message, /\/x: name: the resource itself says 'Kubernetes\/\/Pod\/default\/a'/);
  assert.match(message, /\/a: resource\.type_url: is '.*Authorization'/);
  assert.match(message, /\/y: resource: is missing/);
  await under.until('c', () => under.store.current.workloads.size === 3);
  assert.equal(addressOf(under, 'a'), '10.0.0.1');
});

test('versions of what was refused are not remembered', async (t) => {
  const under = await established(t);
  const bad = Buffer.from('ffffffff', 'hex');
  push(under.stream, 'n', [
    { ...wire(pod('a', '10.0.0.1'), '2'), resource: { type_url: ADDRESS_TYPE_URL, value: bad } },
    { ...wire(pod('z', '10.0.0.1'), '2'), resource: { type_url: ADDRESS_TYPE_URL, value: bad } },
    wire(pod('b', '10.0.0.5'), '2'),
  ]);
  await under.stream.request((one) => one.response_nonce === 'n');
  under.stream.end(status.UNAVAILABLE, 'transport is closing');
  await under.until('a second stream', () => under.server.streams.length === 2);
  const first = await under.server.streams[1]!.request((one) => one.type_url === ADDRESS_TYPE_URL);
  assert.deepEqual(first.initial_resource_versions, { [uid('a')]: '1', [uid('b')]: '2' });
});

test('removed names that nobody knows, unknown types and wrong nonces do no harm', async (t) => {
  const under = await established(t);
  push(under.stream, 'n1', [], ['who', '', uid('b')]);
  await under.until('b is gone', () => under.store.current.workloads.size === 1);
  const ack = await under.stream.request((one) => one.response_nonce === 'n1');
  assert.equal(ack.error_detail, null);
  const before = under.stream.requests.length;
  under.stream.send({ type_url: 'type.googleapis.com/who.Knows', nonce: 'n2' });
  push(under.stream, '', [wire(pod('c', '10.0.0.3'))]);
  push(under.stream, 'n1', [wire(pod('d', '10.0.0.4'))]);
  await under.until('c and d', () => under.store.current.workloads.size === 3);
  await under.stream.request((one) => one.response_nonce === 'n1');
  assert.equal(under.stream.requests.length, before + 2, 'an unknown type has no answer');
  assert.deepEqual(under.client.status().servers[0]!.unknownTypes, {
    'type.googleapis.com/who.Knows': 1,
  });
});

test('a server that dies in mid-push: nothing is lost, the next stream says what is held', async (t) => {
  const under = await established(t);
  push(
    under.stream,
    'n',
    Array.from({ length: 5000 }, (_, i) => wire(pod(`p${i}`, '10.2.0.1'))),
  );
  under.stream.end(status.INTERNAL, 'dead');
  await under.until('a second stream', () => under.server.streams.length === 2);
  const [stream] = under.server.streams.slice(-1);
  const first = await stream!.request((one) => one.type_url === ADDRESS_TYPE_URL);
  const held = Object.keys(first.initial_resource_versions).length;
  assert.equal(held, under.store.current.workloads.size, 'what is named is what is in force');
  assert.ok(under.store.current.workloads.has(uid('a')));
});

test('a message that is too large is refused by its length, and nothing of it is kept', async (t) => {
  const under = await established(t);
  const before = process.memoryUsage().rss;
  const huge = Buffer.alloc(200 * 1024 * 1024);
  const resource = { type_url: ADDRESS_TYPE_URL, value: huge };
  push(under.stream, 'huge', [{ name: 'huge', version: '1', resource }]);
  await under.until(
    'the error',
    () => /RESOURCE_EXHAUSTED.*larger than max/.test(under.client.status().servers[0]!.error),
    30_000,
  );
  assert.ok(under.client.status().servers[0]!.bytes < 1_000_000);
  t.diagnostic(
    `${((process.memoryUsage().rss - before) / 2 ** 20).toFixed(0)} MiB more, server included`,
  );
  await under.until('a second stream', () => under.server.streams.length >= 2);
  assert.equal(under.store.current.workloads.size, 2);
});

test('pauses between attempts grow, and jump back after a good stream', async (t) => {
  const server = await ScriptedServer.start({
    onStream: (stream) => stream.end(status.UNAVAILABLE, 'not today'),
  });
  t.after(() => server.stop());
  const { client, log } = startClient({ servers: [serverAt(server.port)] });
  t.after(() => client.close());
  await sleep(3000);
  const pauses = log.flatMap((line) =>
    typeof line['retryMs'] === 'number' ? [line['retryMs']] : [],
  );
  assert.ok(pauses.length >= 4 && pauses.length <= 40, `${pauses.join(' ')}`);
  assert.ok(Math.max(...pauses) > 100, `${pauses.join(' ')}`);
  assert.equal(log.filter((line) => line['level'] === 40).length, 1, 'one warning for one reason');
});

test('a server that starts later than the agent is found within moments', async (t) => {
  const [port] = await freePorts(1);
  const { client, log, until } = startClient({ servers: [serverAt(port!)] });
  t.after(() => client.close());
  const pauses = (): number[] =>
    log.flatMap((line) => (typeof line['retryMs'] === 'number' ? [line['retryMs']] : []));
  // without the limit, steps of 10 ms that double are past a second by then
  await until('ten attempts', () => pauses().length >= 10, 30_000);
  assert.ok(Math.max(...pauses()) <= 1000, `${pauses().join(' ')}`);
  assert.ok(Math.max(...pauses()) > 100, `${pauses().join(' ')}`);
  const server = await ScriptedServer.start({
    port: port!,
    onStream: (stream) => stream.end(status.UNAVAILABLE, 'not today'),
  });
  t.after(() => server.stop());
  await until('a stream', () => server.streams.length > 0, 2500);
  // it has been reached: from here on the pauses grow
  await until('a longer pause', () => pauses().at(-1)! > 1000, 60_000);
});

/** Not gRPC at all: bytes on a socket. */
async function rawServer(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

for (const [what, onSocket] of [
  ['garbage', (socket: Socket) => socket.write(Buffer.alloc(4096, 0xa5))],
  ['an HTTP/1 answer', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nhello')],
  ['a closed door', (socket: Socket) => socket.destroy()],
] as const) {
  test(`instead of a server: ${what}`, async (t) => {
    const port = await rawServer(t, onSocket);
    const { client, store, until } = startClient({ servers: [serverAt(port)] });
    t.after(() => client.close());
    await until('several attempts', () => client.status().servers[0]!.reconnects >= 3, 30_000);
    assert.notEqual(client.status().servers[0]!.error, '');
    assert.match(client.status().incomplete, /is away/);
    assert.notEqual(store.incomplete, undefined);
  });
}

test('half a message, then the end: nothing of it is applied', async (t) => {
  const whole = encodeDelta([wire(pod('a', '10.0.0.1')), wire(pod('b', '10.0.0.2'))]);
  const server = createHttp2Server();
  let streams = 0;
  server.on('stream', (stream) => {
    streams++;
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    const length = Buffer.alloc(5);
    length.writeUInt32BE(whole.length, 1);
    stream.write(Buffer.concat([length, whole.subarray(0, whole.length / 2)]));
    // once by an end without a status, once by cutting the connection
    setTimeout(() => (streams % 2 ? stream.end() : stream.session?.destroy()), 20);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { client, updates, until } = startClient({
    servers: [serverAt((server.address() as { port: number }).port)],
  });
  t.after(() => client.close());
  await until('several attempts', () => client.status().servers[0]!.reconnects >= 4, 20_000);
  assert.deepEqual(updates, []);
  assert.notEqual(client.status().servers[0]!.error, '');
});

test('fuzz: no response makes the client lose what it holds, or stop', async (t) => {
  const under = await established(t);
  const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
  const text = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom(uid('f'), '*', '\0', '__proto__'),
  );
  const response = fc.record({
    type_url: fc.oneof(fc.constantFrom(ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL), text),
    nonce: text,
    resources: fc.array(
      fc.record({
        name: text,
        version: text,
        aliases: fc.array(text, { maxLength: 2 }),
        resource: fc.option(
          fc.record({
            type_url: fc.constantFrom(ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL, ''),
            value: fc.oneof(bytes, fc.constant(wire(pod('f', '10.0.0.9')).resource.value)),
          }),
          { nil: undefined },
        ),
      }),
      { maxLength: 4 },
    ),
    removed_resources: fc.array(text, { maxLength: 3 }),
  });
  for (const one of fc.sample(response, 500)) {
    if (one.removed_resources.includes(uid('a'))) continue;
    under.stream.send(one as never);
  }
  push(under.stream, 'end', [wire(pod('end', '10.0.0.7'))]);
  await under.until('the last push', () => under.store.current.workloads.has(uid('end')), 20_000);
  assert.equal(addressOf(under, 'a'), '10.0.0.1');
  assert.equal(addressOf(under, 'b'), '10.0.0.2');
  assert.equal(under.server.streams.length, 1);
  assert.equal({}.constructor, Object);
});

test('a server that meets every answer with the same again is slowed down', async (t) => {
  const a = wire(pod('a', '10.0.0.1')).resource;
  const server = await ScriptedServer.start({
    delta: false,
    onStream: (stream) => {
      const serve = async (): Promise<never> => {
        for (let nonce = 1; ; nonce++) {
          await stream.request((one) => one.type_url === ADDRESS_TYPE_URL, 60_000);
          stream.send({
            type_url: ADDRESS_TYPE_URL,
            version_info: 'v',
            nonce: String(nonce),
            resources: [a],
          } as never);
        }
      };
      serve().catch(() => {}); // the wait ends with the test
    },
  });
  t.after(() => server.stop());
  const { client, until } = startClient({ servers: [serverAt(server.port)] });
  t.after(() => client.close());
  await until('the first push', () => client.status().servers[0]!.bytes > 0);
  await sleep(1000);
  const answers = server.streams[0]!.requests.filter(
    ({ type_url }) => type_url === ADDRESS_TYPE_URL,
  );
  assert.ok(answers.length > 3 && answers.length < 12, `${answers.length} in a second`);
});

test('a clock that jumps changes neither pauses nor order', async (t) => {
  const under = await established(t);
  const RealDate = Date;
  t.after(() => {
    globalThis.Date = RealDate;
  });
  for (const [days, ip] of [
    [-1, '10.5.5.5'],
    [365, '10.6.6.6'],
  ] as const) {
    const offsetMs = days * 86_400_000;
    globalThis.Date = class extends RealDate {
      constructor(...args: []) {
        if (args.length > 0) super(...args);
        else super(RealDate.now() + offsetMs);
      }
      static override now(): number {
        return RealDate.now() + offsetMs;
      }
    } as DateConstructor;
    const streams = under.server.streams.length;
    under.server.streams.at(-1)!.end(status.UNAVAILABLE, 'transport is closing');
    await under.until('another stream', () => under.server.streams.length > streams, 3000);
    push(under.server.streams.at(-1)!, 'n', [wire(pod('a', ip), String(days))]);
    await under.until('the change', () => addressOf(under, 'a') === ip, 3000);
  }
});
