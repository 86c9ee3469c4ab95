/**
 * L7 resources to bytes and back; bytes that are broken, hostile or say more than podwire knows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Cluster } from '../../../src/model/cluster.ts';
import type { Listener } from '../../../src/model/listener.ts';
import type { RouteConfiguration } from '../../../src/model/route.ts';
import { createCodec } from '../../../src/xds/codec.ts';
import {
  RESOURCE_TYPES,
  resourceKeyOf,
  RESOURCE_ORDER,
  type ResourceKey,
} from '../../../src/xds/resource-types.ts';
import { service, workload } from '../compile/plan-arbitraries.ts';
import { policy } from '../compile/policy-arbitraries.ts';
import {
  clusterArbitrary,
  listener,
  loadAssignment,
  routeConfiguration,
  secret,
} from './l7-arbitraries.ts';
import { field, message, varint } from './protobuf-bytes.ts';

const codec = createCodec();
const RUNS = 300;

const ARBITRARIES: Readonly<Record<ResourceKey, fc.Arbitrary<unknown>>> = {
  addresses: fc.oneof(
    workload.map((value) => ({ kind: 'workload', workload: value })),
    service.map((value) => ({ kind: 'service', service: value })),
  ),
  authorizations: policy,
  secrets: secret,
  clusters: clusterArbitrary,
  loadAssignments: loadAssignment,
  routes: routeConfiguration,
  listeners: listener,
};

const encode = (key: ResourceKey, value: unknown): Uint8Array =>
  RESOURCE_TYPES[key].encode(codec, value as never);
const decode = (key: ResourceKey, bytes: Uint8Array) => RESOURCE_TYPES[key].decode(codec, bytes);

for (const key of RESOURCE_ORDER) {
  test(`${key} survive the wire, and nothing of ours is unknown to us`, () => {
    fc.assert(
      fc.property(ARBITRARIES[key], (value) => {
        assert.deepEqual(decode(key, encode(key, value)), { ok: true, value, warnings: [] });
      }),
      { numRuns: RUNS },
    );
  });
}

test('types are found by their URL and come in the order in which they refer to each other', () => {
  for (const key of RESOURCE_ORDER) assert.equal(resourceKeyOf(RESOURCE_TYPES[key].typeUrl), key);
  assert.equal(resourceKeyOf('type.googleapis.com/envoy.config.core.v3.Node'), undefined);
  assert.deepEqual([...RESOURCE_ORDER].sort(), Object.keys(RESOURCE_TYPES).sort());
});

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const FILTERS = 'envoy.extensions.filters.http';
const any = (type: string, ...parts: Buffer[]): Buffer[] => [
  field(1, `type.googleapis.com/${type}`),
  field(2, ...parts),
];
const address = field(2, field(1, field(2, '0.0.0.0'), varint(3, 80)));
/** A listener with one chain and one connection manager of these fields. */
const listenerOf = (...parts: Buffer[]): Buffer =>
  message(field(1, 'l'), address, field(3, field(3, field(4, ...any(HCM, ...parts)))));
const rds = field(3, field(2, 'r'));
const filter = (type: string, ...parts: Buffer[]): Buffer =>
  field(5, field(1, 'f'), field(4, ...any(type, ...parts)));
const routesOf = (...route: Buffer[]): Buffer =>
  message(field(1, 'r'), field(2, field(1, 'v'), field(2, '*'), field(3, ...route)));
const match = (...parts: Buffer[]): Buffer => field(1, field(1, '/'), ...parts);
const forward = (...parts: Buffer[]): Buffer => field(2, field(1, 'c'), ...parts);
const upstreamTls = (...parts: Buffer[]): Buffer =>
  message(
    field(1, 'c'),
    field(
      24,
      field(1, 't'),
      field(
        3,
        ...any('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', field(1, ...parts)),
      ),
    ),
  );
const rbacOf = (...parts: Buffer[]): Buffer =>
  listenerOf(rds, filter(`${FILTERS}.rbac.v3.RBAC`, field(1, ...parts)));
const policyOf = (...parts: Buffer[]): Buffer =>
  rbacOf(field(2, field(1, 'p'), field(2, ...parts)));

const refused: [string, ResourceKey, Buffer, RegExp][] = [
  [
    'a condition on CEL',
    'listeners',
    policyOf(field(3)),
    /http_filters\[0\]\.typed_config\.rules\.policies\["p"\]\.#3/,
  ],
  ['a permission to come', 'listeners', policyOf(field(1, field(99))), /permissions\[0\]/],
  ['a principal by file state', 'listeners', policyOf(field(2, field(12))), /principals\[0\]/],
  [
    'a name that is no SPIFFE id',
    'listeners',
    policyOf(field(2, field(4, field(2, field(1, 'cn'))))),
    /principal_name: "cn"/,
  ],
  [
    'an RBAC matcher tree',
    'listeners',
    listenerOf(rds, filter(`${FILTERS}.rbac.v3.RBAC`, field(4))),
    /http_filters\[0\]\.typed_config\.#4/,
  ],
  ['an RBAC action to come', 'listeners', rbacOf(varint(1, 7)), /rules\.action: 7/],
  [
    'a filter that nobody knows',
    'listeners',
    listenerOf(rds, filter('envoy.extensions.filters.http.lua.v3.Lua')),
    /lua.* is not supported/,
  ],
  [
    'a filter that is elsewhere',
    'listeners',
    listenerOf(rds, field(5, field(1, 'f'), field(5))),
    /http_filters\[0\]\.#5/,
  ],
  [
    'a JWT with a subject',
    'listeners',
    listenerOf(
      rds,
      filter(
        `${FILTERS}.jwt_authn.v3.JwtAuthentication`,
        field(1, field(1, 'p'), field(2, field(4, field(3, '{}')), field(19))),
      ),
    ),
    /providers\["p"\]\.#19/,
  ],
  [
    'an ext_authz for a share',
    'listeners',
    listenerOf(
      rds,
      filter(`${FILTERS}.ext_authz.v3.ExtAuthz`, field(1, field(1, field(1, 'c'))), field(9)),
    ),
    /typed_config\.#9/,
  ],
  [
    'an ext_authz without its shadow',
    'listeners',
    listenerOf(
      rds,
      filter(
        `${FILTERS}.ext_authz.v3.ExtAuthz`,
        field(1, field(1, field(1, 'c'))),
        field(14, field(1, 'x')),
      ),
    ),
    /filter_enabled_metadata/,
  ],
  [
    'a network RBAC',
    'listeners',
    message(
      field(1, 'l'),
      address,
      field(
        3,
        field(3, field(4, ...any('envoy.extensions.filters.network.rbac.v3.RBAC'))),
        field(3, field(4, ...any(HCM, rds))),
      ),
    ),
    /filters\[0\]: .*rbac/,
  ],
  [
    'a chain for some source ports',
    'listeners',
    message(
      field(1, 'l'),
      address,
      field(3, field(1, varint(7, 1)), field(3, field(4, ...any(HCM, rds)))),
    ),
    /filter_chain_match\.#7/,
  ],
  ['a match on metadata', 'routes', routesOf(match(field(13)), forward()), /match\.#13/],
  [
    'a host only for TLS',
    'routes',
    message(field(1, 'r'), field(2, field(1, 'v'), field(2, '*'), varint(4, 2))),
    /virtual_hosts\[0\]\.#4/,
  ],
  [
    'a header match to come',
    'routes',
    routesOf(match(field(6, field(1, 'h'), field(13, field(99)))), forward()),
    /headers\[0\]\.string_match/,
  ],
  [
    'a CEL override',
    'routes',
    routesOf(
      match(),
      forward(),
      field(13, field(1, 'f'), field(2, ...any('envoy.config.Unknown'))),
    ),
    /typed_per_filter_config\["f"\]/,
  ],
  [
    'an action to come',
    'routes',
    routesOf(match(), field(17)),
    /routes\[0\]: has no kind of action/,
  ],
  ['a certificate inline', 'clusters', upstreamTls(field(2)), /common_tls_context\.#2/],
  [
    'roots in a file',
    'clusters',
    upstreamTls(field(3, field(1, field(1, '/my/ca')))),
    /trusted_ca/,
  ],
  [
    'a pinned certificate',
    'clusters',
    upstreamTls(field(3, field(2, 'aa'))),
    /validation_context\.#2/,
  ],
  [
    'a secret from a file',
    'clusters',
    upstreamTls(field(7, field(1, 'n'), field(2, field(8)))),
    /sds_config\.#8/,
  ],
  ['TLS for some endpoints', 'clusters', message(field(1, 'c'), field(43)), /^#43/],
  [
    'a socket to come',
    'clusters',
    message(field(1, 'c'), field(24, field(3, ...any('envoy.Unknown')))),
    /transport_socket: .*Unknown/,
  ],
  ['a session ticket key', 'secrets', message(field(1, 's'), field(3)), /#3/],
  [
    'a key in a file',
    'secrets',
    message(field(1, 's'), field(2, field(2, field(1, '/key')))),
    /private_key/,
  ],
  [
    'a pipe',
    'loadAssignments',
    message(field(1, 'c'), field(2, field(2, field(1, field(1, field(2, field(1, '/x'))))))),
    /lb_endpoints\[0\]\.endpoint/,
  ],
  [
    'an unknown field of a policy',
    'authorizations',
    message(field(1, 'n'), field(5, field(1, field(2, field(99))))),
    /rules\[0\]\.clauses\[0\]\.matches\[0\]\.#99/,
  ],
];

for (const [name, key, bytes, error] of refused) {
  test(`what protects is refused with its path: ${name}`, () => {
    const decoded = decode(key, bytes);
    assert.ok(!decoded.ok, JSON.stringify(decoded));
    assert.match(decoded.errors.join('\n'), error);
  });
}

const warned: [string, ResourceKey, Buffer, string[]][] = [
  [
    'a listener’s buffer',
    'listeners',
    message(listenerOf(rds), field(5, varint(1, 9))),
    ['unsupported: #5'],
  ],
  [
    'a via header',
    'listeners',
    listenerOf(rds, field(22, 'x')),
    ['unsupported: filter_chains[0].filters[0].typed_config.#22'],
  ],
  [
    'an optional filter',
    'listeners',
    listenerOf(rds, message(field(5, field(4, ...any('x.Y')), varint(6, 1)))),
    [
      'unsupported: filter_chains[0].filters[0].typed_config.http_filters[0].typed_config (type.googleapis.com/x.Y)',
    ],
  ],
  ['a cluster’s preconnect', 'clusters', message(field(1, 'c'), field(50)), ['unsupported: #50']],
  [
    'a route’s early data',
    'routes',
    routesOf(match(), forward(field(40))),
    ['unsupported: virtual_hosts[0].routes[0].route.#40'],
  ],
];

for (const [name, key, bytes, warnings] of warned) {
  test(`what protects nothing is named and left out: ${name}`, () => {
    const decoded = decode(key, bytes);
    assert.ok(decoded.ok, JSON.stringify(decoded));
    assert.deepEqual(decoded.warnings, warnings);
  });
}

test('Envoy’s defaults are filled in', () => {
  const routes = decode('routes', routesOf(match(), forward(field(9))));
  assert.ok(routes.ok);
  const { action } = (routes.value as RouteConfiguration).virtualHosts[0]!.routes[0]!;
  assert.ok(action.type === 'forward');
  const { timeoutMs, retry, clusterNotFoundStatus } = action;
  assert.deepEqual([timeoutMs, clusterNotFoundStatus], [15_000, 503]);
  assert.deepEqual(
    [retry?.attempts, retry?.backoff, retry?.hostSelectionAttempts],
    [1, { baseMs: 25, maxMs: 250 }, 1],
  );

  const found = decode('clusters', message(field(1, 'c'), varint(2, 3), field(19)));
  assert.ok(found.ok);
  const cluster = found.value as Cluster;
  assert.deepEqual(cluster.discovery, { type: 'eds', service: 'c' });
  assert.deepEqual(
    [cluster.connectTimeoutMs, cluster.idleTimeoutMs, cluster.protocol],
    [5000, 3_600_000, 'http1'],
  );
  assert.deepEqual(cluster.limits, {
    maxConnections: 1024,
    maxPendingRequests: 1024,
    maxRequests: 1024,
    maxRetries: 3,
    retryBudget: undefined,
  });
  assert.equal(cluster.balancer.panicThreshold, 500_000);
  assert.deepEqual(cluster.outliers, {
    consecutive5xx: 5,
    consecutiveGatewayErrors: 0,
    consecutiveLocalOriginFailures: 5,
    splitLocalOriginErrors: false,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionMs: 300_000,
    maxEjectionPercent: 10,
    successRate: { minimumHosts: 5, requestVolume: 100, stdevFactor: 1900 },
  });

  const manager = decode('listeners', listenerOf(rds));
  assert.ok(manager.ok);
  const { handler } = (manager.value as Listener).chains[0]!;
  assert.ok(handler.type === 'http');
  assert.deepEqual(
    [
      handler.streamIdleTimeoutMs,
      handler.idleTimeoutMs,
      handler.maxRequestHeadersKb,
      handler.escapedSlashes,
    ],
    [300_000, 3_600_000, 60, 'keep'],
  );
});

test('istiod’s CUSTOM policies: one shadow RBAC filter for several services', () => {
  const principals = field(2, varint(3, 1));
  const everyone = field(2, field(1, varint(3, 1)), principals);
  const shadow = field(
    2,
    field(2, field(1, 'istio-ext-authz-one-ns[a]-p'), everyone),
    field(2, field(1, 'istio-ext-authz-two-ns[a]-p'), everyone),
  );
  const grpc = field(1, field(1, field(1, 'c')));
  const key = field(2, field(1, 'istio_ext_authz_shadow_effective_policy_id'));
  const prefix = field(3, field(3, field(2, 'istio-ext-authz-one')));
  const bytes = listenerOf(
    rds,
    filter(`${FILTERS}.rbac.v3.RBAC`, shadow, field(3, 'istio_ext_authz_')),
    filter(
      `${FILTERS}.ext_authz.v3.ExtAuthz`,
      grpc,
      field(14, field(1, 'envoy.filters.http.rbac'), key, prefix),
    ),
  );
  const decoded = decode('listeners', bytes);
  assert.ok(decoded.ok, JSON.stringify(decoded));
  const { handler } = (decoded.value as Listener).chains[0]!;
  assert.ok(handler.type === 'http');
  const [only, ...more] = handler.filters;
  assert.ok(only?.type === 'ext-authz' && more.length === 0);
  assert.deepEqual([...only.extAuthz.when!.policies.keys()], ['istio-ext-authz-one-ns[a]-p']);
});

test('no bytes make the decoders throw: random ones, cut ones, flipped ones', () => {
  const samples = RESOURCE_ORDER.flatMap((key) =>
    fc
      .sample(ARBITRARIES[key], { seed: 5, numRuns: 3 })
      .map((value) => ({ key, bytes: encode(key, value) })),
  );
  for (const { key, bytes } of samples) {
    const step = Math.max(1, Math.floor(bytes.length / 600));
    for (let end = 0; end < bytes.length; end += step) decode(key, bytes.subarray(0, end));
    for (let at = 0; at < bytes.length; at += step) {
      const flipped = Uint8Array.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      decode(key, flipped);
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      for (const key of RESOURCE_ORDER) decode(key, bytes);
    }),
    { numRuns: 1000 },
  );
});

test('lengths that lie, and nesting without an end, are refused at once', () => {
  const huge = Buffer.from([0x1a, 0x80, 0x84, 0xaf, 0x5f]); // field 3, 200,000,000 bytes
  for (const key of RESOURCE_ORDER) {
    const before = process.memoryUsage().rss;
    assert.equal(decode(key, Buffer.concat([field(1, 'n'), huge])).ok, false, key);
    assert.ok(process.memoryUsage().rss - before < 50 << 20, key);
  }
  let nested = varint(3, 1);
  for (let depth = 0; depth < 5000; depth++) nested = field(8, nested);
  const decoded = decode('listeners', policyOf(field(1, nested)));
  assert.ok(!decoded.ok);
  assert.match(decoded.errors[0]!, /is nested too deeply/);
});

test('a report of unknown fields stays short', () => {
  const many = message(field(1, 'c'), ...Array.from({ length: 5000 }, () => field(50)));
  const decoded = decode('clusters', many);
  assert.ok(decoded.ok);
  assert.equal(decoded.warnings.length, 100);
});

const pattern = { exact: 1, prefix: 2, suffix: 3, regex: 5, contains: 7 } as const;
const spiffe: [keyof typeof pattern, string, string | undefined][] = [
  ['exact', 'spiffe://td/ns/a/sa/b', 'td/ns/a/sa/b'],
  ['exact', 'td/ns/a/sa/b', undefined],
  ['prefix', 'spiffe://td/', 'td/'],
  ['prefix', 'spi', ''],
  ['prefix', 'td/', undefined],
  ['suffix', '/sa/b', '/sa/b'],
  ['suffix', '//td/ns/a/sa/b', undefined],
  ['contains', '/ns/a/', '/ns/a/'],
  ['contains', 'ff', undefined],
  ['regex', '.*/ns/a/.*', '.*/ns/a/.*'],
  ['regex', 'spiffe://td/.*', 'td/.*'],
  ['regex', 'spiffe://(?:a|b)', 'a|b'],
  ['regex', 'spiffe://(?:a)|(?:b)', undefined],
  ['regex', '.*a|spiffe://b', undefined],
  ['regex', 'spiffe://?b', undefined],
  ['regex', 'spiffe://(?:[)])', '[)]'],
  ['regex', 'ns/a', undefined],
];

for (const [type, value, expected] of spiffe) {
  test(`a match of SPIFFE ids goes without the scheme: ${type} ${value}`, () => {
    const text = type === 'regex' ? field(5, field(2, value)) : field(pattern[type], value);
    const permissions = field(1, varint(3, 1));
    const decoded = decode('listeners', policyOf(permissions, field(2, field(4, field(2, text)))));
    assert.equal(decoded.ok, expected !== undefined, JSON.stringify(decoded));
    if (!decoded.ok) return;
    const { handler } = (decoded.value as Listener).chains[0]!;
    assert.ok(handler.type === 'http' && handler.filters[0]?.type === 'rbac');
    const [principal] = handler.filters[0].rbac.rules!.policies.get('p')!.principals;
    assert.ok(principal?.type === 'authenticated');
    assert.equal(principal.name?.value, expected);
  });
}
