/**
 * Bytes that go-control-plane's own types encoded (test/apps/wire-samples) are read as what they say.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCodec } from '../../../src/xds/codec.ts';
import {
  RESOURCE_TYPES,
  type MeshResources,
  type ResourceKey,
} from '../../../src/xds/resource-types.ts';
import { repositoryRoot } from '../../support/repository.ts';

const codec = createCodec();
const samples = JSON.parse(
  readFileSync(join(repositoryRoot(), 'test/fixtures/wire-samples.json'), 'utf8'),
) as Readonly<Record<string, string>>;

function read<K extends ResourceKey>(key: K): MeshResources[K] {
  const decoded = RESOURCE_TYPES[key].decode(codec, Buffer.from(samples[key]!, 'base64'));
  assert.ok(decoded.ok, JSON.stringify(decoded));
  assert.deepEqual(decoded.warnings, []);
  return decoded.value;
}

const exact = (value: string) => ({ type: 'exact', value, ignoreCase: false });
const NONE = { edits: [], remove: [] };

test('a Listener of go-control-plane', () => {
  const { chains, ...rest } = read('listeners');
  assert.deepEqual(rest, {
    name: 'inbound|80|w',
    direction: 'inbound',
    addresses: [],
    port: 80,
    defaultChain: undefined,
    inspectTls: false,
    inspectHttp: false,
  });
  const { handler, match, tls } = chains[0]!;
  assert.deepEqual(match, {
    destinationPort: 80,
    destinations: [{ address: 'fd00::', length: 64 }],
    serverNames: ['*.example.com'],
    transport: 'tls',
    applicationProtocols: [],
    sources: [],
  });
  assert.deepEqual(tls, {
    certificates: ['default'],
    validation: {
      roots: 'ROOTCA',
      subjectAltNames: [exact('spiffe://td/ns/a/sa/b')],
      insecure: false,
    },
    alpn: ['h2'],
    minVersion: 'TLSv1_3',
    maxVersion: undefined,
    cipherSuites: [],
    requireClientCertificate: true,
  });
  assert.ok(handler.type === 'http');
  const { filters, routes, clientCertificate, streamIdleTimeoutMs, escapedSlashes, upgrades } =
    handler;
  assert.deepEqual(
    [
      routes,
      clientCertificate,
      streamIdleTimeoutMs,
      escapedSlashes,
      upgrades,
      handler.mergeSlashes,
    ],
    [{ type: 'rds', name: 'r' }, 'sanitize-set', 7000, 'unescape-forward', ['websocket'], true],
  );
  const [jwt, rbac, authz, limit, ...rest2] = filters;
  assert.ok(jwt?.type === 'jwt' && rbac?.type === 'rbac' && authz?.type === 'ext-authz');
  assert.deepEqual(jwt.jwt.rules, [
    {
      path: { type: 'prefix', value: '/' },
      requires: { type: 'provider', provider: 'p', audiences: [] },
    },
  ]);
  assert.deepEqual(jwt.jwt.providers.get('p')?.fromHeaders, [
    { name: 'authorization', prefix: 'Bearer ' },
  ]);
  assert.deepEqual(rbac.rbac.rules, {
    action: 'DENY',
    policies: new Map([
      [
        'p',
        {
          permissions: [{ type: 'not', of: { type: 'path', path: exact('/a') } }],
          principals: [
            {
              type: 'and',
              of: [
                { type: 'authenticated', name: exact('td/ns/a/sa/b') },
                { type: 'remote-ip', prefix: { address: '10.0.0.0', length: 8 } },
              ],
            },
          ],
        },
      ],
    ]),
  });
  assert.deepEqual(authz.extAuthz, {
    service: { type: 'grpc', cluster: 'authz', timeoutMs: 1000 },
    failOpen: true,
    errorStatus: 503,
    bodyBytes: 0,
    allowPartialBody: false,
    when: undefined,
  });
  assert.deepEqual(limit, {
    type: 'local-rate-limit',
    limit: {
      maxTokens: 5,
      tokensPerFill: 2,
      fillIntervalMs: 1000,
      enabled: 1_000_000,
      enforced: 500_000,
      status: 429,
      perConnection: false,
    },
  });
  assert.deepEqual(rest2, [{ type: 'cors' }, { type: 'router' }]);
});

test('a RouteConfiguration of go-control-plane', () => {
  const { virtualHosts, ignorePortInHost } = read('routes');
  const [host] = virtualHosts;
  const [first, redirect, respond] = host!.routes;
  assert.equal(ignorePortInHost, true);
  assert.ok(host!.filters.cors !== undefined && host!.filters.cors !== 'disabled');
  assert.deepEqual(host!.filters.cors.allowOrigins, [exact('o')]);
  assert.deepEqual(first!.match, {
    path: { type: 'segment-prefix', value: '/a' },
    ignorePathCase: true,
    headers: [{ name: 'x-version', match: exact('1'), invert: true, treatMissingAsEmpty: false }],
    query: [{ name: 'q', match: { type: 'present' } }],
    fraction: undefined,
    grpcOnly: false,
  });
  assert.deepEqual(first!.action, {
    type: 'forward',
    clusters: {
      type: 'weighted',
      choices: [
        {
          cluster: 'a',
          weight: 9,
          requestHeaders: NONE,
          responseHeaders: NONE,
          hostRewrite: undefined,
        },
        {
          cluster: 'b',
          weight: 1,
          requestHeaders: { edits: [{ name: 'k', value: 'v', action: 'set' }], remove: [] },
          responseHeaders: NONE,
          hostRewrite: undefined,
        },
      ],
    },
    clusterNotFoundStatus: 503,
    timeoutMs: 3000,
    idleTimeoutMs: undefined,
    maxStreamMs: undefined,
    grpcTimeoutMaxMs: 9000,
    retry: {
      on: ['5xx', 'reset'],
      attempts: 3,
      perTryTimeoutMs: 1000,
      perTryIdleTimeoutMs: undefined,
      statusCodes: [503],
      headers: [],
      backoff: { baseMs: 1000, maxMs: 10_000 },
      avoidPreviousHosts: false,
      hostSelectionAttempts: 1,
      previousPrioritiesFrequency: undefined,
    },
    hedge: undefined,
    mirrors: [{ cluster: 'm', fraction: 100_000 }],
    hash: [{ source: { type: 'cookie', name: 'c', path: '/', ttlMs: 60_000 }, terminal: false }],
    pathRewrite: { type: 'prefix', value: '/new' },
    hostRewrite: { type: 'endpoint' },
    upgrades: undefined,
    rateLimits: [
      { stage: 1, actions: [{ type: 'header', header: 'x-u', key: 'u', skipIfAbsent: false }] },
    ],
    includeVirtualHostRateLimits: false,
  });
  assert.deepEqual(redirect!.action, {
    type: 'redirect',
    scheme: 'https',
    host: undefined,
    port: undefined,
    path: undefined,
    status: 308,
    stripQuery: false,
  });
  assert.deepEqual(respond!.action, {
    type: 'respond',
    status: 404,
    body: new Uint8Array(Buffer.from('gone')),
  });
});

test('a Cluster of go-control-plane', () => {
  const cluster = read('clusters');
  assert.deepEqual(cluster.discovery, { type: 'eds', service: 's' });
  assert.deepEqual(cluster.balancer, {
    policy: { type: 'maglev', tableSize: 251 },
    slowStartMs: undefined,
    panicThreshold: 125_000,
    localityWeighted: false,
  });
  const { protocol, connectTimeoutMs, limits, outliers, healthChecks, tls, tcpKeepalive } = cluster;
  assert.deepEqual([protocol, connectTimeoutMs], ['http2', 2000]);
  assert.deepEqual(
    [limits.maxConnections, limits.maxRequests, limits.maxRetries],
    [7, undefined, 3],
  );
  assert.deepEqual(
    [outliers?.consecutive5xx, outliers?.successRate, outliers?.baseEjectionMs],
    [2, undefined, 5000],
  );
  assert.deepEqual(healthChecks[0]?.check, {
    type: 'http',
    host: '',
    path: '/h',
    expected: [{ start: 200, end: 300 }],
  });
  assert.deepEqual(
    [tls?.sni, tls?.validation?.roots, tls?.validation?.insecure],
    ['s.example.com', 'ROOTCA', false],
  );
  assert.deepEqual(tcpKeepalive, { probes: undefined, timeS: 30, intervalS: undefined });
});

test('a ClusterLoadAssignment and a Secret of go-control-plane', () => {
  assert.deepEqual(read('loadAssignments'), {
    name: 'c',
    localities: [
      {
        locality: { region: 'r', zone: 'z', subZone: '' },
        priority: 1,
        weight: 3,
        endpoints: [
          { address: 'fd00::1', port: 8080, healthy: false, weight: 5, workload: undefined },
        ],
      },
    ],
    overprovisioning: 140,
  });
  assert.deepEqual(read('secrets'), {
    type: 'certificate',
    name: 'kubernetes://a/b',
    chain: 'CHAIN',
    key: 'KEY',
  });
});
