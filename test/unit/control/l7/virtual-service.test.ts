/**
 * Istio's documented examples of traffic management, as what the proxy is told.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpRouteSpec } from '../../../../src/model/resource/virtual-service.ts';
import type { ForwardAction } from '../../../../src/model/route.ts';
import { pod, resource, service, translate } from './translated.ts';

const HOST = 'reviews.shop.svc.cluster.local';
const LISTENER = `outbound|9080|*|${HOST}`;
const cluster = (subset: string, scope = ''): string => `outbound|9080|${subset}|${HOST}${scope}`;

const REVIEWS = [
  service('shop/reviews', '10.96.0.1', { http: 9080 }),
  pod('shop/reviews-v1', '10.0.0.1', { app: 'reviews', version: 'v1' }),
  pod('shop/reviews-v2', '10.0.0.2', { app: 'reviews', version: 'v2' }),
  pod('shop/reviews-v3', '10.0.0.3', { app: 'reviews', version: 'v3' }),
];
const subsets = ['v1', 'v2', 'v3'].map((name) => ({ name, labels: { version: name } }));
const RULE = resource('DestinationRule', 'shop/reviews', { host: 'reviews', subsets });

const virtualService = (http: readonly HttpRouteSpec[], path = 'shop/reviews', more = {}) =>
  resource('VirtualService', path, { hosts: [HOST], http, ...more });

const to = (subset: string, weight?: number) => ({
  destination: { host: 'reviews', subset },
  ...(weight === undefined ? {} : { weight }),
});

function forwardOf(http: HttpRouteSpec): ForwardAction {
  const translated = translate(...REVIEWS, RULE, virtualService([http]));
  const [route] = translated.routesOf(LISTENER);
  assert.ok(route?.action.type === 'forward');
  return route.action;
}

test('a Service without traffic rules needs no proxy', () => {
  const translated = translate(...REVIEWS);
  assert.deepEqual([...translated.listeners, ...translated.routes, ...translated.clusters], []);
});

test('subsets that no route names need no proxy', () => {
  assert.deepEqual([...translate(...REVIEWS, RULE).listeners.keys()], []);
});

test('bookinfo: canary by weight', () => {
  const translated = translate(
    ...REVIEWS,
    RULE,
    virtualService([{ route: [to('v1', 90), to('v2', 10)] }]),
  );
  assert.deepEqual([...translated.listeners.keys()], [LISTENER]);
  assert.deepEqual(translated.summary(LISTENER), [
    `prefix / → ${cluster('v1')} 90, ${cluster('v2')} 10`,
  ]);
  assert.deepEqual(translated.endpoints(cluster('v1')), ['0 : 10.0.0.1:9080']);
  assert.deepEqual(translated.endpoints(cluster('v2')), ['0 : 10.0.0.2:9080']);
  const listener = translated.listeners.get(LISTENER);
  assert.deepEqual(listener?.addresses, ['10.96.0.1']);
  assert.equal(listener?.defaultChain?.handler.type, 'http');
  assert.equal(translated.clusters.has(cluster('v3')), false);
});

test('bookinfo: by header, then the rest', () => {
  const translated = translate(
    ...REVIEWS,
    RULE,
    virtualService([
      { match: [{ headers: { 'end-user': { exact: 'jason' } } }], route: [to('v2')] },
      { route: [to('v3')] },
    ]),
  );
  assert.deepEqual(translated.summary(LISTENER), [
    `prefix / end-user=jason → ${cluster('v2')} 100`,
    `prefix / → ${cluster('v3')} 100`,
  ]);
});

test('matches of one route are routes of their own, in order', () => {
  const translated = translate(
    ...REVIEWS,
    RULE,
    virtualService([
      {
        name: 'api',
        match: [
          { name: 'exact', uri: { exact: '/a' }, method: { exact: 'GET' } },
          {
            uri: { regex: '/b/.*' },
            withoutHeaders: { 'x-beta': {} },
            queryParams: { q: { exact: '1' } },
          },
          { uri: { prefix: '/c' }, port: 81 },
        ],
        route: [to('v1')],
      },
    ]),
  );
  assert.deepEqual(translated.summary(LISTENER), [
    `exact /a :method=GET → ${cluster('v1')} 100`,
    `regex /b/.* !x-beta=present → ${cluster('v1')} 100`,
  ]);
  assert.deepEqual(
    translated.routesOf(LISTENER).map(({ name }) => name),
    ['api.exact', 'api'],
  );
});

test('Istio retries twice and has no timeout where nothing is said', () => {
  const { retry, timeoutMs } = forwardOf({ route: [to('v1')] });
  assert.equal(timeoutMs, 0);
  assert.equal(retry?.attempts, 2);
  assert.deepEqual(retry?.on.slice(0, 2), ['connect-failure', 'refused-stream']);
});

test('timeouts and retries', () => {
  const { retry, timeoutMs } = forwardOf({
    route: [to('v1')],
    timeout: '1.5s',
    retries: { attempts: 3, perTryTimeout: '200ms', retryOn: '5xx,409' },
  });
  assert.equal(timeoutMs, 1500);
  assert.equal(retry?.perTryTimeoutMs, 200);
  assert.deepEqual(retry?.on, ['5xx', 'retriable-status-codes']);
  assert.deepEqual(retry?.statusCodes, [409]);
  assert.equal(forwardOf({ route: [to('v1')], retries: { attempts: 0 } }).retry, undefined);
});

test('mirroring', () => {
  const mirrored = forwardOf({
    route: [to('v1')],
    mirror: { host: 'reviews', subset: 'v2' },
    mirrorPercentage: { value: 12.5 },
  });
  assert.deepEqual(mirrored.mirrors, [{ cluster: cluster('v2'), fraction: 125_000 }]);
});

test('fault injection', () => {
  const translated = translate(
    ...REVIEWS,
    RULE,
    virtualService([
      {
        route: [to('v1')],
        fault: {
          delay: { fixedDelay: '7s', percentage: { value: 100 } },
          abort: { httpStatus: 500, percentage: { value: 0.5 } },
        },
      },
    ]),
  );
  assert.deepEqual(translated.routesOf(LISTENER)[0]?.filters.fault, {
    delay: { ms: 7000, fraction: 1_000_000 },
    abort: { status: { type: 'http', code: 500 }, fraction: 5000 },
    headers: [],
  });
});

test('rewrite, and headers added, set and removed', () => {
  const http: HttpRouteSpec = {
    route: [to('v1')],
    rewrite: { uri: '/v1', authority: 'other' },
    headers: {
      request: { set: { 'x-a': '1', Host: 'ignored' }, add: { 'x-b': '2' }, remove: ['x-c'] },
      response: { remove: ['server'] },
    },
  };
  const { pathRewrite, hostRewrite } = forwardOf(http);
  assert.deepEqual(pathRewrite, { type: 'prefix', value: '/v1' });
  assert.deepEqual(hostRewrite, { type: 'literal', value: 'other' });
  const [route] = translate(...REVIEWS, RULE, virtualService([http])).routesOf(LISTENER);
  assert.deepEqual(route?.requestHeaders, {
    edits: [
      { name: 'x-a', value: '1', action: 'set' },
      { name: 'x-b', value: '2', action: 'append' },
    ],
    remove: ['x-c'],
  });
});

test('redirect and direct response', () => {
  const translated = translate(
    ...REVIEWS,
    virtualService([
      {
        match: [{ uri: { exact: '/old' } }],
        redirect: { uri: '/new', authority: 'b', derivePort: 'FROM_REQUEST_PORT' },
      },
      { directResponse: { status: 418, body: { string: 'no' } } },
    ]),
  );
  const [redirect, direct] = translated.routesOf(LISTENER).map(({ action }) => action);
  assert.deepEqual(redirect, {
    type: 'redirect',
    scheme: undefined,
    host: 'b',
    port: 9080,
    path: { type: 'whole', value: '/new' },
    status: 301,
    stripQuery: false,
  });
  assert.deepEqual(direct, { type: 'respond', status: 418, body: new Uint8Array([110, 111]) });
});

test('a delegate narrows the matches of its root', () => {
  const translated = translate(
    ...REVIEWS,
    RULE,
    virtualService([
      { match: [{ uri: { prefix: '/api' } }], delegate: { name: 'team', namespace: 'team' } },
    ]),
    resource('VirtualService', 'team/team', {
      http: [
        {
          match: [{ uri: { prefix: '/api/v2' } }],
          route: [{ destination: { host: HOST, subset: 'v2' } }],
        },
        {
          match: [{ uri: { prefix: '/other' } }],
          route: [{ destination: { host: HOST, subset: 'v3' } }],
        },
        { route: [{ destination: { host: HOST, subset: 'v1' } }] },
      ],
    }),
  );
  assert.deepEqual(translated.summary(LISTENER), [
    `prefix /api/v2 → ${cluster('v2')} 100`,
    `prefix /api → ${cluster('v1')} 100`,
  ]);
});

test('a subset that does not exist leads to a cluster that does not', () => {
  const translated = translate(...REVIEWS, virtualService([{ route: [to('v9')] }]));
  assert.deepEqual(translated.summary(LISTENER), [`prefix / → ${cluster('v9')} 100`]);
  assert.equal(translated.clusters.has(cluster('v9')), false);
});

test('the most specific host wins, then the oldest', () => {
  const route = (subset: string, path: string, hosts: string[], createdAt: number) =>
    resource('VirtualService', path, { hosts, http: [{ route: [to(subset)] }] }, { createdAt });
  const translated = translate(
    ...REVIEWS,
    RULE,
    route('v1', 'shop/a', ['*'], 1),
    route('v2', 'shop/b', ['reviews'], 3),
    route('v3', 'shop/c', ['reviews'], 2),
  );
  assert.deepEqual(translated.summary(LISTENER), [`prefix / → ${cluster('v3')} 100`]);
});

test('a VirtualService of another gateway says nothing about the mesh', () => {
  const http = [{ route: [to('v1')] }];
  const translated = translate(...REVIEWS, virtualService(http, 'shop/a', { gateways: ['edge'] }));
  assert.deepEqual([...translated.listeners.keys()], []);
});

test('tcp and tls routes', () => {
  const translated = translate(
    service('shop/db', '10.96.0.2', { mysql: 3306, tls: 443 }),
    resource('VirtualService', 'shop/db', {
      hosts: ['db'],
      tcp: [
        {
          match: [{ port: 3306, destinationSubnets: ['10.1.0.0/16'] }],
          route: [{ destination: { host: 'a' } }],
        },
        {
          route: [
            { destination: { host: 'db' }, weight: 1 },
            { destination: { host: 'b' }, weight: 3 },
          ],
        },
      ],
      tls: [
        {
          match: [{ port: 443, sniHosts: ['x.example', '*.y.example'] }],
          route: [{ destination: { host: 'db' } }],
        },
      ],
    }),
  );
  const db = 'db.shop.svc.cluster.local';
  const tcp = translated.listeners.get(`outbound|3306|*|${db}`);
  assert.deepEqual(tcp?.chains[0]?.match.destinations, [{ address: '10.1.0.0', length: 16 }]);
  const rest = tcp?.defaultChain?.handler;
  assert.deepEqual(
    rest?.type === 'tcp' && rest.clusters.map((share) => [share.cluster, share.weight]),
    [
      [`outbound|3306||${db}`, 1],
      [`outbound|3306||b.shop.svc.cluster.local`, 3],
    ],
  );
  const tls = translated.listeners.get(`outbound|443|*|${db}`);
  assert.deepEqual(tls?.chains[0]?.match.serverNames, ['x.example', '*.y.example']);
  assert.equal(tls?.inspectTls, true);
});

test('a port of unknown protocol is sniffed where it has HTTP routes', () => {
  const translated = translate(
    service('shop/reviews', '10.96.0.1', { main: 9080 }),
    virtualService([{ route: [{ destination: { host: 'reviews' } }] }]),
  );
  const listener = translated.listeners.get(LISTENER);
  assert.equal(listener?.inspectHttp, true);
  assert.equal(listener?.defaultChain?.handler.type, 'tcp');
});
