/**
 * The options that name sources: --kubernetes, --network, --dns, and the origins these give.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDnsRecords } from '../../../src/control/sources/dns/record.ts';
import { parseClusters, parseNetworks } from '../../../src/control/sources/kubernetes/clusters.ts';
import {
  BUILT_IN_KINDS,
  CUSTOM_KINDS,
  originOf,
  parseOrigin,
} from '../../../src/control/sources/kubernetes/kinds.ts';
import { PodwireError } from '../../../src/errors.ts';

const isBadOption = (error: unknown): boolean =>
  error instanceof PodwireError && error.code === 'ERR_BAD_OPTION';

test('--kubernetes: contexts and cluster ids', () => {
  assert.deepEqual(parseClusters('', 'Kubernetes'), [
    { context: undefined, cluster: 'Kubernetes' },
  ]);
  assert.deepEqual(parseClusters('east,arn:aws:eks:eu:1:cluster/west=west', 'own'), [
    { context: 'east', cluster: 'east' },
    { context: 'arn:aws:eks:eu:1:cluster/west', cluster: 'west' },
  ]);
});

for (const text of ['a/b', ',', 'a,', '=a', 'a=', 'a,a', 'a=x,b=x', 'a= ']) {
  test(`--kubernetes ${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => parseClusters(text, 'own'), isBadOption);
  });
}

test('--network: of all clusters, or of each', () => {
  const clusters = parseClusters('east,west', 'own');
  assert.deepEqual([...parseNetworks('', clusters)], []);
  assert.deepEqual(
    [...parseNetworks('n1', clusters)],
    [
      ['east', 'n1'],
      ['west', 'n1'],
    ],
  );
  assert.deepEqual([...parseNetworks('west=n2', clusters)], [['west', 'n2']]);
  for (const text of ['north=n1', 'n 1', 'east=', '=n1']) {
    assert.throws(() => parseNetworks(text, clusters), isBadOption, text);
  }
});

test('--dns: records and Services', () => {
  const [a, b, c] = parseDnsRecords([
    '_HTTP._tcp.Shop.example.=shop/a',
    '_http._tcp.b.example=shop/b:http',
    '_http._tcp.c.example=shop/c:80@10.0.0.1+fd00::1',
  ]);
  assert.deepEqual([a?.name, a?.portName, a?.defines], ['_http._tcp.shop.example', '', undefined]);
  assert.deepEqual([b?.portName, b?.defines], ['http', undefined]);
  assert.deepEqual(c?.defines, { port: 80, addresses: ['10.0.0.1', 'fd00::1'] });
});

for (const text of [
  'shop.example=shop/web',
  '_http._udp.shop.example=shop/web',
  '_http._tcp.shop.example',
  '_http._tcp.shop.example=web',
  '_http._tcp.shop.example=shop/web:0',
  '_http._tcp.shop.example=shop/web:70000',
  '_http._tcp.shop.example=shop/web:80@10.0.0.300',
  '_http._tcp.shop.example=Shop/web',
  `_http._tcp.${'a'.repeat(64)}.example=shop/web`,
]) {
  test(`--dns ${text.slice(0, 60)} is refused`, () => {
    assert.throws(() => parseDnsRecords([text]), isBadOption);
  });
}

test('--dns: one record per Service', () => {
  const texts = ['_http._tcp.a.example=shop/web', '_http._tcp.b.example=shop/web'];
  assert.throws(() => parseDnsRecords(texts), isBadOption);
});

test('an origin leads back to its kind, both Gateways included', () => {
  for (const kind of [...BUILT_IN_KINDS, ...CUSTOM_KINDS]) {
    const parsed = parseOrigin(originOf('east', kind, 'shop', 'x'));
    assert.deepEqual(parsed, { cluster: 'east', kind, namespace: 'shop', name: 'x' });
  }
  const gateways = CUSTOM_KINDS.filter(({ kind }) => kind === 'Gateway');
  assert.equal(new Set(gateways.map((kind) => originOf('east', kind, 'shop', 'x'))).size, 2);
  for (const text of [
    'pods.yaml',
    'dns/_http._tcp.shop.example',
    'east/Secret/a/b',
    'Pod/a/b',
    '',
  ]) {
    assert.equal(parseOrigin(text), undefined, text);
  }
});
