/**
 * Configuration that depends on who asks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Resource } from '../../../../src/model/resource.ts';
import type { HttpRouteSpec } from '../../../../src/model/resource/virtual-service.ts';
import { node, pod, resource, service, translate } from './translated.ts';

const HOST = 'web.shop.svc.cluster.local';
const WEB = [
  service('shop/web', '10.96.0.1', { http: 80 }),
  pod('shop/web-1', '10.0.0.1', { app: 'web', version: 'v1' }, 'n1'),
  pod('shop/web-2', '10.0.0.2', { app: 'web', version: 'v2' }, 'n2'),
];
const http: readonly HttpRouteSpec[] = [
  { route: [{ destination: { host: HOST } }], timeout: '1s' },
];
const listenerOf = (scope: string): string => `outbound|80|${scope}|${HOST}`;
const listeners = (...resources: Resource[]): string[] =>
  [...translate(...WEB, ...resources).listeners.keys()].sort();

test('a VirtualService that is exported to its own namespace has the scope of that', () => {
  const private_ = resource('VirtualService', 'blog/web', { hosts: [HOST], http, exportTo: ['.'] });
  assert.deepEqual(listeners(private_), [listenerOf('blog')]);
});

test('a private VirtualService stands before a public one, in its namespace', () => {
  const translated = translate(
    ...WEB,
    resource('VirtualService', 'shop/web', { hosts: [HOST], http }),
    resource('VirtualService', 'blog/web', {
      hosts: [HOST],
      http: [{ ...http[0], timeout: '9s' }],
      exportTo: ['.'],
    }),
  );
  const timeout = (scope: string) => {
    const action = translated.routesOf(listenerOf(scope))[0]?.action;
    return action?.type === 'forward' && action.timeoutMs;
  };
  assert.deepEqual([...translated.routes.keys()].sort(), [listenerOf('*'), listenerOf('blog')]);
  assert.deepEqual([timeout('*'), timeout('blog')], [1000, 9000]);
});

test("a DestinationRule of the client's namespace stands before that of the Service's", () => {
  const rule = (path: string, maxRetries: number) =>
    resource('DestinationRule', path, {
      host: HOST,
      trafficPolicy: { connectionPool: { http: { maxRetries } } },
    });
  const translated = translate(
    ...WEB,
    rule('shop/web', 1),
    rule('blog/web', 2),
    rule('istio-system/web', 3),
  );
  const retries = Object.fromEntries(
    [...translated.clusters].map(([name, { limits }]) => [name, limits.maxRetries]),
  );
  assert.deepEqual(retries, {
    [`outbound|80||${HOST}`]: 1,
    [`outbound|80||${HOST}@blog`]: 2,
    [`outbound|80||${HOST}@istio-system`]: 3,
  });
});

test('a DestinationRule of the root namespace is for all', () => {
  const rule = resource('DestinationRule', 'istio-system/all', {
    host: '*.svc.cluster.local',
    trafficPolicy: { outlierDetection: { consecutive5xxErrors: 7 } },
  });
  const translated = translate(...WEB, rule);
  assert.equal(translated.clusters.get(`outbound|80||${HOST}`)?.outliers?.consecutive5xx, 7);
  assert.equal(translated.clusters.size, 1);
});

test('sourceLabels make classes, and pods know theirs', () => {
  const translated = translate(
    ...WEB,
    pod('blog/beta', '10.0.1.1', { app: 'blog', track: 'beta' }),
    pod('blog/main', '10.0.1.2', { app: 'blog' }),
    resource('DestinationRule', 'shop/web', {
      host: HOST,
      subsets: [{ name: 'v2', labels: { version: 'v2' } }],
    }),
    resource('VirtualService', 'shop/web', {
      hosts: [HOST],
      http: [
        {
          match: [{ sourceLabels: { track: 'beta' } }],
          route: [{ destination: { host: HOST, subset: 'v2' } }],
        },
        { route: [{ destination: { host: HOST } }] },
      ],
    }),
  );
  const scope = translated.workload('blog/beta')?.scope ?? '';
  assert.match(scope, /^blog~[0-9a-f]{12}$/);
  assert.equal(translated.workload('blog/main')?.scope, '');
  assert.deepEqual(
    [...translated.listeners.keys()].sort(),
    [listenerOf('*'), listenerOf(scope)].sort(),
  );
  assert.deepEqual(translated.summary(listenerOf('*')), [`prefix / → outbound|80||${HOST} 100`]);
  assert.equal(translated.summary(listenerOf(scope)).length, 2);
});

test('sourceNamespace makes a scope of that namespace', () => {
  const match = [{ sourceNamespace: 'blog' }];
  const service_ = resource('VirtualService', 'shop/web', {
    hosts: [HOST],
    http: [{ match, directResponse: { status: 403 } }, ...http],
  });
  const translated = translate(...WEB, service_);
  assert.deepEqual([...translated.listeners.keys()].sort(), [listenerOf('*'), listenerOf('blog')]);
  assert.deepEqual(translated.summary(listenerOf('blog')).length, 2);
});

test('a Sidecar hides what its namespace does not list', () => {
  const translated = translate(
    ...WEB,
    resource('VirtualService', 'shop/web', { hosts: [HOST], http }),
    resource('Sidecar', 'blog/default', {
      egress: [{ hosts: ['./*', 'istio-system/*'] }],
      outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
    }),
  );
  const { visibility } = translated.translator;
  assert.equal(visibility.serviceVisible('blog', `shop/${HOST}`), false);
  assert.equal(visibility.serviceVisible('other', `shop/${HOST}`), true);
  const handler = translated.listeners.get(listenerOf('blog'))?.defaultChain?.handler;
  assert.ok(handler?.type === 'tcp');
  assert.equal(handler.clusters[0]?.cluster, 'BlackHoleCluster');
});

test('a Service is visible where it is exported to', () => {
  const hidden = service('shop/hidden', '10.96.0.9', { http: 80 }, { exportTo: ['.', 'blog'] });
  const { visibility } = translate(hidden).translator;
  const key = 'shop/hidden.shop.svc.cluster.local';
  const visible = ['shop', 'blog', 'other'].map((name) => visibility.serviceVisible(name, key));
  assert.deepEqual(visible, [true, true, false]);
});

test('locality failover is seen from where the client is', () => {
  const translated = translate(
    ...WEB,
    node('n1', 'eu/a'),
    node('n2', 'eu/b'),
    pod('blog/near', '10.0.1.1', {}, 'n2'),
    resource('DestinationRule', 'shop/web', {
      host: HOST,
      trafficPolicy: {
        loadBalancer: { localityLbSetting: { enabled: true } },
        outlierDetection: {},
      },
    }),
  );
  const scope = translated.workload('blog/near')?.scope ?? '';
  assert.notEqual(scope, '');
  assert.deepEqual(translated.endpoints(`outbound|80||${HOST}@${scope}`), [
    '0 eu/b: 10.0.0.2:80',
    '1 eu/a: 10.0.0.1:80',
  ]);
  assert.deepEqual(translated.endpoints(`outbound|80||${HOST}`), [
    '0 eu/a: 10.0.0.1:80',
    '0 eu/b: 10.0.0.2:80',
  ]);
});

test('the kernel gets its part of a DestinationRule', () => {
  const translated = translate(
    ...WEB,
    resource('DestinationRule', 'shop/web', {
      host: 'web',
      trafficPolicy: {
        loadBalancer: { simple: 'RANDOM' },
        connectionPool: { tcp: { maxConnections: 5 } },
      },
    }),
  );
  const address = translated.addresses.get(`shop/${HOST}`);
  assert.ok(address?.kind === 'service');
  assert.deepEqual([address.service.lbPolicy, address.service.maxConnections], ['random', 5]);
  assert.deepEqual([...translated.listeners.keys()], []);
});

test('a Sidecar lists hosts for one port', () => {
  const translated = translate(
    ...WEB,
    resource('VirtualService', 'shop/web', { hosts: [HOST], http }),
    resource('Sidecar', 'blog/default', {
      egress: [
        { port: { number: 80, protocol: 'HTTP', name: 'a' }, hosts: ['./*'] },
        { hosts: ['*/*'] },
      ],
    }),
  );
  assert.equal(translated.listeners.get(listenerOf('blog'))?.defaultChain?.handler.type, 'tcp');
});
