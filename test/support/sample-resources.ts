/** A small mesh with one resource of every type, as messages. */
import { EMPTY_MATCH } from '../../src/model/authorization.ts';
import type { Cluster } from '../../src/model/cluster.ts';
import { parseIp, parsePrefix } from '../../src/model/ip.ts';
import type {
  FilterChainMatch,
  HttpConnectionManager,
  Listener,
} from '../../src/model/listener.ts';
import type { LoadAssignment } from '../../src/model/load-assignment.ts';
import { NO_HEADER_EDITS } from '../../src/model/matcher.ts';
import type { MeshUpdate } from '../../src/model/messages.ts';
import type { RouteConfiguration } from '../../src/model/route.ts';
import type { Secret } from '../../src/model/secret.ts';
import { ALL_ENDPOINTS, type Service } from '../../src/model/service.ts';
import { emptySnapshot } from '../../src/model/snapshot.ts';
import { NO_LOCALITY, type Workload } from '../../src/model/workload.ts';
import { buildSnapshot } from '../../src/store/builder.ts';

export const SERVICE_KEY = 'shop/db.shop.svc.cluster.local';
export const DB_UID = 'Kubernetes//Pod/shop/db-1';
/** must never be shown */
export const PRIVATE_KEY = '-----BEGIN PRIVATE KEY-----';

const ip = (text: string) => parseIp(text)!;

export const DB: Workload = {
  uid: DB_UID,
  name: 'db-1',
  namespace: 'shop',
  addresses: [ip('10.0.0.2'), ip('fd00::2')],
  hostname: '',
  network: '',
  tunnelProtocol: 'HBONE',
  trustDomain: 'cluster.local',
  serviceAccount: 'db',
  node: 'n1',
  locality: NO_LOCALITY,
  scope: '',
  inboundClass: '',
  canonicalName: 'db',
  canonicalRevision: 'latest',
  workloadType: 'DEPLOYMENT',
  workloadName: 'db',
  nativeTunnel: false,
  services: new Map([[SERVICE_KEY, [{ servicePort: 80, targetPort: 5432 }]]]),
  authorizationPolicies: ['shop/only-web'],
  healthy: true,
  clusterId: 'Kubernetes',
  hostNetwork: false,
  capacity: 1,
};

const SERVICE: Service = {
  name: 'db',
  namespace: 'shop',
  hostname: 'db.shop.svc.cluster.local',
  addresses: [ip('10.1.0.1')],
  ports: [{ servicePort: 80, targetPort: 5432 }],
  loadBalancing: { ...ALL_ENDPOINTS, healthPolicy: 'ONLY_HEALTHY' },
  sessionAffinitySeconds: 0,
  maxConnections: 0,
  lbPolicy: 'least-conn',
};

const CLUSTER_NAME = 'outbound|80||db.shop.svc.cluster.local';
const ROUTES_NAME = 'outbound|80|*|db.shop.svc.cluster.local';

const CLUSTER: Cluster = {
  name: CLUSTER_NAME,
  discovery: { type: 'eds', service: CLUSTER_NAME },
  connectTimeoutMs: 10_000,
  balancer: {
    policy: { type: 'least-request', choices: 2 },
    slowStartMs: undefined,
    panicThreshold: 0,
    localityWeighted: false,
  },
  protocol: 'http2',
  maxRequestsPerConnection: undefined,
  idleTimeoutMs: undefined,
  maxConnectionMs: undefined,
  tcpKeepalive: undefined,
  limits: {
    maxConnections: undefined,
    maxPendingRequests: undefined,
    maxRequests: undefined,
    maxRetries: undefined,
    retryBudget: undefined,
  },
  outliers: undefined,
  healthChecks: [],
  tls: undefined,
  proxyProtocol: undefined,
  service: { namespace: 'shop', name: 'db', host: 'db.shop.svc.cluster.local' },
};

const ASSIGNMENT: LoadAssignment = {
  name: CLUSTER_NAME,
  localities: [
    {
      locality: { region: '', zone: '', subZone: '' },
      priority: 0,
      weight: undefined,
      endpoints: [
        { address: ip('fd00::2'), port: 5432, healthy: false, weight: 3, workload: DB_UID },
        { address: { host: 'db.example' }, port: 1, healthy: true, weight: 1, workload: undefined },
      ],
    },
  ],
  overprovisioning: 140,
};

const EDITS = { requestHeaders: NO_HEADER_EDITS, responseHeaders: NO_HEADER_EDITS };

const ROUTES: RouteConfiguration = {
  name: ROUTES_NAME,
  virtualHosts: [
    {
      name: 'db',
      domains: ['db', 'db.shop'],
      routes: [
        {
          name: 'canary',
          match: {
            path: { type: 'segment-prefix', value: '/v2' },
            ignorePathCase: false,
            headers: [
              {
                name: 'x-canary',
                match: { type: 'present' },
                invert: false,
                treatMissingAsEmpty: false,
              },
            ],
            query: [],
            fraction: undefined,
            grpcOnly: false,
          },
          action: {
            type: 'forward',
            clusters: {
              type: 'weighted',
              choices: [
                { cluster: 'a', weight: 90, ...EDITS, hostRewrite: undefined },
                { cluster: 'b', weight: 10, ...EDITS, hostRewrite: undefined },
              ],
            },
            clusterNotFoundStatus: 503,
            timeoutMs: undefined,
            idleTimeoutMs: undefined,
            maxStreamMs: undefined,
            grpcTimeoutMaxMs: undefined,
            retry: undefined,
            hedge: undefined,
            mirrors: [],
            hash: [],
            pathRewrite: undefined,
            hostRewrite: undefined,
            upgrades: undefined,
            rateLimits: [],
            includeVirtualHostRateLimits: false,
          },
          ...EDITS,
          filters: {},
          tracing: undefined,
        },
        {
          name: 'rest',
          match: {
            path: { type: 'prefix', value: '/' },
            ignorePathCase: false,
            headers: [],
            query: [],
            fraction: undefined,
            grpcOnly: false,
          },
          action: { type: 'respond', status: 503, body: new Uint8Array([1, 2, 3]) },
          ...EDITS,
          filters: {},
          tracing: undefined,
        },
      ],
      ...EDITS,
      retry: undefined,
      hedge: undefined,
      rateLimits: [],
      filters: {},
    },
  ],
  ...EDITS,
  ignorePortInHost: true,
};

const ANY: FilterChainMatch = {
  destinationPort: undefined,
  destinations: [],
  serverNames: [],
  transport: undefined,
  applicationProtocols: [],
  sources: [],
};

const HTTP: HttpConnectionManager = {
  codec: 'auto',
  routes: { type: 'rds', name: ROUTES_NAME },
  filters: [{ type: 'router' }],
  statPrefix: '',
  serverName: '',
  idleTimeoutMs: undefined,
  streamIdleTimeoutMs: undefined,
  requestTimeoutMs: undefined,
  maxRequestHeadersKb: undefined,
  upgrades: [],
  acceptHttp10: false,
  normalizePath: true,
  mergeSlashes: true,
  escapedSlashes: 'keep',
  useRemoteAddress: false,
  trustedHops: 0,
  clientCertificate: 'sanitize',
  tracing: undefined,
  accessLog: [],
};

const OUTBOUND: Listener = {
  name: ROUTES_NAME,
  direction: 'outbound',
  addresses: [ip('10.1.0.1')],
  port: 80,
  chains: [
    {
      name: 'http',
      match: { ...ANY, applicationProtocols: ['h2'], serverNames: ['db'] },
      tls: undefined,
      handler: { type: 'http', ...HTTP },
    },
  ],
  defaultChain: {
    name: 'tcp',
    match: ANY,
    tls: undefined,
    handler: {
      type: 'tcp',
      clusters: [{ cluster: CLUSTER_NAME, weight: 1, ...EDITS, hostRewrite: undefined }],
      idleTimeoutMs: undefined,
      hash: [],
    },
  },
  inspectTls: false,
  inspectHttp: true,
};

const INBOUND: Listener = {
  ...OUTBOUND,
  name: `inbound|5432|${DB_UID}`,
  direction: 'inbound',
  addresses: [],
  port: 5432,
  chains: [],
  defaultChain: {
    name: 'http',
    match: ANY,
    tls: undefined,
    handler: {
      type: 'http',
      ...HTTP,
      filters: [
        {
          type: 'rbac',
          name: 'rbac',
          rbac: {
            rules: {
              action: 'DENY',
              policies: new Map([
                [
                  'no-writes',
                  {
                    permissions: [
                      {
                        type: 'header',
                        header: {
                          name: ':method',
                          match: { type: 'exact', value: 'POST', ignoreCase: false },
                          invert: false,
                          treatMissingAsEmpty: false,
                        },
                      },
                    ],
                    principals: [{ type: 'any' }],
                  },
                ],
              ]),
            },
            shadow: undefined,
          },
        },
        { type: 'router' },
      ],
    },
  },
};

const CERTIFICATE: Secret = {
  type: 'certificate',
  name: 'kubernetes://shop/tls',
  chain: '-----BEGIN CERTIFICATE-----',
  key: PRIVATE_KEY,
};

export const SAMPLE_MESH = {
  addresses: {
    upserts: [
      { kind: 'workload', workload: DB },
      { kind: 'service', service: SERVICE },
    ],
    removals: [],
  },
  authorizations: {
    upserts: [
      {
        name: 'only-web',
        namespace: 'shop',
        scope: 'WORKLOAD_SELECTOR',
        action: 'ALLOW',
        rules: [
          {
            clauses: [
              {
                matches: [
                  {
                    ...EMPTY_MATCH,
                    namespaces: [{ type: 'exact', value: 'web' }],
                    notPrincipals: [{ type: 'suffix', value: '/evil' }],
                  },
                  { ...EMPTY_MATCH, sourceIps: [parsePrefix('10.0.0.0/8')!] },
                ],
              },
              { matches: [{ ...EMPTY_MATCH, destinationPorts: [5432, 5433] }] },
            ],
          },
        ],
        dryRun: false,
      },
    ],
    removals: [],
  },
  secrets: { upserts: [CERTIFICATE], removals: [] },
  clusters: { upserts: [CLUSTER], removals: [] },
  loadAssignments: { upserts: [ASSIGNMENT], removals: [] },
  routes: { upserts: [ROUTES], removals: [] },
  listeners: { upserts: [OUTBOUND, INBOUND], removals: [] },
} as const satisfies MeshUpdate;

export const SAMPLE_SNAPSHOT = buildSnapshot(emptySnapshot(), SAMPLE_MESH);
