/**
 * Routes whose parent is a Service: producers, consumers, ports, kinds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  consumerNamespaces,
  serviceRoutes,
} from '../../../../src/control/translate/l7/gateway-api/service-routes.ts';
import type { ApiRoute } from '../../../../src/control/translate/l7/gateway-api/view.ts';
import { backend, cluster, grpcRoute, httpRoute, l4Route, toService, world } from './world.ts';

const PORT = { name: 'http', port: 80 };
const ALT = { name: 'alt', port: 8080 };

function routesOf(all: readonly ApiRoute[], client: string | undefined, port = PORT) {
  return serviceRoutes({ namespace: 'shop', name: 'a', port }, client, world(...all));
}

function names(all: readonly ApiRoute[], client: string | undefined, port = PORT) {
  return routesOf(all, client, port)?.routes?.map(({ name }) => name);
}

const producer = httpRoute({ id: 'shop/p', parentRefs: [toService('shop/a')] });
const consumer = httpRoute({ id: 'other/c', parentRefs: [toService('shop/a')] });

test('a producer’s route is for every client', () => {
  for (const client of ['shop', 'other', 'third', undefined]) {
    assert.deepEqual(names([producer], client), ['shop/p/0']);
  }
  assert.deepEqual(consumerNamespaces('shop', 'a', world(producer)), []);
});

test('a consumer’s route is for the clients of its namespace, in place of the producer’s', () => {
  const all = [producer, consumer];
  assert.deepEqual(names(all, 'other'), ['other/c/0']);
  assert.deepEqual(names(all, 'shop'), ['shop/p/0']);
  assert.deepEqual(names(all, 'third'), ['shop/p/0']);
  assert.deepEqual(names(all, undefined), ['shop/p/0']);
  assert.deepEqual(names([consumer], 'shop'), undefined);
  assert.deepEqual(consumerNamespaces('shop', 'a', world(...all)), ['other']);
});

test('a route counts at the ports it names', () => {
  const named = httpRoute({
    id: 'shop/n',
    parentRefs: [toService('shop/a', { sectionName: 'alt' })],
  });
  const numbered = httpRoute({ id: 'shop/m', parentRefs: [toService('shop/a', { port: 8080 })] });
  assert.equal(names([named, numbered], 'shop'), undefined);
  assert.deepEqual(names([named, numbered], 'shop', ALT), ['shop/m/0', 'shop/n/0']);
});

test('GRPCRoutes come before HTTPRoutes', () => {
  const grpc = grpcRoute({ id: 'shop/z', parentRefs: [toService('shop/a')], createdAt: 9 });
  assert.deepEqual(names([producer, grpc], 'shop'), ['shop/z/0', 'shop/p/0']);
});

test('TLSRoutes make chains, the oldest TCPRoute the rest', () => {
  const parentRefs = [toService('shop/a')];
  const to = (name: string) => ({ parentRefs, rules: [{ backendRefs: [backend(name)] }] });
  const found = routesOf(
    [
      l4Route('TCPRoute', { id: 'shop/young', createdAt: 2, ...to('a') }),
      l4Route('TCPRoute', { id: 'shop/old', createdAt: 1, ...to('b') }),
      l4Route('TLSRoute', { id: 'shop/t2', createdAt: 2, hostnames: ['x.e', 'y.e'], ...to('b') }),
      l4Route('TLSRoute', { id: 'shop/t1', createdAt: 1, hostnames: ['x.e'], ...to('gone') }),
    ],
    'shop',
  );
  assert.equal(found?.routes, undefined);
  assert.deepEqual(
    found?.rest?.map((share) => share.cluster),
    [cluster('b')],
  );
  const chains = found?.chains.map(({ match, handler }) => [
    match.serverNames,
    handler.type === 'tcp' && handler.clusters[0]?.cluster,
  ]);
  assert.deepEqual(chains, [
    [['x.e'], 'BlackHoleCluster'],
    [['y.e'], cluster('b')],
  ]);
});

test('no route, nothing said', () => {
  assert.equal(routesOf([], 'shop'), undefined);
});

test('a TLSRoute without host names has every name', () => {
  for (const hostnames of [undefined, []]) {
    const parts = { parentRefs: [toService('shop/a')], ...(hostnames && { hostnames }) };
    const [chain, ...more] = routesOf([l4Route('TLSRoute', parts)], 'shop')?.chains ?? [];
    assert.deepEqual(chain?.match.serverNames, []);
    assert.equal(chain?.match.transport, 'tls');
    assert.deepEqual(more, []);
  }
});
