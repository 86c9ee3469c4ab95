/**
 * DNS as a source, against a real DNS server, and against one that lies.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test, type TestContext } from 'node:test';
import { decode, encode, type Packet } from 'dns-packet';
import { ControlCore } from '../../../src/control/core.ts';
import { parseDnsRecords } from '../../../src/control/sources/dns/record.ts';
import {
  DnsError,
  DnsResolver,
  type DnsServer,
} from '../../../src/control/sources/dns/resolver.ts';
import { DnsSource } from '../../../src/control/sources/dns/source.ts';
import { translateOptions } from '../../../src/control/translate/options.ts';
import { createLog } from '../../../src/log.ts';
import type { Workload } from '../../../src/model/workload.ts';
import { Dnsmasq, type Zone } from '../../support/dnsmasq.ts';
import { Watched } from '../../unit/control/temporary-folder.ts';

const RECORD = '_http._tcp.shop.example';
const TIMING = { leastMs: 100, mostMs: 300, retryFirstMs: 100, retryMaxMs: 200 };

async function dnsmasq(t: TestContext, zone: Zone): Promise<Dnsmasq> {
  const server = await Dnsmasq.start(zone);
  t.after(() => server.stop());
  return server;
}

async function mesh(
  t: TestContext,
  server: DnsServer,
  options: readonly string[],
): Promise<Watched> {
  const watched = new Watched();
  const records = parseDnsRecords(options);
  const log = createLog({ level: 'silent', pretty: false });
  const core = new ControlCore({
    sources: [new DnsSource(records, new DnsResolver([server], 300), TIMING)],
    translate: translateOptions({ clusterId: 'Kubernetes', trustDomain: 'cluster.local' }),
    log,
    onUpdate: (update) => watched.receive(update),
  });
  t.after(() => core.close());
  await core.start();
  return watched;
}

/** address:target port=weight of every endpoint */
function endpoints(watched: Watched): string[] {
  const workloads = [...watched.addresses.values()].flatMap((address): Workload[] =>
    address.kind === 'workload' ? [address.workload] : [],
  );
  const ports = ({ services }: Workload): string =>
    [...services.values()].flatMap((targets) => targets.map(({ targetPort }) => targetPort)).join();
  return workloads.map((one) => `${one.addresses[0]}:${ports(one)}=${one.capacity}`).sort();
}

test('a record is a Service with its endpoints, and follows the zone', async (t) => {
  const server = await dnsmasq(t, {
    hosts: {
      'a.example': ['10.9.0.1', 'fd00::1'],
      'b.example': ['10.9.0.2'],
      'spare.example': ['10.9.0.9'],
    },
    srv: [
      `${RECORD},a.example,8080,1,30`,
      `${RECORD},b.example,8081,1,10`,
      `${RECORD},spare.example,8080,2,10`,
    ],
  });
  const watched = await mesh(t, server.server, [`${RECORD}=shop/web:80@10.96.7.7`]);
  const service = watched.service('shop/web');
  assert.deepEqual(service?.addresses, ['10.96.7.7']);
  assert.deepEqual(endpoints(watched), ['10.9.0.1:8080=30', '10.9.0.2:8081=10', 'fd00::1:8080=30']);
  assert.deepEqual(watched.findings, []);

  await server.serve({ hosts: { 'c.example': ['10.9.0.3'] }, srv: [`${RECORD},c.example,9000`] });
  await watched.until(() => endpoints(watched).join() === '10.9.0.3:9000=1');
  const { updates } = watched;
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.equal(watched.updates, updates, 'the same answer is no news');
});

test('a name that is gone has no endpoints; a server that cannot say changes nothing', async (t) => {
  const zone = { hosts: { 'a.example': ['10.9.0.1'] }, srv: [`${RECORD},a.example,8080`] };
  const server = await dnsmasq(t, zone);
  const watched = await mesh(t, server.server, [`${RECORD}=shop/web:80`]);
  assert.equal(endpoints(watched).length, 1);
  await server.stop();
  await watched.until(() => watched.codes.includes('DNS_UNAVAILABLE'));
  assert.equal(endpoints(watched).length, 1, 'kept');
  await server.serve({});
  await watched.until(() => endpoints(watched).length === 0);
  await watched.until(() => !watched.codes.includes('DNS_UNAVAILABLE'));
  assert.ok(watched.service('shop/web'), 'the Service itself is configured');
  await server.serve(zone);
  await watched.until(() => endpoints(watched).length === 1);
});

test('endpoints for a Service that comes from elsewhere name its port', async (t) => {
  const server = await dnsmasq(t, {
    hosts: { 'a.example': ['10.9.0.1'] },
    srv: [`${RECORD},a.example,8080`],
  });
  const watched = await mesh(t, server.server, [`${RECORD}=shop/web:http`]);
  assert.equal(watched.service('shop/web'), undefined);
  assert.deepEqual(watched.codes, ['SERVICE_UNKNOWN']);
});

test('addresses that are no endpoints are refused', async (t) => {
  const server = await dnsmasq(t, {
    hosts: {
      'a.example': ['127.0.0.1'],
      'b.example': ['169.254.169.254'],
      'c.example': ['0.0.0.0'],
      'd.example': ['fe80::1'],
      'e.example': ['10.9.0.1'],
    },
    srv: ['a', 'b', 'c', 'd', 'e', 'nowhere'].map((host) => `${RECORD},${host}.example,8080`),
  });
  const watched = await mesh(t, server.server, [`${RECORD}=shop/web:80`]);
  assert.deepEqual(endpoints(watched), ['10.9.0.1:8080=1']);
  assert.equal(watched.codes.filter((code) => code === 'DNS_INVALID').length, 5);
});

test('an answer too large for a datagram is whole', async (t) => {
  const names = Array.from({ length: 60 }, (_, i) => `host-with-quite-a-long-name-${i}.example`);
  const server = await dnsmasq(t, {
    hosts: Object.fromEntries(names.map((name, i) => [name, [`10.9.1.${i + 1}`]])),
    srv: names.map((name) => `${RECORD},${name},8080`),
  });
  const watched = await mesh(t, server.server, [`${RECORD}=shop/web:80`]);
  assert.equal(endpoints(watched).length, 60);
});

/** Answers every question with what `lie` makes of the right answer; nothing at all for undefined. */
async function liar(
  t: TestContext,
  lie: (answer: Packet, query: Packet) => Buffer | undefined,
): Promise<DnsServer> {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.on('message', (message, from) => {
    const query = decode(message);
    const answer: Packet = {
      type: 'response',
      id: query.id ?? 0,
      questions: query.questions ?? [],
      answers: [{ type: 'A', name: 'a.example', ttl: 60, data: '10.9.0.1' }],
    };
    const reply = lie(answer, query);
    if (reply !== undefined) socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { address: '127.0.0.1', port: socket.address().port };
}

const REFUSED = 5;
const SERVFAIL = 2;
const LIES: readonly [string, (answer: Packet) => Buffer | undefined][] = [
  ['silence', () => undefined],
  ['noise', () => Buffer.from('not DNS at all')],
  ['nothing', () => Buffer.alloc(0)],
  ['another id', (answer) => encode({ ...answer, id: (answer.id ?? 0) ^ 1 })],
  [
    'another question',
    (answer) => encode({ ...answer, questions: [{ type: 'A', name: 'evil.example' }] }),
  ],
  ['a query', (answer) => encode({ ...answer, type: 'query' })],
  ['SERVFAIL', (answer) => encode({ ...answer, flags: SERVFAIL })],
  ['REFUSED', (answer) => encode({ ...answer, flags: REFUSED })],
  ['half an answer', (answer) => encode(answer).subarray(0, 20)],
];

for (const [what, lie] of LIES) {
  test(`no answer: ${what}`, async (t) => {
    const resolver = new DnsResolver([await liar(t, lie)], 150);
    await assert.rejects(resolver.ask('a.example', 'A', AbortSignal.timeout(5000)), DnsError);
  });
}

test('records of other names in an answer are not taken', async (t) => {
  const server = await liar(t, (answer) =>
    encode({
      ...answer,
      answers: [
        { type: 'A', name: 'evil.example', ttl: 60, data: '10.6.6.6' },
        { type: 'CNAME', name: 'a.example', ttl: 5, data: 'b.example' },
        { type: 'A', name: 'b.example', ttl: 60, data: '10.9.0.2' },
      ],
    }),
  );
  const answer = await new DnsResolver([server], 500).ask(
    'a.example',
    'A',
    AbortSignal.timeout(5000),
  );
  assert.ok(answer.kind === 'records');
  assert.deepEqual(
    answer.answers.map((one) => ('data' in one ? one.data : undefined)),
    ['10.9.0.2'],
  );
  assert.equal(answer.ttlSeconds, 5);
});

test('the next server is asked when one is silent', async (t) => {
  const silent = await liar(t, () => undefined);
  const good = await liar(t, (answer) => encode(answer));
  const answer = await new DnsResolver([silent, good], 150).ask(
    'a.example',
    'A',
    AbortSignal.timeout(5000),
  );
  assert.equal(answer.kind, 'records');
});
