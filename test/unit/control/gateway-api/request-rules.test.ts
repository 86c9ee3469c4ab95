/**
 * Rules of HTTPRoutes and GRPCRoutes, feature by feature, as the specification says.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiReport } from '../../../../src/control/translate/l7/gateway-api/report.ts';
import { requestRules } from '../../../../src/control/translate/l7/gateway-api/request-rules.ts';
import type { RequestRoute } from '../../../../src/control/translate/l7/gateway-api/view.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import type {
  ApiRouteFilter,
  GrpcApiRouteMatch,
  HttpApiBackendReference,
  HttpApiRouteMatch,
  HttpApiRouteRule,
} from '../../../../src/model/resource/gateway-api.ts';
import type { Route, RouteAction } from '../../../../src/model/route.ts';
import { backend, cluster, grant, grpcRoute, httpRoute, world } from './world.ts';

interface Translated {
  readonly routes: readonly Route[];
  /** code path */
  readonly findings: readonly string[];
  readonly unresolved: string | undefined;
}

function translate(
  route: RequestRoute,
  { port = 80, tls = false, resources = [] as Resource[] } = {},
): Translated {
  const report = new ApiReport(route);
  const context = { route, view: world(...resources), port, tls, report };
  return {
    routes: requestRules(route, context).map((one) => one.route),
    findings: report.findings.map(({ code, path }) => `${code} ${path}`),
    unresolved: report.unresolved?.reason,
  };
}

const rule = (parts: Partial<HttpApiRouteRule>, options = {}): Translated =>
  translate(httpRoute({ rules: [{ backendRefs: [backend('a')], ...parts }] }), options);

const path = (type: HttpApiRouteMatch['path']['type'], value: string): HttpApiRouteMatch => ({
  path: { type, value },
});

function forwarded({ routes }: Translated, at = 0) {
  const action = routes[at]!.action;
  assert.equal(action.type, 'forward');
  return action as Extract<RouteAction, { type: 'forward' }>;
}

function shares(translated: Translated): [string, number][] {
  const { clusters } = forwarded(translated);
  assert.equal(clusters.type, 'weighted');
  return clusters.type === 'weighted'
    ? clusters.choices.map((choice) => [choice.cluster, choice.weight])
    : [];
}

const status = ({ routes }: Translated): unknown => {
  const { action } = routes[0]!;
  return action.type === 'respond' ? action.status : action.type;
};

const PATHS: readonly [HttpApiRouteMatch, object][] = [
  [path('Exact', '/a'), { type: 'exact', value: '/a' }],
  [path('PathPrefix', '/'), { type: 'prefix', value: '/' }],
  [path('PathPrefix', '/a'), { type: 'segment-prefix', value: '/a' }],
  [path('PathPrefix', '/a/'), { type: 'segment-prefix', value: '/a' }],
  [path('RegularExpression', '/a.*'), { type: 'regex', value: '/a.*' }],
];
for (const [match, expected] of PATHS) {
  test(`path ${match.path.type} ${match.path.value}`, () => {
    assert.deepEqual(rule({ matches: [match] }).routes[0]!.match.path, expected);
  });
}

test('a rule without matches matches everything', () => {
  assert.deepEqual(rule({}).routes[0]!.match.path, { type: 'prefix', value: '/' });
});

test('headers, query parameters and method', () => {
  const match: HttpApiRouteMatch = {
    ...path('PathPrefix', '/'),
    method: 'POST',
    headers: [
      { type: 'Exact', name: 'X-A', value: '1' },
      { type: 'Exact', name: 'x-a', value: 'ignored: the name is there already' },
      { type: 'RegularExpression', name: 'b', value: '[0-9]' },
    ],
    queryParams: [{ type: 'Exact', name: 'Q', value: 'v' }],
  };
  const [route] = rule({ matches: [match] }).routes;
  const matches = route!.match.headers.map(({ name, match: wanted }) => [
    name,
    wanted.type,
    'value' in wanted && wanted.value,
  ]);
  assert.deepEqual(matches, [
    [':method', 'exact', 'POST'],
    ['x-a', 'exact', '1'],
    ['b', 'regex', '[0-9]'],
  ]);
  assert.deepEqual(route!.match.query, [
    { name: 'Q', match: { type: 'exact', value: 'v', ignoreCase: false } },
  ]);
});

type GrpcMethod = NonNullable<GrpcApiRouteMatch['method']>;
const METHODS: readonly [string, GrpcMethod | undefined, object][] = [
  ['none', undefined, { type: 'prefix', value: '/' }],
  ['both', { type: 'Exact', service: 'p.S', method: 'M' }, { type: 'exact', value: '/p.S/M' }],
  ['service', { type: 'Exact', service: 'p.S' }, { type: 'prefix', value: '/p.S/' }],
  ['method', { type: 'Exact', method: 'M' }, { type: 'regex', value: '/[^/]+/M' }],
  [
    'expressions',
    { type: 'RegularExpression', service: 'a|b', method: 'Get.*' },
    { type: 'regex', value: '/(?:a|b)/(?:Get.*)' },
  ],
  [
    'an expression for the service',
    { type: 'RegularExpression', service: 'p\\..*' },
    { type: 'regex', value: '/(?:p\\..*)/[^/]+' },
  ],
];
for (const [name, method, expected] of METHODS) {
  test(`gRPC method: ${name}`, () => {
    const matches = method === undefined ? [] : [{ method }];
    const route = grpcRoute({ rules: [{ matches, backendRefs: [backend('a')] }] });
    const [{ match }] = translate(route).routes as [Route];
    assert.deepEqual(match.path, expected);
    assert.equal(match.grpcOnly, true);
  });
}

interface BackendCase {
  readonly name: string;
  readonly backends: readonly HttpApiBackendReference[];
  readonly resources?: readonly Resource[];
  /** or the status it is answered with */
  readonly expected: readonly [string, number][] | number;
  readonly findings?: readonly string[];
  readonly unresolved?: string;
}
const REF = 'spec.rules[0].backendRefs';
const elsewhere = backend('a', 1, { namespace: 'other' });
const UNPERMITTED = {
  expected: 500,
  findings: [`REFERENCE_NOT_PERMITTED ${REF}[0]`],
  unresolved: 'RefNotPermitted',
} as const;
const BACKENDS: readonly BackendCase[] = [
  {
    name: 'weights',
    backends: [backend('a', 9), backend('b', 1, { port: 8080 })],
    expected: [
      [cluster('a'), 9],
      [cluster('b', 'shop', 8080), 1],
    ],
  },
  {
    name: 'weight 0 gets nothing',
    backends: [backend('a', 0), backend('b')],
    expected: [[cluster('b'), 1]],
  },
  { name: 'no backends', backends: [], expected: 500 },
  { name: 'only weights of 0', backends: [backend('a', 0)], expected: 500 },
  {
    name: 'one of two is unknown: its share is answered 500',
    backends: [backend('a', 3), backend('gone', 1)],
    expected: [
      [cluster('a'), 3],
      ['BlackHoleCluster', 1],
    ],
    findings: [`HOST_UNKNOWN ${REF}[1].name`],
    unresolved: 'BackendNotFound',
  },
  {
    name: 'all are unknown',
    backends: [backend('gone')],
    expected: 500,
    findings: [`HOST_UNKNOWN ${REF}[0].name`],
    unresolved: 'BackendNotFound',
  },
  {
    name: 'unknown and of weight 0: said, and nothing lost',
    backends: [backend('a'), backend('gone', 0)],
    expected: [[cluster('a'), 1]],
    findings: [`HOST_UNKNOWN ${REF}[1].name`],
    unresolved: 'BackendNotFound',
  },
  {
    name: 'unknown port',
    backends: [backend('a', 1, { port: 81 })],
    expected: 500,
    findings: [`PORT_UNKNOWN ${REF}[0].port`],
    unresolved: 'BackendNotFound',
  },
  {
    name: 'another kind',
    backends: [backend('a', 1, { group: 'x.example', kind: 'Bucket' })],
    expected: 500,
    findings: [`NOT_SUPPORTED ${REF}[0].kind`],
    unresolved: 'InvalidKind',
  },
  {
    name: 'Hostname of a ServiceEntry',
    backends: [
      backend('API.example.com', 1, { group: 'networking.istio.io', kind: 'Hostname', port: 443 }),
    ],
    expected: [['outbound|443||api.example.com', 1]],
  },
  { name: 'another namespace, no grant', backends: [elsewhere], ...UNPERMITTED },
  {
    name: 'another namespace, granted',
    backends: [elsewhere],
    resources: [grant('other', 'shop', 'HTTPRoute', 'Service')],
    expected: [[cluster('a', 'other'), 1]],
  },
  {
    name: 'another namespace, granted by name',
    backends: [elsewhere],
    resources: [grant('other', 'shop', 'HTTPRoute', 'Service', 'a')],
    expected: [[cluster('a', 'other'), 1]],
  },
  {
    name: 'another namespace, another name is granted',
    backends: [elsewhere],
    resources: [grant('other', 'shop', 'HTTPRoute', 'Service', 'b')],
    ...UNPERMITTED,
  },
  {
    name: 'another namespace, granted to another kind',
    backends: [elsewhere],
    resources: [grant('other', 'shop', 'TCPRoute', 'Service')],
    ...UNPERMITTED,
  },
  {
    name: 'another namespace, granted to another namespace',
    backends: [elsewhere],
    resources: [grant('other', 'third', 'HTTPRoute', 'Service')],
    ...UNPERMITTED,
  },
  {
    name: 'a grant in the wrong namespace',
    backends: [elsewhere],
    resources: [grant('shop', 'shop', 'HTTPRoute', 'Service')],
    ...UNPERMITTED,
  },
];
for (const { name, backends, resources = [], expected, findings = [], unresolved } of BACKENDS) {
  test(`backends: ${name}`, () => {
    const translated = rule({ backendRefs: backends }, { resources });
    if (typeof expected === 'number') assert.equal(status(translated), expected);
    else {
      assert.deepEqual(shares(translated), expected);
      assert.equal(forwarded(translated).clusterNotFoundStatus, 500);
    }
    assert.deepEqual(translated.findings, findings);
    assert.equal(translated.unresolved, unresolved);
  });
}

test('header modifiers: values are plain text, Host rewrites the host', () => {
  const filters: ApiRouteFilter[] = [
    {
      type: 'RequestHeaderModifier',
      requestHeaderModifier: {
        set: [
          { name: 'a', value: '100%' },
          { name: 'Host', value: 'h.example' },
        ],
        add: [{ name: 'b', value: '2' }],
        remove: ['c'],
      },
    },
    {
      type: 'ResponseHeaderModifier',
      responseHeaderModifier: { add: [{ name: 'd', value: '4' }] },
    },
  ];
  const translated = rule({ filters });
  assert.deepEqual(translated.routes[0]!.requestHeaders, {
    edits: [
      { name: 'a', value: '100%%', action: 'set' },
      { name: 'b', value: '2', action: 'append' },
    ],
    remove: ['c'],
  });
  assert.deepEqual(translated.routes[0]!.responseHeaders.edits, [
    { name: 'd', value: '4', action: 'append' },
  ]);
  assert.deepEqual(forwarded(translated).hostRewrite, { type: 'literal', value: 'h.example' });
});

type Redirect = NonNullable<ApiRouteFilter['requestRedirect']>;
const REDIRECTS: readonly [string, Partial<Redirect>, { port: number; tls: boolean }, object][] = [
  ['to https', { scheme: 'https' }, { port: 80, tls: false }, { scheme: 'https', port: undefined }],
  ['to https of 8080', { scheme: 'https' }, { port: 8080, tls: false }, { port: 443 }],
  [
    'to https of a named host',
    { scheme: 'https', hostname: 'h' },
    { port: 8080, tls: false },
    { host: 'h', port: undefined },
  ],
  [
    'to a host: the port of the listener',
    { hostname: 'h' },
    { port: 8080, tls: false },
    { port: 8080 },
  ],
  ['to a host behind TLS', { hostname: 'h' }, { port: 443, tls: true }, { port: undefined }],
  ['to a port', { port: 8443, scheme: 'https' }, { port: 80, tls: false }, { port: 8443 }],
  ['status', { statusCode: 301 }, { port: 80, tls: false }, { status: 301 }],
  [
    'whole path',
    { path: { type: 'ReplaceFullPath', replaceFullPath: '/x' } },
    { port: 80, tls: false },
    { path: { type: 'whole', value: '/x' } },
  ],
  [
    'prefix',
    { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } },
    { port: 80, tls: false },
    { path: { type: 'prefix', value: '/x' } },
  ],
];
for (const [name, requestRedirect, options, expected] of REDIRECTS) {
  test(`redirect: ${name}`, () => {
    const filters: ApiRouteFilter[] = [
      { type: 'RequestRedirect', requestRedirect: { statusCode: 302, ...requestRedirect } },
    ];
    const matches = [path('PathPrefix', '/a')];
    const { action } = rule({ filters, matches, backendRefs: [] }, options).routes[0]!;
    assert.equal(action.type, 'redirect');
    const found = action as unknown as Record<string, unknown>;
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(found[key], value, key);
  });
}

/** prefix of the match, replacement, request, result: the specification's table */
const REWRITES: readonly [string, string, string, string][] = [
  ['/foo', '/xyz', '/foo/bar', '/xyz/bar'],
  ['/foo', '/xyz/', '/foo/bar', '/xyz/bar'],
  ['/foo/', '/xyz', '/foo/bar', '/xyz/bar'],
  ['/foo/', '/xyz/', '/foo/bar', '/xyz/bar'],
  ['/foo', '/xyz', '/foo', '/xyz'],
  ['/foo', '/xyz', '/foo/', '/xyz/'],
  ['/foo', '', '/foo/bar', '/bar'],
  ['/foo/', '', '/foo/bar', '/bar'],
  ['/foo', '', '/foo', '/'],
  ['/foo', '/', '/foo/', '/'],
  ['/foo', '/', '/foo/bar', '/bar'],
  ['/f.o', '/', '/f.o/bar', '/bar'],
  ['/', '/xyz', '/bar', '/xyz/bar'],
];
for (const [prefix, replacePrefixMatch, from, to] of REWRITES) {
  test(`rewrite ${prefix} → "${replacePrefixMatch}": ${from} becomes ${to}`, () => {
    const urlRewrite = { path: { type: 'ReplacePrefixMatch', replacePrefixMatch } } as const;
    const matches = [path('PathPrefix', prefix)];
    const translated = rule({ matches, filters: [{ type: 'URLRewrite', urlRewrite }] });
    const rewrite = forwarded(translated).pathRewrite!;
    const matched = translated.routes[0]!.match.path;
    assert.ok(matched.type === 'prefix' || matched.type === 'segment-prefix');
    // as Envoy carries it out
    const result =
      rewrite.type === 'prefix'
        ? rewrite.value + from.slice(matched.value.length)
        : from.replace(new RegExp(rewrite.pattern), rewrite.substitution.replaceAll('\\', '$'));
    assert.equal(result, to);
  });
}

test('ReplacePrefixMatch without a prefix is refused', () => {
  const urlRewrite = { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } } as const;
  const matches = [path('Exact', '/a')];
  const translated = rule({ matches, filters: [{ type: 'URLRewrite', urlRewrite }] });
  assert.equal(status(translated), 500);
  assert.deepEqual(translated.findings, ['NOT_SUPPORTED spec.rules[0].filters[0]']);
});

test('whole path and host are rewritten', () => {
  const path2 = { type: 'ReplaceFullPath', replaceFullPath: '/x\\1' } as const;
  const urlRewrite = { hostname: 'h', path: path2 };
  const action = forwarded(rule({ filters: [{ type: 'URLRewrite', urlRewrite }] }));
  const substitution = '/x\\\\1';
  assert.deepEqual(action.pathRewrite, { type: 'regex', pattern: '^/.*$', substitution });
  assert.deepEqual(action.hostRewrite, { type: 'literal', value: 'h' });
});

const mirror = (name: string, more = {}): ApiRouteFilter => ({
  type: 'RequestMirror',
  requestMirror: { backendRef: backend(name), ...more },
});

test('mirrors: percent, fraction, all, none, unknown', () => {
  const filters = [
    mirror('a'),
    mirror('b', { percent: 42 }),
    mirror('b', { fraction: { numerator: 5, denominator: 1000 } }),
    mirror('b', { percent: 0 }),
    mirror('gone'),
  ];
  const translated = rule({ filters });
  assert.deepEqual(forwarded(translated).mirrors, [
    { cluster: cluster('a'), fraction: 1_000_000 },
    { cluster: cluster('b'), fraction: 420_000 },
    { cluster: cluster('b'), fraction: 5000 },
  ]);
  const at = 'spec.rules[0].filters[4].requestMirror.backendRef.name';
  assert.deepEqual(translated.findings, [`HOST_UNKNOWN ${at}`]);
});

test('CORS', () => {
  const cors = {
    allowOrigins: ['https://a.example', 'https://*.b.example', '*'],
    allowMethods: ['GET', 'PUT'],
    allowHeaders: ['x-a'],
    exposeHeaders: ['x-b', 'x-c'],
    maxAge: 5,
    allowCredentials: true,
  };
  assert.deepEqual(rule({ filters: [{ type: 'CORS', cors }] }).routes[0]!.filters.cors, {
    allowOrigins: [
      { type: 'exact', value: 'https://a.example', ignoreCase: false },
      { type: 'regex', value: 'https://.*\\.b\\.example', ignoreCase: false },
      { type: 'regex', value: '.*', ignoreCase: false },
    ],
    allowMethods: 'GET,PUT',
    allowHeaders: 'x-a',
    exposeHeaders: 'x-b,x-c',
    maxAge: '5',
    allowCredentials: true,
    forwardNotMatching: false,
  });
});

const extension: ApiRouteFilter = {
  type: 'ExtensionRef',
  extensionRef: { group: 'x.example', kind: 'Magic', name: 'm' },
};

test('an ExtensionRef is answered 500', () => {
  const translated = rule({ filters: [extension] });
  assert.equal(status(translated), 500);
  assert.deepEqual(translated.findings, ['NOT_SUPPORTED spec.rules[0].filters[0]']);
});

test('an ExtensionRef on a backend makes its share 500', () => {
  const backendRefs = [backend('a'), { ...backend('b'), filters: [extension] }];
  const translated = rule({ backendRefs });
  assert.deepEqual(shares(translated), [
    [cluster('a'), 1],
    ['BlackHoleCluster', 1],
  ]);
  assert.deepEqual(translated.findings, [`NOT_SUPPORTED ${REF}[1].filters[0]`]);
});

test('filters of a backend: headers and host for its share, mirror and path when it is alone', () => {
  const filters: ApiRouteFilter[] = [
    {
      type: 'RequestHeaderModifier',
      requestHeaderModifier: { set: [{ name: 'x', value: '1' }] },
    },
    {
      type: 'URLRewrite',
      urlRewrite: { hostname: 'h', path: { type: 'ReplaceFullPath', replaceFullPath: '/z' } },
    },
    mirror('b'),
  ];
  const alone = forwarded(rule({ backendRefs: [{ ...backend('a'), filters }] }));
  assert.ok(alone.clusters.type === 'weighted');
  const [choice] = alone.clusters.choices;
  assert.equal(choice?.hostRewrite, 'h');
  assert.equal(choice?.requestHeaders.edits[0]?.value, '1');
  assert.equal(alone.mirrors.length, 1);
  assert.equal(alone.pathRewrite?.type, 'regex');

  const both = rule({ backendRefs: [{ ...backend('a'), filters }, backend('b')] });
  assert.deepEqual(shares(both), [
    ['BlackHoleCluster', 1],
    [cluster('b'), 1],
  ]);
  assert.deepEqual(both.findings, [`NOT_SUPPORTED ${REF}[0].filters`]);
});

test('timeouts', () => {
  const action = forwarded(rule({ timeouts: { request: '1m', backendRequest: '500ms' } }));
  assert.equal(action.timeoutMs, 60_000);
  assert.equal(action.retry?.perTryTimeoutMs, 500);
  const none = forwarded(rule({ timeouts: { request: '0s' } }));
  assert.equal(none.timeoutMs, 0);
  assert.equal(forwarded(rule({})).timeoutMs, 0);
});

test('retry', () => {
  const retry = { codes: [500, 503], attempts: 3, backoff: '100ms' };
  const policy = forwarded(rule({ retry })).retry!;
  assert.equal(policy.attempts, 3);
  assert.deepEqual(policy.statusCodes, [500, 503]);
  assert.deepEqual(policy.backoff, { baseMs: 100, maxMs: 1000 });
  assert.ok(policy.on.includes('retriable-status-codes') && policy.on.includes('reset'));
  assert.equal(forwarded(rule({ retry: { attempts: 0 } })).retry, undefined);
  const limited = forwarded(
    rule({ retry: { attempts: 0 }, timeouts: { backendRequest: '1s' } }),
  ).retry;
  assert.equal(limited?.attempts, 0);
  assert.equal(limited?.perTryTimeoutMs, 1000);
});

test('sessionPersistence: a hash where the balancer hashes and one backend is there', () => {
  const session = {
    sessionName: 's',
    type: 'Cookie',
    absoluteTimeout: '1h',
    cookieConfig: { lifetimeType: 'Permanent' },
  } as const;
  const kept = rule({ sessionPersistence: session, backendRefs: [backend('hashed')] });
  assert.deepEqual(forwarded(kept).hash, [
    { source: { type: 'cookie', name: 's', path: '/', ttlMs: 3_600_000 }, terminal: true },
  ]);
  assert.deepEqual(kept.findings, []);
  const byHeader = { ...session, type: 'Header', sessionName: 'X-S' } as const;
  const header = rule({ sessionPersistence: byHeader, backendRefs: [backend('hashed')] });
  assert.deepEqual(forwarded(header).hash[0]?.source, { type: 'header', name: 'x-s' });
  for (const backendRefs of [[backend('a')], [backend('hashed'), backend('a')]]) {
    const lost = rule({ sessionPersistence: session, backendRefs });
    assert.deepEqual(forwarded(lost).hash, []);
    assert.deepEqual(lost.findings, ['NOT_SUPPORTED spec.rules[0].sessionPersistence']);
  }
});
