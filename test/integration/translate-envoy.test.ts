/**
 * Real Envoy takes what Istio's resources are translated to: everything a mesh of documented examples gives, in one
 * bootstrap file.  Routes and endpoints are written into their users, since nobody serves them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../src/model/cluster.ts';
import type { FilterChain, Listener } from '../../src/model/listener.ts';
import type { Resource } from '../../src/model/resource.ts';
import { createCodec } from '../../src/xds/codec.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-types.ts';
import { ENVOY_MISSING, findEnvoy } from '../bench/envoy.ts';
import { validate } from '../support/envoy-validation.ts';
import { policyResource } from '../unit/control/inbound/policy-arbitraries.ts';
import {
  node,
  pod,
  resource,
  secret,
  service,
  translate,
  type Translated,
} from '../unit/control/l7/translated.ts';

const codec = createCodec();
const envoy = findEnvoy(process.env);
const FIRST_PORT = 20_000;

const REVIEWS = 'reviews.shop.svc.cluster.local';
const to = (subset: string, weight = 50) => ({ destination: { host: REVIEWS, subset }, weight });

const MESH: readonly Resource[] = [
  node('n1', 'eu/a'),
  node('n2', 'eu/b'),
  service('shop/reviews', '10.96.0.1', { http: 9080, grpc: 9090, main: 7000, tcp: 7001 }),
  service('shop/db', '10.96.0.2', { mysql: 3306, tls: 443 }),
  pod('shop/reviews-v1', '10.0.0.1', { app: 'reviews', version: 'v1' }, 'n1'),
  pod('shop/reviews-v2', '10.0.0.2', { app: 'reviews', version: 'v2' }, 'n2'),
  pod('blog/beta', '10.0.0.3', { track: 'beta' }, 'n2'),
  resource('DestinationRule', 'shop/reviews', {
    host: 'reviews',
    trafficPolicy: {
      loadBalancer: {
        simple: 'LEAST_REQUEST',
        warmup: { duration: '30s' },
        localityLbSetting: { enabled: true },
      },
      connectionPool: {
        tcp: {
          maxConnections: 10,
          connectTimeout: '30ms',
          tcpKeepalive: { time: '7200s', interval: '75s' },
        },
        http: {
          http1MaxPendingRequests: 1,
          maxRequestsPerConnection: 3,
          maxRetries: 2,
          idleTimeout: '1m',
        },
      },
      outlierDetection: {
        consecutive5xxErrors: 3,
        interval: '1s',
        baseEjectionTime: '3m',
        minHealthPercent: 20,
      },
      proxyProtocol: { version: 'V2' },
      portLevelSettings: [
        {
          port: { number: 7000 },
          loadBalancer: { consistentHash: { httpCookie: { name: 'user', ttl: '0s' } } },
        },
      ],
    },
    subsets: [
      { name: 'v1', labels: { version: 'v1' } },
      {
        name: 'v2',
        labels: { version: 'v2' },
        trafficPolicy: {
          loadBalancer: { consistentHash: { httpHeaderName: 'x-user', maglev: {} } },
        },
      },
      {
        name: 'far',
        trafficPolicy: {
          loadBalancer: {
            localityLbSetting: {
              distribute: [{ from: 'eu/b/*', to: { 'eu/a/*': 80, 'eu/b/*': 20 } }],
            },
          },
        },
      },
    ],
  }),
  resource('VirtualService', 'shop/reviews', {
    hosts: ['reviews'],
    http: [
      {
        match: [
          {
            uri: { prefix: '/a' },
            headers: { cookie: { regex: '^(.*?;)?(user=jason)(;.*)?$' }, 'x-any': {} },
            ignoreUriCase: true,
          },
          {
            uri: { regex: '/b/[0-9]+' },
            withoutHeaders: { 'x-no': { exact: '1' } },
            queryParams: { q: { regex: '.+' } },
          },
          {
            sourceLabels: { track: 'beta' },
            scheme: { exact: 'http' },
            authority: { prefix: 'rev' },
          },
        ],
        route: [
          to('v1'),
          { ...to('v2'), headers: { response: { add: { 'x-v': '2' }, remove: ['x-w'] } } },
        ],
        rewrite: { uri: '/', authority: 'other' },
        fault: {
          delay: { fixedDelay: '5s', percentage: { value: 0.1 } },
          abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 1 } },
        },
        retries: {
          attempts: 3,
          perTryTimeout: '2s',
          retryOn: 'gateway-error,connect-failure,503',
          retryRemoteLocalities: true,
        },
        timeout: '10s',
        mirrors: [{ destination: { host: REVIEWS, subset: 'far' }, percentage: { value: 10 } }],
        corsPolicy: {
          allowOrigins: [{ prefix: 'https://' }],
          allowMethods: ['GET'],
          maxAge: '24h',
          allowCredentials: true,
        },
      },
      { match: [{ uri: { exact: '/old' } }], redirect: { uri: '/new', redirectCode: 302 } },
      {
        match: [{ uri: { exact: '/no' } }],
        directResponse: { status: 503, body: { string: 'no' } },
      },
      {
        match: [{ uri: { prefix: '/re' } }],
        route: [to('far')],
        rewrite: { uriRegexRewrite: { match: '^/re/(.*)$', rewrite: '/\\1' } },
      },
      { route: [to('v2')] },
    ],
    tcp: [{ match: [{ port: 7001 }], route: [to('v1', 1), to('v2', 2)] }],
  }),
  resource('VirtualService', 'shop/db', {
    hosts: ['db'],
    tcp: [
      {
        match: [{ destinationSubnets: ['10.1.0.0/16'] }],
        route: [{ destination: { host: 'reviews' } }],
      },
    ],
    tls: [
      {
        match: [{ sniHosts: ['a.example.com', '*.b.example.com'] }],
        route: [{ destination: { host: 'db' } }],
      },
    ],
  }),
  resource('ServiceEntry', 'shop/ext', {
    hosts: ['api.example.com'],
    location: 'MESH_EXTERNAL',
    resolution: 'DNS',
    ports: [
      { number: 80, name: 'http', protocol: 'HTTP', targetPort: 443 },
      { number: 443, name: 'tls', protocol: 'TLS' },
    ],
  }),
  resource('DestinationRule', 'shop/ext', {
    host: 'api.example.com',
    trafficPolicy: {
      portLevelSettings: [
        { port: { number: 80 }, tls: { mode: 'SIMPLE', subjectAltNames: ['api.example.com'] } },
      ],
    },
  }),
  resource('ServiceEntry', 'shop/wild', {
    hosts: ['*.example.org'],
    resolution: 'NONE',
    ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
  }),
  resource('DestinationRule', 'shop/wild', {
    host: '*.example.org',
    trafficPolicy: { outlierDetection: {} },
  }),
  resource('Sidecar', 'blog/default', { egress: [{ hosts: ['./*'] }] }),
  secret('edge/a', { caCertificates: 'ROOTS' }),
  pod('edge/gw-1', '10.0.0.9', { istio: 'gateway' }, 'n1'),
  policyResource('edge', 'api', {
    selector: { matchLabels: { istio: 'gateway' } },
    rules: [
      {
        from: [{ source: { requestPrincipals: ['*'], remoteIpBlocks: ['192.0.2.0/24'] } }],
        to: [{ operation: { hosts: ['a.example.com'], methods: ['GET'], paths: ['/v1/{*}'] } }],
        when: [{ key: 'request.auth.claims[groups]', values: ['admin'] }],
      },
    ],
  }),
  policyResource('istio-system', 'never', {
    action: 'DENY',
    rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }],
  }),
  policyResource('edge', 'seen', {
    action: 'AUDIT',
    rules: [{ to: [{ operation: { methods: ['POST'] } }] }],
  }),
  resource('RequestAuthentication', 'edge/tokens', {
    selector: { matchLabels: { istio: 'gateway' } },
    jwtRules: [{ issuer: 'https://issuer.example', jwks: '{"keys":[]}' }],
  }),
  resource('GatewayApiGateway', 'edge/api', {
    gatewayClassName: 'podwire',
    listeners: [
      {
        name: 'https',
        port: 9443,
        protocol: 'HTTPS',
        hostname: 'a.example.com',
        allowedRoutes: { namespaces: { from: 'Same' } },
        tls: { mode: 'Terminate', certificateRefs: [{ group: '', kind: 'Secret', name: 'a' }] },
      },
    ],
  } as never),
  resource('HTTPRoute', 'edge/api', {
    parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'api' }],
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        filters: [
          { type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301 } },
        ],
      },
    ],
  } as never),
  policyResource('edge', 'attached', {
    targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'api' }],
    action: 'DENY',
    rules: [{ to: [{ operation: { notMethods: ['GET'] } }] }],
  }),
  resource('Gateway', 'edge/gw', {
    selector: { istio: 'gateway' },
    servers: [
      {
        port: { number: 80, name: 'http', protocol: 'HTTP' },
        hosts: ['*'],
        tls: { httpsRedirect: true },
      },
      {
        port: { number: 443, name: 'https', protocol: 'HTTPS' },
        hosts: ['a.example.com'],
        tls: { mode: 'MUTUAL', credentialName: 'a' },
      },
      {
        port: { number: 8443, name: 'pass', protocol: 'TLS' },
        hosts: ['b.example.com'],
        tls: { mode: 'PASSTHROUGH' },
      },
    ],
  }),
  resource('VirtualService', 'edge/a', {
    hosts: ['a.example.com', 'b.example.com'],
    gateways: ['gw'],
    http: [{ route: [{ destination: { host: REVIEWS, port: { number: 9080 } } }] }],
    tls: [
      {
        match: [{ sniHosts: ['b.example.com'] }],
        route: [{ destination: { host: REVIEWS, port: { number: 9080 } } }],
      },
    ],
  }),
];

test(
  'Envoy takes the translation of a mesh',
  { skip: envoy === undefined && ENVOY_MISSING },
  async () => {
    const translated = translate(...MESH);
    assert.ok(translated.listeners.size >= 10, `${translated.listeners.size} listeners`);
    assert.ok(translated.clusters.size >= 12, `${translated.clusters.size} clusters`);
    const http = translated.listeners.get('gateway|443|edge/gw')?.chains[0]?.handler;
    assert.deepEqual(http?.type === 'http' && http.filters.map(({ type }) => type), [
      'jwt',
      'rbac',
      'rbac',
      'rbac',
      'cors',
      'fault',
      'grpc-stats',
      'router',
    ]);
    const attached = translated.listeners.get('gateway|9443|edge/api')?.chains[0]?.handler;
    assert.deepEqual(attached?.type === 'http' && attached.filters[0]?.type, 'rbac');
    const [some] = translated.clusters.values();
    const clusters = [managementServer(some!), ...translated.clusters.values()].map((cluster) =>
      RESOURCE_TYPES.clusters.encode(codec, standing(cluster, translated)),
    );
    const listeners = [...translated.listeners.values()].map((listener, index) =>
      RESOURCE_TYPES.listeners.encode(codec, {
        ...standingListener(listener, translated),
        port: FIRST_PORT + index,
      }),
    );
    assert.equal(await validate(envoy!, clusters, listeners), undefined);
  },
);

/** What the bootstrap file names. */
function managementServer(some: Cluster): Cluster {
  const endpoints = { name: 'ads', localities: [], overprovisioning: 140 };
  return {
    ...some,
    name: 'ads',
    discovery: { type: 'static', endpoints },
    balancer: { ...some.balancer, policy: { type: 'random' }, slowStartMs: undefined },
    protocol: 'http2',
    outliers: undefined,
    proxyProtocol: undefined,
  };
}

/** With its endpoints, and without secrets. */
function standing(cluster: Cluster, { loadAssignments }: Translated): Cluster {
  const { discovery, tls } = cluster;
  const endpoints = discovery.type === 'eds' ? loadAssignments.get(discovery.service) : undefined;
  return {
    ...cluster,
    discovery: endpoints === undefined ? discovery : { type: 'static', endpoints },
    tls: tls && { ...tls, certificates: [] },
  };
}

function standingListener(listener: Listener, translated: Translated): Listener {
  const { chains, defaultChain } = listener;
  return {
    ...listener,
    addresses: [],
    chains: chains.map((chain) => standingChain(chain, translated)),
    defaultChain: defaultChain && standingChain(defaultChain, translated),
  };
}

/** Certificates stay names: Envoy asks for them when it runs.  Every cluster that is named must be there: a route to one that is not would be refused here, and answered 503 live. */
function standingChain(chain: FilterChain, { routes }: Translated): FilterChain {
  const { handler } = chain;
  if (handler.type !== 'http' || handler.routes.type !== 'rds') return chain;
  const config = routes.get(handler.routes.name);
  assert.ok(config, `${handler.routes.name} is named and missing`);
  return { ...chain, handler: { ...handler, routes: { type: 'inline', config } } };
}
