/**
 * Gateways of the Gateway API → listeners, virtual hosts, TLS.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayConfig } from '../../../../src/control/translate/l7/gateway-api/gateway.ts';
import type { ApiRoute } from '../../../../src/control/translate/l7/gateway-api/view.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import type { GatewayApiListener } from '../../../../src/model/resource/gateway-api.ts';
import {
  backend,
  gatewayOf,
  grant,
  GROUP,
  grpcRoute,
  httpRoute,
  l4Route,
  roots,
  secret,
  toGateway,
  world,
} from './world.ts';

type Listeners = readonly Partial<GatewayApiListener>[];

function config(listeners: Listeners, ...others: readonly Resource[]) {
  const gateway = gatewayOf(listeners);
  return gatewayConfig(gateway, world(gateway, ...others));
}

/** domain → names of routes */
function hosts({ routes }: ReturnType<typeof config>, at = 0): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { domains, routes: list } of routes[at]?.virtualHosts ?? []) {
    assert.equal(found[domains.join()], undefined, domains.join());
    found[domains.join()] = list.map(({ name }) => name);
  }
  return found;
}

const route = (
  id: string,
  hostnames: string[] = [],
  sectionName?: string,
  more: Parameters<typeof httpRoute>[0] = {},
): ApiRoute =>
  httpRoute({
    id: `shop/${id}`,
    hostnames,
    parentRefs: [toGateway('shop/gw', sectionName === undefined ? {} : { sectionName })],
    ...more,
  });

const certificate = { group: '', kind: 'Secret', name: 'cert' };
const https = (more: Partial<GatewayApiListener> = {}): Partial<GatewayApiListener> => ({
  port: 443,
  protocol: 'HTTPS',
  tls: { mode: 'Terminate', certificateRefs: [certificate] },
  ...more,
});
const CERT = secret('shop/cert');

test('names, and a plain listener', () => {
  const found = config([{}], route('r'));
  assert.deepEqual(
    found.listeners.map(({ name, direction, port }) => [name, direction, port]),
    [['gateway|80|shop/gw', 'gateway', 80]],
  );
  assert.deepEqual(
    found.routes.map(({ name }) => name),
    ['gateway|80|shop/gw'],
  );
  assert.deepEqual(hosts(found), { '*': ['shop/r/0'] });
  assert.equal(found.verdict.listeners[0]?.attachedRoutes, 1);
  assert.deepEqual(found.verdict.listeners[0]?.supportedKinds, ['HTTPRoute', 'GRPCRoute']);
  assert.equal(found.verdict.listeners[0]?.programmed.ok, true);
});

test('the most specific host name comes first, and what it does not match goes on', () => {
  const found = config(
    [{}],
    route('any'),
    route('wild', ['*.example.com']),
    route('wilder', ['*.a.example.com']),
    route('exact', ['x.a.example.com']),
  );
  assert.deepEqual(hosts(found), {
    '*': ['shop/any/0'],
    '*.example.com': ['shop/wild/0', 'shop/any/0'],
    '*.a.example.com': ['shop/wilder/0', 'shop/wild/0', 'shop/any/0'],
    'x.a.example.com': ['shop/exact/0', 'shop/wilder/0', 'shop/wild/0', 'shop/any/0'],
  });
});

test('listeners of one port are kept apart', () => {
  const listeners = [
    { name: 'any' },
    { name: 'wild', hostname: '*.example.com' },
    { name: 'exact', hostname: 'a.example.com' },
  ];
  const found = config(
    listeners,
    route('r1', [], 'any'),
    route('r2', [], 'wild'),
    // a.example.com is the third listener's, b.example.com the second's
    route('r3', ['a.example.com', 'b.example.com'], 'wild'),
    route('r4', ['b.example.com'], 'any'),
  );
  assert.deepEqual(hosts(found), {
    '*': ['shop/r1/0'],
    '*.example.com': ['shop/r2/0'],
    'a.example.com': [],
    'b.example.com': ['shop/r3/0', 'shop/r2/0'],
  });
});

test('precedence over routes: path, prefix, method, headers, query, age, name, order', () => {
  const to = (...rules: object[]) => ({
    rules: rules.map((match, index) => ({
      name: String(index),
      matches: [{ path: { type: 'PathPrefix', value: '/' }, ...match }] as never,
      backendRefs: [backend('a')],
    })),
  });
  const exact = { path: { type: 'Exact', value: '/a' } };
  const prefix = { path: { type: 'PathPrefix', value: '/a/longer' } };
  const regex = { path: { type: 'RegularExpression', value: '/very/very/long.*' } };
  const headers = [1, 2].map((n) => ({ type: 'Exact', name: `h${n}`, value: '' }));
  const queryParams = [{ type: 'Exact', name: 'q', value: '' }];
  const found = config(
    [{}],
    route('c', [], undefined, { createdAt: 1, ...to({}, {}) }),
    route('b', [], undefined, { createdAt: 2, ...to({}) }),
    route('a', [], undefined, { createdAt: 2, ...to({}) }),
    route('m', [], undefined, {
      createdAt: 9,
      ...to(
        regex,
        { queryParams },
        { headers: headers.slice(1) },
        { headers },
        { method: 'GET' },
        prefix,
        exact,
      ),
    }),
  );
  const order = ['m/6', 'm/5', 'm/4', 'm/3', 'm/2', 'm/1', 'c/0', 'c/1', 'a/0', 'b/0', 'm/0'];
  assert.deepEqual(
    hosts(found)['*'],
    order.map((name) => `shop/${name}`),
  );
});

test('a GRPCRoute that is younger than an HTTPRoute of its host is left out', () => {
  const grpc = grpcRoute({ createdAt: 2, parentRefs: [toGateway('shop/gw')] });
  assert.deepEqual(hosts(config([{}], route('r'), grpc)), { '*': ['shop/r/0'] });
});

test('HTTPS: a chain per host name, with its own routes', () => {
  const found = config(
    [https({ name: 'one', hostname: 'a.example' }), https({ name: 'rest' })],
    CERT,
    route('r1', [], 'one'),
    route('r2', [], 'rest'),
  );
  const [listener] = found.listeners;
  assert.equal(found.listeners.length, 1);
  assert.equal(listener?.name, 'gateway|443|shop/gw');
  assert.equal(listener?.inspectTls, true);
  assert.deepEqual(
    listener?.chains.map(({ match, tls, handler }) => [
      match.serverNames,
      tls?.certificates,
      tls?.alpn,
      handler.type === 'http' && handler.routes.type === 'rds' && handler.routes.name,
    ]),
    [
      [['a.example'], ['kubernetes://shop/cert'], ['h2', 'http/1.1'], 'gateway|443|shop/gw|one'],
      [[], ['kubernetes://shop/cert'], ['h2', 'http/1.1'], 'gateway|443|shop/gw|rest'],
    ],
  );
  assert.deepEqual(hosts(found, 0), { 'a.example': ['shop/r1/0'] });
  assert.deepEqual(hosts(found, 1), { '*': ['shop/r2/0'] });
});

interface TlsCase {
  readonly name: string;
  readonly tls: GatewayApiListener['tls'];
  readonly resources?: readonly Resource[];
  /** reason of ResolvedRefs */
  readonly reason: string;
  readonly finding?: string;
}
const AT = 'spec.listeners[0].tls';
const terminate = (more: object = {}) =>
  ({ mode: 'Terminate', certificateRefs: [{ ...certificate, ...more }] }) as const;
const verified = (reference: object) => ({
  ...terminate(),
  frontendValidation: { caCertificateRefs: [{ ...certificate, ...reference }] },
});
const TLS: readonly TlsCase[] = [
  { name: 'found', tls: terminate(), resources: [CERT], reason: 'ResolvedRefs' },
  {
    name: 'missing',
    tls: terminate(),
    reason: 'InvalidCertificateRef',
    finding: `SECRET_UNKNOWN ${AT}.certificateRefs[0]`,
  },
  {
    name: 'none named',
    tls: { mode: 'Terminate' },
    reason: 'InvalidCertificateRef',
    finding: `SECRET_UNKNOWN ${AT}.certificateRefs`,
  },
  {
    name: 'another kind',
    tls: terminate({ kind: 'ConfigMap' }),
    reason: 'InvalidCertificateRef',
    finding: `NOT_SUPPORTED ${AT}.certificateRefs[0]`,
  },
  {
    name: 'without key',
    tls: terminate(),
    resources: [roots('shop/cert')],
    reason: 'InvalidCertificateRef',
    finding: `SECRET_UNKNOWN ${AT}.certificateRefs[0]`,
  },
  {
    name: 'of another namespace',
    tls: terminate({ namespace: 'other' }),
    resources: [secret('other/cert')],
    reason: 'RefNotPermitted',
    finding: `REFERENCE_NOT_PERMITTED ${AT}.certificateRefs[0]`,
  },
  {
    name: 'of another namespace, granted',
    tls: terminate({ namespace: 'other' }),
    resources: [secret('other/cert'), grant('other', 'shop', 'Gateway', 'Secret')],
    reason: 'ResolvedRefs',
  },
  {
    name: 'clients verified',
    tls: verified({ name: 'ca' }),
    resources: [CERT, roots('shop/ca')],
    reason: 'ResolvedRefs',
  },
  {
    name: 'roots in a ConfigMap: closed',
    tls: verified({ kind: 'ConfigMap', name: 'ca' }),
    resources: [CERT],
    reason: 'InvalidCertificateRef',
    finding: `NOT_SUPPORTED ${AT}.frontendValidation.caCertificateRefs[0]`,
  },
  {
    name: 'roots missing: closed',
    tls: verified({ name: 'ca' }),
    resources: [CERT],
    reason: 'InvalidCertificateRef',
    finding: `SECRET_UNKNOWN ${AT}.frontendValidation.caCertificateRefs[0]`,
  },
];
for (const { name, tls, resources = [], reason, finding } of TLS) {
  test(`certificate ${name}`, () => {
    const found = config([https({ tls: tls! })], ...resources);
    assert.equal(found.verdict.listeners[0]?.resolvedRefs.reason, reason);
    const served = reason === 'ResolvedRefs';
    assert.equal(found.verdict.listeners[0]?.programmed.ok, served);
    assert.equal(found.listeners.length, served ? 1 : 0);
    assert.deepEqual(
      found.findings.map(({ code, path }) => `${code} ${path}`),
      finding === undefined ? [] : [finding],
    );
  });
}

test('verified clients must show a certificate', () => {
  const found = config([https({ tls: verified({ name: 'ca' }) })], CERT, roots('shop/ca'));
  const tls = found.listeners[0]?.chains[0]?.tls;
  assert.equal(tls?.requireClientCertificate, true);
  assert.equal(tls?.validation?.roots, 'kubernetes://shop/ca-cacert');
});

const parentRefs = [toGateway('shop/gw')];

test('TLS passthrough: server names of TLSRoutes, the oldest has a name', () => {
  const listener = { port: 443, protocol: 'TLS', hostname: '*.x', tls: { mode: 'Passthrough' } };
  const found = config(
    [listener as GatewayApiListener],
    l4Route('TLSRoute', { id: 'shop/t2', createdAt: 2, parentRefs, hostnames: ['a.x', 'b.x'] }),
    l4Route('TLSRoute', { id: 'shop/t1', createdAt: 1, parentRefs, hostnames: ['a.x', 'a.y'] }),
  );
  const chains = found.listeners[0]?.chains.map(({ name, match, tls }) => [
    name,
    match.serverNames,
    tls,
  ]);
  assert.deepEqual(chains, [
    ['shop/t1', ['a.x'], undefined],
    ['shop/t2', ['b.x'], undefined],
  ]);
});

test('TLS that ends here carries a TCPRoute', () => {
  const found = config(
    [https({ protocol: 'TLS', hostname: 'a.x' })],
    CERT,
    l4Route('TCPRoute', { parentRefs }),
  );
  const [chain] = found.listeners[0]?.chains ?? [];
  assert.deepEqual(chain?.match.serverNames, ['a.x']);
  assert.deepEqual(chain?.tls?.certificates, ['kubernetes://shop/cert']);
  assert.equal(chain?.handler.type, 'tcp');
});

test('TCP: the oldest TCPRoute has the port', () => {
  const found = config(
    [{ port: 5432, protocol: 'TCP' }],
    l4Route('TCPRoute', { id: 'shop/young', createdAt: 2, parentRefs }),
    l4Route('TCPRoute', {
      id: 'shop/old',
      createdAt: 1,
      parentRefs,
      rules: [{ backendRefs: [backend('b')] }],
    }),
  );
  const handler = found.listeners[0]?.defaultChain?.handler;
  assert.ok(handler?.type === 'tcp');
  assert.equal(handler.clusters[0]?.cluster, 'outbound|80||b.shop.svc.cluster.local');
  assert.deepEqual(found.routes, []);
});

const REFUSED: readonly [string, Listeners, (string | undefined)[]][] = [
  [
    'two protocols',
    [{}, https({ port: 80 }), { port: 81 }],
    ['ProtocolConflict', 'ProtocolConflict', undefined],
  ],
  [
    'one host name twice',
    [{ hostname: 'a' }, { hostname: 'A' }, {}],
    ['HostnameConflict', 'HostnameConflict', undefined],
  ],
  [
    'TCP twice',
    [{ protocol: 'TCP' }, { protocol: 'TCP' }],
    ['HostnameConflict', 'HostnameConflict'],
  ],
  [
    'HTTPS and TLS of other names',
    [https({ hostname: 'a' }), https({ hostname: 'b', protocol: 'TLS' })],
    [undefined, undefined],
  ],
  ['UDP', [{ protocol: 'UDP' }, {}], ['UnsupportedProtocol', undefined]],
];
for (const [name, listeners, reasons] of REFUSED) {
  test(`listeners: ${name}`, () => {
    const found = config(listeners, CERT);
    assert.deepEqual(
      found.verdict.listeners.map(({ accepted }) => (accepted.ok ? undefined : accepted.reason)),
      reasons,
    );
    assert.equal(found.findings.length, reasons.filter((reason) => reason !== undefined).length);
  });
}

test('kinds that the protocol cannot carry are said', () => {
  const allowedRoutes = {
    namespaces: { from: 'Same' },
    kinds: [
      { group: GROUP, kind: 'TCPRoute' },
      { group: GROUP, kind: 'HTTPRoute' },
    ],
  } as const;
  const [verdict] = config([{ allowedRoutes }]).verdict.listeners;
  assert.equal(verdict?.resolvedRefs.reason, 'InvalidRouteKinds');
  assert.deepEqual(verdict?.supportedKinds, ['HTTPRoute']);
});

test('addresses are not supported', () => {
  const gateway = gatewayOf([{}], { addresses: [{ type: 'IPAddress', value: '10.0.0.1' }] });
  const { findings } = gatewayConfig(gateway, world(gateway));
  assert.deepEqual(
    findings.map(({ code, path }) => `${code} ${path}`),
    ['NOT_SUPPORTED spec.addresses'],
  );
});

test('a route with two names that fit a host is there once, where the closer one puts it', () => {
  const found = config([{}], route('both', ['*.x', 'a.x']), route('wild', ['*.x']));
  assert.deepEqual(hosts(found), {
    '*': [],
    '*.x': ['shop/both/0', 'shop/wild/0'],
    'a.x': ['shop/both/0', 'shop/wild/0'],
  });
});

test('TLS listeners of one port are kept apart', () => {
  const passthrough = { port: 443, protocol: 'TLS', tls: { mode: 'Passthrough' } } as const;
  const to = (sectionName: string) => [toGateway('shop/gw', { sectionName })];
  const found = config(
    [
      { ...passthrough, name: 'wild', hostname: '*.x' },
      { ...passthrough, name: 'exact', hostname: 'a.x' },
    ],
    l4Route('TLSRoute', { id: 'shop/t', hostnames: ['a.x', 'b.x'], parentRefs: to('wild') }),
  );
  const names = found.listeners[0]?.chains.map(({ match }) => match.serverNames);
  assert.deepEqual(names, [['b.x']]);
});
