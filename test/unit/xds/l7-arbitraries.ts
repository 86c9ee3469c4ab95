/**
 * Random L7 resources: values that Envoy takes too, with every default written out, so that they come back as they were.
 */
import fc from 'fast-check';
import type { Cluster, TlsParameters } from '../../../src/model/cluster.ts';
import type { HttpFilter, Permission, Principal } from '../../../src/model/http-filter.ts';
import { parseIp, parsePrefix } from '../../../src/model/ip.ts';
import type { FilterChain, HttpConnectionManager, Listener } from '../../../src/model/listener.ts';
import type { LoadAssignment } from '../../../src/model/load-assignment.ts';
import type { HeaderEdits, HeaderMatcher, StringMatcher } from '../../../src/model/matcher.ts';
import type { Route, RouteConfiguration } from '../../../src/model/route.ts';
import type { Secret } from '../../../src/model/secret.ts';
import { record } from '../compile/policy-arbitraries.ts';

/** Clusters that what is made here refers to. */
export const CLUSTERS = ['outbound|80||a', 'outbound|80|v1|b', 'authz', 'limits', 'keys'];
/** A key set that Envoy can read. */
export const JWKS =
  '{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]}';

const list = <T>(of: fc.Arbitrary<T>, maxLength = 2) => fc.array(of, { maxLength });
const some = <T>(of: fc.Arbitrary<T>, maxLength = 2) => fc.array(of, { minLength: 1, maxLength });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const uint = (max: number, min = 0) => fc.integer({ min, max });
const one = <T extends string>(...type: T[]) => fc.constantFrom(...type);
const kind = <T extends string>(...type: T[]) => fc.constantFrom(...type);
const word = one('a', 'bb', 'x-c', 'ns');
const header = one('x-a', 'x-bb', 'x-user');
const path = one('/', '/a', '/a/b', '/ü');
const cluster = fc.constantFrom(...CLUSTERS.slice(0, 2));
const share = one('0', '1', '500000', '1000000').map(Number);
const ms = one('1', '1000', '1500', '60000', '86400000').map(Number);
const port = uint(65535, 1);
const ip = one('10.0.0.1', '192.168.7.9', 'fd00::1').map((text) => parseIp(text)!);
const prefix = one('10.0.0.0/8', '0.0.0.0/0', 'fd00::/64').map((text) => parsePrefix(text)!);
const texts = fc.uniqueArray(word, { maxLength: 2 });
const map = <T>(of: fc.Arbitrary<T>, keys = word) =>
  fc
    .uniqueArray(fc.tuple(keys, of), { selector: ([key]) => key, maxLength: 2 })
    .map((entries) => new Map(entries));

export const stringMatcher: fc.Arbitrary<StringMatcher> = fc.oneof(
  record({
    type: kind('exact', 'prefix', 'suffix', 'contains'),
    value: word,
    ignoreCase: fc.boolean(),
  }),
  record({
    type: kind('regex'),
    value: one('a.*', '(a|b)+', '[^/]+/x'),
    ignoreCase: fc.constant(false),
  }),
);
const headerMatcher: fc.Arbitrary<HeaderMatcher> = record({
  name: fc.oneof(header, one(':method', ':authority')),
  match: fc.oneof(
    stringMatcher,
    record({ type: kind('present') }),
    record({ type: kind('range'), start: uint(5) as fc.Arbitrary<number>, end: uint(900, 6) }),
  ),
  invert: fc.boolean(),
  treatMissingAsEmpty: fc.boolean(),
});
const pathMatcher = fc.oneof(
  record({ type: kind('exact', 'prefix'), value: path }),
  record({ type: kind('segment-prefix'), value: one('/a', '/a/b') }),
  record({ type: kind('regex'), value: one('/a.*', '/[0-9]+') }),
);
const edits: fc.Arbitrary<HeaderEdits> = record({
  edits: list(
    record({
      name: header,
      value: word,
      action: kind('append', 'append-if-absent', 'set', 'set-if-present'),
    }),
  ),
  remove: fc.uniqueArray(header, { maxLength: 2 }),
});

const permission: fc.Arbitrary<Permission> = fc.letrec<{ node: Permission }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    record({ type: kind('any') }),
    record({ type: kind('header'), header: headerMatcher }),
    record({
      type: kind('path'),
      path: fc.oneof(
        stringMatcher,
        record({ type: kind('template'), value: one('/a/*', '/b/**') }),
      ),
    }),
    record({ type: kind('destination-ip'), prefix }),
    record({ type: kind('destination-port'), port }),
    record({ type: kind('sni'), name: stringMatcher }),
    record({ type: kind('and', 'or'), of: some(tie('node')) }),
    record({ type: kind('not'), of: tie('node') }),
  ),
})).node;
const spiffe = fc.oneof(
  record({
    type: kind('exact', 'prefix', 'suffix', 'contains'),
    value: one('td/ns/a/sa/b', '/ns/a/', 'td/'),
    ignoreCase: fc.boolean(),
  }),
  record({
    type: kind('regex'),
    value: one('.*/ns/a/.*', 'a|b', 'x(y|z)'),
    ignoreCase: fc.constant(false),
  }),
);
const principal: fc.Arbitrary<Principal> = fc.letrec<{ node: Principal }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    record({ type: kind('any') }),
    record({ type: kind('authenticated'), name: maybe(spiffe) }),
    record({ type: kind('direct-ip', 'remote-ip'), prefix }),
    record({ type: kind('header'), header: headerMatcher }),
    record({
      type: kind('claim'),
      path: some(word),
      match: fc.oneof(stringMatcher, record({ type: kind('present') })),
    }),
    record({ type: kind('and', 'or'), of: some(tie('node')) }),
    record({ type: kind('not'), of: tie('node') }),
  ),
})).node;
const rules = record({
  action: kind('ALLOW', 'DENY', 'LOG'),
  policies: map(record({ permissions: some(permission), principals: some(principal) })),
});
const rbac = record({ rules: maybe(rules), shadow: maybe(rules) });

const requirement = fc.oneof(
  record({ type: kind('provider'), provider: fc.constant('p'), audiences: texts }),
  record({ type: kind('allow-missing', 'allow-missing-or-failed') }),
  record({
    type: kind('any', 'all'),
    of: fc.array(record({ type: kind('provider'), provider: fc.constant('p'), audiences: texts }), {
      minLength: 2,
      maxLength: 2,
    }),
  }),
);
const provider = record({
  issuer: one('https://issuer', 'b'),
  audiences: texts,
  keys: fc.oneof(
    record({ type: kind('inline'), jwks: fc.constant(JWKS) }),
    record({
      type: kind('remote'),
      uri: one('https://keys/jwks.json'),
      cluster: fc.constant('keys'),
      timeoutMs: ms,
      cacheMs: ms,
    }),
  ),
  fromHeaders: list(record({ name: header, prefix: one('Bearer ', '') })),
  fromQuery: texts,
  fromCookies: texts,
  forward: fc.boolean(),
  payloadHeader: one('', 'x-payload'),
  claimHeaders: list(record({ header, claim: word })),
  clockSkewMs: one('1000', '60000').map(Number),
});
const jwt = fc
  .tuple(
    record({
      providers: provider.map((value) => new Map([['p', value]])),
      rules: list(record({ path: pathMatcher, requires: requirement })),
      requirements: map(requirement),
    }),
    fc.boolean(),
  )
  .map(([value, bypass]) => (bypass ? { ...value, bypassCorsPreflight: true } : value));
const extAuthz = record({
  service: fc.oneof(
    record({ type: kind('grpc'), cluster: fc.constant('authz'), timeoutMs: ms }),
    record({
      type: kind('http'),
      cluster: fc.constant('authz'),
      pathPrefix: one('', '/check'),
      timeoutMs: ms,
      upstreamHeaders: list(stringMatcher),
      clientHeaders: list(stringMatcher),
      requestHeaders: list(stringMatcher),
    }),
  ),
  failOpen: fc.boolean(),
  errorStatus: one('403', '503').map(Number),
  bodyBytes: uint(9000, 1),
  allowPartialBody: fc.boolean(),
  when: maybe(rules),
});
const localRateLimit = record({
  maxTokens: uint(100, 1),
  tokensPerFill: uint(100, 1),
  fillIntervalMs: one('50', '1000').map(Number),
  enabled: share,
  enforced: share,
  status: one('429', '503').map(Number),
  perConnection: fc.boolean(),
});
const delay = record({ ms, fraction: share });
const abort = record({
  status: record({ type: kind('http'), code: uint(599, 200) }),
  fraction: share,
});
const fault = fc.oneof(
  record({ delay, abort: maybe(abort), headers: list(headerMatcher) }),
  record({ delay: maybe(delay), abort, headers: list(headerMatcher) }),
);
const cors = record({
  allowOrigins: list(stringMatcher),
  allowMethods: one('', 'GET,POST'),
  allowHeaders: one('', 'x-a'),
  exposeHeaders: one('', 'x-b'),
  maxAge: one('', '600'),
  allowCredentials: maybe(fc.boolean()),
  forwardNotMatching: fc.boolean(),
});
const rateLimit = record({
  domain: word,
  stage: uint(10),
  cluster: fc.constant('limits'),
  timeoutMs: ms,
  failureDeny: fc.boolean(),
});
const filters: fc.Arbitrary<HttpFilter[]> = fc
  .array(
    fc.oneof(
      record({ type: kind('rbac'), name: one('r1', 'r2'), rbac }),
      record({ type: kind('jwt'), jwt }),
      record({ type: kind('ext-authz'), name: one('e1'), extAuthz }),
      record({ type: kind('rate-limit'), rateLimit }),
      record({ type: kind('local-rate-limit'), limit: maybe(localRateLimit) }),
      record({ type: kind('fault'), fault: maybe(fault) }),
      record({ type: kind('cors') }),
      record({ type: kind('grpc-stats') }),
      record({ type: kind('buffer'), maxBytes: uint(1 << 20, 1) }),
    ),
    { maxLength: 6 },
  )
  .map((found) => [...found.filter(onlyOneExtAuthz), { type: 'router' }]);

/** Two of one name would share their shadow rules. */
function onlyOneExtAuthz(filter: HttpFilter, index: number, all: readonly HttpFilter[]): boolean {
  return filter.type !== 'ext-authz' || all.findIndex(({ type }) => type === filter.type) === index;
}

/** Absent overrides are absent. */
const routeFilters = fc.record(
  {
    rbac: fc.oneof(kind('disabled'), rbac),
    fault: fc.oneof(kind('disabled'), fault),
    cors: fc.oneof(kind('disabled'), cors),
    localRateLimit,
    extAuthz: fc.oneof(kind('disabled'), record({ context: map(word) })),
    jwt: fc.oneof(kind('disabled'), record({ requirement: word })),
  },
  { requiredKeys: [], noNullPrototype: true },
);
const retry = record({
  on: fc.uniqueArray(
    one('5xx', 'reset', 'connect-failure', 'retriable-status-codes', 'unavailable'),
  ),
  attempts: uint(5),
  perTryTimeoutMs: maybe(ms),
  perTryIdleTimeoutMs: maybe(ms),
  statusCodes: list(uint(599, 400)),
  headers: list(headerMatcher),
  backoff: record({ baseMs: one('1', '25').map(Number), maxMs: one('250', '900').map(Number) }),
  avoidPreviousHosts: fc.boolean(),
  hostSelectionAttempts: uint(9, 1),
  previousPrioritiesFrequency: maybe(uint(5, 1)),
});
const hedge = record({ initialRequests: uint(3, 1), onPerTryTimeout: fc.boolean() });
const hash = record({
  source: fc.oneof(
    record({ type: kind('header'), name: header }),
    record({
      type: kind('cookie'),
      name: word,
      path: one('', '/'),
      ttlMs: maybe(one('0', '1000').map(Number)),
    }),
    record({ type: kind('source-ip') }),
    record({ type: kind('query'), name: word }),
  ),
  terminal: fc.boolean(),
});
const rateLimits = list(
  record({
    stage: uint(10),
    actions: some(
      fc.oneof(
        record({ type: kind('source-cluster', 'destination-cluster', 'remote-address') }),
        record({ type: kind('header'), header, key: word, skipIfAbsent: fc.boolean() }),
        record({ type: kind('generic'), key: word, value: word }),
        record({
          type: kind('header-match'),
          key: word,
          value: word,
          expect: fc.boolean(),
          headers: some(headerMatcher),
        }),
      ),
    ),
  }),
);
const choice = record({
  cluster,
  weight: uint(100, 1),
  requestHeaders: edits,
  responseHeaders: edits,
  hostRewrite: maybe(word),
});
const regexRewrite = record({
  type: kind('regex'),
  pattern: one('^/a', '/(b+)'),
  substitution: one('/x', '/\\1'),
});
const regexRedirect = record({
  type: kind('regex'),
  pattern: one('^/a', '/(b+)'),
  substitution: one('/x'),
});
const forward = record({
  type: kind('forward'),
  clusters: fc.oneof(
    record({ type: kind('weighted'), choices: some(choice) }),
    record({ type: kind('header'), header }),
  ),
  clusterNotFoundStatus: one('404', '500', '503').map((code) => Number(code) as 404 | 500 | 503),
  timeoutMs: fc.oneof(fc.constant(0), ms),
  idleTimeoutMs: maybe(ms),
  maxStreamMs: maybe(ms),
  grpcTimeoutMaxMs: maybe(ms),
  retry: maybe(retry),
  hedge: maybe(hedge),
  mirrors: list(record({ cluster, fraction: share })),
  hash: list(hash),
  pathRewrite: maybe(fc.oneof(record({ type: kind('prefix'), value: path }), regexRewrite)),
  hostRewrite: maybe(
    fc.oneof(
      record({ type: kind('literal'), value: word }),
      record({ type: kind('header'), name: header }),
      record({ type: kind('endpoint') }),
    ),
  ),
  upgrades: maybe(
    record({ type: one('websocket'), enabled: fc.boolean() }).map((upgrade) => [upgrade]),
  ),
  rateLimits,
  includeVirtualHostRateLimits: fc.boolean(),
});
const redirect = record({
  type: kind('redirect'),
  scheme: maybe(one('https', 'http')),
  host: maybe(word),
  port: maybe(port),
  path: maybe(fc.oneof(record({ type: kind('whole', 'prefix'), value: path }), regexRedirect)),
  status: one('301', '302', '303', '307', '308').map(
    (code) => Number(code) as 301 | 302 | 303 | 307 | 308,
  ),
  stripQuery: fc.boolean(),
});
const respond = record({
  type: kind('respond'),
  status: uint(599, 200),
  body: fc.uint8Array({ maxLength: 4 }),
});
const route: fc.Arbitrary<Route> = record({
  name: word,
  match: record({
    path: fc.oneof(pathMatcher, record({ type: kind('connect') })),
    ignorePathCase: fc.boolean(),
    headers: list(headerMatcher),
    query: list(
      record({ name: word, match: fc.oneof(stringMatcher, record({ type: kind('present') })) }),
    ),
    fraction: maybe(share),
    grpcOnly: fc.boolean(),
  }),
  action: fc.oneof(forward, forward, redirect, respond),
  requestHeaders: edits,
  responseHeaders: edits,
  filters: routeFilters,
  tracing: maybe(
    record({
      clientSampling: maybe(share),
      randomSampling: maybe(share),
      overallSampling: maybe(share),
    }),
  ),
});
export const routeConfiguration: fc.Arbitrary<RouteConfiguration> = record({
  name: one('outbound|80|*|a', 'inbound|80|w'),
  virtualHosts: fc
    .array(
      record({
        name: word,
        routes: list(route),
        requestHeaders: edits,
        responseHeaders: edits,
        retry: maybe(retry),
        hedge: maybe(hedge),
        rateLimits,
        filters: routeFilters,
      }),
      { maxLength: 2 },
    )
    .map((hosts) =>
      hosts.map((host, index) => ({
        ...host,
        name: `${host.name}${index}`,
        domains: [`h${index}.example.com`, `*.h${index}.org`],
      })),
    ),
  requestHeaders: edits,
  responseHeaders: edits,
  ignorePortInHost: fc.boolean(),
});

const tlsVersions = one('', 'TLSv1_2', 'TLSv1_3').map((version) =>
  version === '' ? undefined : (version as 'TLSv1_2' | 'TLSv1_3'),
);
const tls: fc.Arbitrary<TlsParameters> = record({
  certificates: fc.uniqueArray(one('kubernetes://a/b', 'default'), { maxLength: 1 }),
  validation: maybe(
    fc.oneof(
      record({
        roots: fc.oneof(one('ROOTCA'), fc.constant(undefined)),
        subjectAltNames: list(stringMatcher),
        insecure: fc.constant(false),
      }),
      record({
        roots: one('ROOTCA'),
        subjectAltNames: list(stringMatcher),
        insecure: fc.constant(true),
      }),
      record({
        roots: fc.constant(undefined),
        subjectAltNames: fc.constant([]),
        insecure: fc.constant(true),
      }),
    ),
  ),
  alpn: fc.subarray(['h2', 'http/1.1']),
  minVersion: fc.oneof(
    fc.constant(undefined),
    one('TLSv1_2').map(() => 'TLSv1_2' as const),
  ),
  maxVersion: tlsVersions,
  cipherSuites: fc.subarray(['ECDHE-RSA-AES128-GCM-SHA256']),
});

const endpoint = fc.oneof(
  record({ address: ip, port, healthy: fc.boolean(), weight: uint(100, 1), workload: maybe(word) }),
);
const hostEndpoint = record({
  address: one('a.example.com').map((host) => ({ host })),
  port,
  healthy: fc.constant(true),
  weight: uint(100, 1),
  workload: fc.constant(undefined),
});
const assignmentOf = (
  of: fc.Arbitrary<LoadAssignment['localities'][number]['endpoints'][number]>,
  localities: number,
): fc.Arbitrary<LoadAssignment> =>
  record({
    name: cluster,
    localities: fc
      .array(
        record({
          locality: record({ region: word, zone: one('', 'z'), subZone: one('', 's') }),
          weight: maybe(uint(10, 1)),
          endpoints: fc.array(of, { minLength: 1, maxLength: localities === 1 ? 1 : 3 }),
        }),
        { minLength: localities === 1 ? 1 : 0, maxLength: localities },
      )
      // Envoy wants priorities without a gap
      .map((groups) => groups.map((group, priority) => ({ ...group, priority }))),
    overprovisioning: uint(500, 100),
  });
export const loadAssignment = assignmentOf(endpoint, 3);

const successRate = record({
  minimumHosts: uint(9),
  requestVolume: uint(200),
  stdevFactor: uint(3000),
});
export const clusterArbitrary: fc.Arbitrary<Cluster> = record({
  name: fc.constantFrom(...CLUSTERS),
  discovery: fc.oneof(
    record({ type: kind('eds'), service: one('s1', 's2') }),
    record({ type: kind('static'), endpoints: loadAssignment }),
    record({
      type: kind('strict-dns'),
      endpoints: assignmentOf(hostEndpoint, 2),
      refreshMs: uint(60_000, 2),
      family: kind('auto', 'v4', 'v6', 'all'),
    }),
    record({
      type: kind('logical-dns'),
      endpoints: assignmentOf(hostEndpoint, 1),
      refreshMs: uint(60_000, 2),
      family: kind('auto', 'v4', 'v6', 'all'),
    }),
    record({ type: kind('original-destination') }),
  ),
  connectTimeoutMs: ms,
  balancer: record({
    policy: fc.oneof(
      record({ type: kind('round-robin', 'random') }),
      record({ type: kind('least-request'), choices: uint(5, 2) }),
      record({ type: kind('peak-ewma'), decayMs: ms }),
      record({ type: kind('ring-hash'), minSize: uint(1024, 1), maxSize: uint(8388608, 1024) }),
      record({ type: kind('maglev'), tableSize: one('65537', '251').map(Number) }),
    ),
    slowStartMs: maybe(ms),
    panicThreshold: one('0', '500000', '123400').map(Number),
    localityWeighted: fc.boolean(),
  }),
  protocol: kind('http1', 'http2', 'as-downstream'),
  maxRequestsPerConnection: maybe(uint(100, 1)),
  idleTimeoutMs: ms,
  maxConnectionMs: maybe(ms),
  tcpKeepalive: maybe(
    record({ probes: maybe(uint(9)), timeS: maybe(uint(99)), intervalS: maybe(uint(99)) }),
  ),
  limits: record({
    maxConnections: maybe(uint(9999)),
    maxPendingRequests: maybe(uint(9999)),
    maxRequests: maybe(uint(9999)),
    maxRetries: maybe(uint(99)),
    retryBudget: maybe(record({ percent: uint(100), minimum: uint(9) })),
  }),
  outliers: maybe(
    record({
      consecutive5xx: uint(9),
      consecutiveGatewayErrors: uint(9),
      consecutiveLocalOriginFailures: uint(9),
      splitLocalOriginErrors: fc.boolean(),
      intervalMs: ms,
      baseEjectionMs: one('1', '1000').map(Number),
      maxEjectionMs: one('1000', '60000').map(Number),
      maxEjectionPercent: uint(100),
      successRate: maybe(successRate),
    }),
  ),
  healthChecks: list(
    record({
      intervalMs: ms,
      timeoutMs: ms,
      healthyThreshold: uint(5, 1),
      unhealthyThreshold: uint(5, 1),
      check: fc.oneof(
        record({
          type: kind('http'),
          host: one('', 'h'),
          path: one('/healthz'),
          expected: list(record({ start: uint(299, 200), end: uint(500, 300) }), 1),
        }),
        record({ type: kind('grpc'), service: one('', 's') }),
        record({ type: kind('tcp') }),
      ),
    }),
    1,
  ),
  tls: maybe(
    fc
      .tuple(tls, one('', 'a.example.com'), fc.boolean())
      .map(([parameters, sni, autoSni]) => ({ ...parameters, sni, autoSni })),
  ),
  proxyProtocol: fc.oneof(
    fc.constant(undefined),
    one('1', '2').map((v) => Number(v) as 1 | 2),
  ),
  service: maybe(record({ namespace: word, name: word, host: word })),
}).map(consistent);

/** What Envoy does not take together: a passthrough cluster is balanced by itself, slow start is for two policies. */
function consistent(found: Cluster): Cluster {
  const { discovery, balancer, protocol } = found;
  const isPassthrough = discovery.type === 'original-destination';
  const policy: Cluster['balancer']['policy'] = isPassthrough
    ? { type: 'passthrough' }
    : balancer.policy;
  const slow = ['round-robin', 'least-request', 'peak-ewma'].includes(policy.type);
  const checks = found.healthChecks.filter(
    ({ check }) => check.type !== 'grpc' || protocol === 'http2',
  );
  return {
    ...found,
    healthChecks: isPassthrough ? [] : checks,
    balancer: {
      ...balancer,
      policy,
      slowStartMs: slow ? balancer.slowStartMs : undefined,
      localityWeighted: !isPassthrough && balancer.localityWeighted,
    },
  };
}

const manager: fc.Arbitrary<HttpConnectionManager> = record({
  codec: kind('auto', 'http1', 'http2'),
  routes: fc.oneof(
    record({ type: kind('rds'), name: one('outbound|80|*|a') }),
    record({ type: kind('inline'), config: routeConfiguration }),
  ),
  filters,
  statPrefix: one('outbound'),
  serverName: one('', 'podwire'),
  idleTimeoutMs: ms,
  streamIdleTimeoutMs: ms,
  requestTimeoutMs: maybe(ms),
  maxRequestHeadersKb: uint(96, 1),
  upgrades: fc.subarray(['websocket', 'CONNECT']),
  acceptHttp10: fc.boolean(),
  normalizePath: fc.boolean(),
  mergeSlashes: fc.boolean(),
  escapedSlashes: kind('keep', 'reject', 'unescape-redirect', 'unescape-forward'),
  useRemoteAddress: fc.boolean(),
  trustedHops: uint(3),
  clientCertificate: kind(
    'sanitize',
    'forward-only',
    'append-forward',
    'sanitize-set',
    'always-forward-only',
  ),
  tracing: maybe(record({ sampling: share })),
  accessLog: list(
    record({
      path: one('/dev/null'),
      format: maybe(
        fc.oneof(
          record({ type: kind('text'), format: one('%PROTOCOL%\n', '%RESPONSE_CODE%\n') }),
          record({ type: kind('json'), fields: map(one('%PROTOCOL%')) }),
        ),
      ),
    }),
  ),
});
const plain = (name: string, weight: number) => ({
  cluster: name,
  weight,
  requestHeaders: { edits: [], remove: [] },
  responseHeaders: { edits: [], remove: [] },
  hostRewrite: undefined,
});
const tcp = record({
  clusters: some(fc.tuple(cluster, uint(100, 1)).map(([name, weight]) => plain(name, weight))),
  idleTimeoutMs: ms,
  hash: list(fc.constant({ source: { type: 'source-ip' as const }, terminal: false }), 1),
});
const chain: fc.Arbitrary<FilterChain> = record({
  name: word,
  match: record({
    destinationPort: maybe(port),
    destinations: fc.uniqueArray(prefix, { maxLength: 2, selector: ({ address }) => address }),
    serverNames: fc.subarray(['a.example.com', '*.example.org']),
    transport: fc.oneof(fc.constant(undefined), kind('tls', 'raw_buffer')),
    applicationProtocols: fc.subarray(['h2', 'http/1.1']),
    sources: fc.uniqueArray(prefix, { maxLength: 2, selector: ({ address }) => address }),
  }),
  tls: maybe(
    fc
      .tuple(tls, fc.boolean())
      .map(
        ([parameters, required]) =>
          [{ ...parameters, certificates: ['default'] }, required] as const,
      )
      .map(([parameters, requireClientCertificate]) => ({
        ...parameters,
        requireClientCertificate,
      })),
  ),
  handler: fc.oneof(
    tcp.map((handler) => ({ type: 'tcp' as const, ...handler })),
    manager.map((handler) => ({ type: 'http' as const, ...handler })),
  ),
});
export const listener: fc.Arbitrary<Listener> = record({
  name: one('outbound|80|*|a', 'inbound|80|w', 'gateway|443|a/b'),
  direction: kind('outbound', 'inbound', 'gateway'),
  addresses: fc.uniqueArray(ip, { maxLength: 2 }),
  port,
  chains: fc.array(chain, { minLength: 1, maxLength: 1 }),
  defaultChain: maybe(chain),
  inspectTls: fc.boolean(),
  inspectHttp: fc.boolean(),
});
export const secret: fc.Arbitrary<Secret> = fc.oneof(
  record({
    type: kind('certificate'),
    name: one('kubernetes://a/b'),
    chain: one('PEM ü'),
    key: one('KEY'),
  }),
  record({ type: kind('roots'), name: one('ROOTCA'), roots: one('PEM'), crl: one('', 'CRL') }),
);
