/**
 * Istio's Gateways and ServiceEntries: what comes in and what goes out.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerSpec } from '../../../../src/model/resource/gateway.ts';
import { pod, resource, secret, service, translate, type Translated } from './translated.ts';

const HTTP: ServerSpec = { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] };
const HTTPS: ServerSpec = {
  port: { number: 443, name: 'https', protocol: 'HTTPS' },
  hosts: ['a.example.com'],
  tls: { mode: 'SIMPLE', credentialName: 'a-cert', minProtocolVersion: 'TLSV1_3' },
};
const SECRET = secret('edge/a-cert', { caCertificates: 'ROOTS' });

const web = service('shop/web', '10.96.0.1', { http: 8080 });
const gateway = (...servers: ServerSpec[]) =>
  resource('Gateway', 'edge/gw', { selector: { istio: 'gateway' }, servers });
const bound = (path: string, hosts: string[], prefix: string, createdAt = 0) =>
  resource(
    'VirtualService',
    path,
    {
      hosts,
      gateways: ['edge/gw'],
      http: [
        {
          match: [{ uri: { prefix } }],
          route: [{ destination: { host: 'web.shop.svc.cluster.local' } }],
        },
      ],
    },
    { createdAt },
  );

const hostsOf = (translated: Translated, name: string) =>
  Object.fromEntries(
    (translated.routes.get(name)?.virtualHosts ?? []).map(({ domains, routes }) => [
      domains.join(' '),
      routes.map(({ match }) => (match.path.type === 'connect' ? '' : match.path.value)),
    ]),
  );

test('VirtualServices of a gateway are merged by host, and only where hosts overlap', () => {
  const translated = translate(
    web,
    gateway({ ...HTTP, hosts: ['*.example.com', 'shop/only.example.org'] }),
    bound('shop/two', ['a.example.com'], '/two', 2),
    bound('shop/one', ['a.example.com', 'only.example.org'], '/one', 1),
    bound('blog/no', ['only.example.org', 'other.net'], '/no', 3),
  );
  assert.deepEqual(hostsOf(translated, 'gateway|80|edge/gw'), {
    'a.example.com': ['/one', '/two'],
    'only.example.org': ['/one'],
  });
  assert.deepEqual([...translated.clusters.keys()], ['outbound|8080||web.shop.svc.cluster.local']);
  assert.deepEqual([...translated.listeners.keys()], ['gateway|80|edge/gw']);
});

test('TLS with a certificate by name', () => {
  const translated = translate(
    web,
    SECRET,
    gateway(HTTPS),
    bound('shop/a', ['a.example.com'], '/'),
  );
  const listener = translated.listeners.get('gateway|443|edge/gw');
  const [chain] = listener?.chains ?? [];
  assert.deepEqual(chain?.match.serverNames, ['a.example.com']);
  assert.equal(listener?.inspectTls, true);
  assert.deepEqual(chain?.tls?.certificates, ['kubernetes://edge/a-cert']);
  assert.equal(chain?.tls?.minVersion, 'TLSv1_3');
  assert.equal(chain?.tls?.requireClientCertificate, false);
  assert.deepEqual([...translated.secrets.keys()], ['kubernetes://edge/a-cert']);
  assert.deepEqual(Object.keys(hostsOf(translated, 'gateway|443|edge/gw|0')), ['a.example.com']);
});

test('mutual TLS asks for a certificate that the roots of the Secret verify', () => {
  const server = { ...HTTPS, tls: { ...HTTPS.tls, mode: 'MUTUAL' as const } };
  const translated = translate(
    web,
    SECRET,
    gateway(server),
    bound('shop/a', ['a.example.com'], '/'),
  );
  const tls = translated.listeners.get('gateway|443|edge/gw')?.chains[0]?.tls;
  assert.equal(tls?.requireClientCertificate, true);
  assert.equal(tls?.validation?.roots, 'kubernetes://edge/a-cert-cacert');
  assert.deepEqual(translated.secrets.get('kubernetes://edge/a-cert-cacert'), {
    type: 'roots',
    name: 'kubernetes://edge/a-cert-cacert',
    roots: 'ROOTS',
    crl: '',
  });
});

test('a Secret is sent only while a gateway names it', () => {
  const before = gateway(HTTPS);
  const translated = translate(web, SECRET, before);
  assert.equal(translated.secrets.size, 1);
  translated.apply([{ before, after: undefined }]);
  assert.equal(translated.secrets.size, 0);
  assert.equal(translated.listeners.size, 0);
});

test('plain text is sent to TLS', () => {
  const translated = translate(
    web,
    gateway({ ...HTTP, hosts: ['a.example.com'], tls: { httpsRedirect: true } }, HTTPS),
    bound('shop/a', ['a.example.com'], '/'),
  );
  const action = translated.routes.get('gateway|80|edge/gw')?.virtualHosts[0]?.routes[0]?.action;
  assert.ok(action?.type === 'redirect');
  assert.deepEqual([action.scheme, action.status], ['https', 301]);
});

test('TLS passed through by server name', () => {
  const server: ServerSpec = { ...HTTPS, hosts: ['*.example.com'], tls: { mode: 'PASSTHROUGH' } };
  const translated = translate(
    web,
    gateway(server),
    resource('VirtualService', 'shop/a', {
      hosts: ['a.example.com'],
      gateways: ['edge/gw'],
      tls: [
        { match: [{ sniHosts: ['a.example.com'] }], route: [{ destination: { host: 'web' } }] },
      ],
    }),
  );
  const [chain] = translated.listeners.get('gateway|443|edge/gw')?.chains ?? [];
  assert.deepEqual(chain?.match.serverNames, ['a.example.com']);
  assert.equal(chain?.tls, undefined);
  assert.ok(chain?.handler.type === 'tcp');
});

test('TCP gateways', () => {
  const server: ServerSpec = { port: { number: 5432, name: 'pg', protocol: 'TCP' }, hosts: ['*'] };
  const translated = translate(
    web,
    gateway(server),
    resource('VirtualService', 'shop/a', {
      hosts: ['*'],
      gateways: ['edge/gw'],
      tcp: [{ match: [{ port: 5432 }], route: [{ destination: { host: 'web' } }] }],
    }),
  );
  const handler = translated.listeners.get('gateway|5432|edge/gw')?.defaultChain?.handler;
  assert.ok(handler?.type === 'tcp');
  assert.equal(handler.clusters[0]?.cluster, 'outbound|8080||web.shop.svc.cluster.local');
});

const entry = (hosts: string[], more: object) =>
  resource('ServiceEntry', 'shop/ext', { hosts, location: 'MESH_EXTERNAL', ...more } as never);

test('a host resolved by DNS is found by the Host header, whatever address is dialled', () => {
  const translated = translate(
    entry(['api.example.com'], {
      resolution: 'DNS',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    }),
  );
  const name = 'outbound|80|*|*';
  assert.deepEqual(translated.listeners.get(name)?.addresses, []);
  assert.deepEqual(Object.keys(hostsOf(translated, name)), ['api.example.com', '*']);
  const cluster = translated.clusters.get('outbound|80||api.example.com');
  assert.ok(cluster?.discovery.type === 'strict-dns');
  assert.deepEqual(cluster.discovery.endpoints.localities[0]?.endpoints[0]?.address, {
    host: 'api.example.com',
  });
  assert.ok(translated.clusters.has('PassthroughCluster'));
});

test('TLS origination: HTTP inside, TLS outside', () => {
  const translated = translate(
    entry(['api.example.com'], {
      resolution: 'DNS',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 443 }],
    }),
    resource('DestinationRule', 'shop/ext', {
      host: 'api.example.com',
      trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, tls: { mode: 'SIMPLE' } }] },
    }),
  );
  const cluster = translated.clusters.get('outbound|80||api.example.com');
  assert.equal(cluster?.tls?.sni, 'api.example.com');
  assert.equal(cluster.tls.validation?.insecure, false);
  assert.ok(cluster.discovery.type === 'strict-dns');
  assert.equal(cluster.discovery.endpoints.localities[0]?.endpoints[0]?.port, 443);
});

test('egress by server name', () => {
  const translated = translate(
    entry(['*.example.com'], {
      resolution: 'NONE',
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
    }),
    resource('DestinationRule', 'shop/ext', {
      host: '*.example.com',
      trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 } }, outlierDetection: {} },
    }),
  );
  const listener = translated.listeners.get('outbound|443|*|*');
  assert.deepEqual(listener?.chains[0]?.match.serverNames, ['*.example.com']);
  const cluster = translated.clusters.get('outbound|443||*.example.com');
  assert.equal(cluster?.discovery.type, 'original-destination');
});

test('a static ServiceEntry is a Service with workloads', () => {
  const translated = translate(
    entry(['db.example.com'], {
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      addresses: ['10.97.0.1'],
      ports: [{ number: 5432, name: 'tcp', protocol: 'TCP' }],
      endpoints: [{ address: '192.0.2.1', ports: { tcp: 15432 } }, { address: '192.0.2.2' }],
    }),
  );
  const address = translated.addresses.get('shop/db.example.com');
  assert.ok(address?.kind === 'service');
  assert.deepEqual(address.service.addresses, ['10.97.0.1']);
  const targets = [...translated.addresses.values()].flatMap((found) =>
    found.kind === 'workload'
      ? [
          [
            found.workload.addresses[0],
            found.workload.services.get('shop/db.example.com')?.[0]?.targetPort,
          ],
        ]
      : [],
  );
  assert.deepEqual(
    targets.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    [
      ['192.0.2.1', 15432],
      ['192.0.2.2', 5432],
    ],
  );
  assert.equal(translated.listeners.size, 0);
});

test('a ServiceEntry selects WorkloadEntries by label', () => {
  const translated = translate(
    entry(['vm.example.com'], {
      resolution: 'STATIC',
      addresses: ['10.97.0.1'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
      workloadSelector: { labels: { app: 'vm' } },
    }),
    resource('WorkloadEntry', 'shop/vm1', {
      address: '192.0.2.9',
      labels: { app: 'vm', version: 'v1' },
      serviceAccount: 'vm',
      weight: 4,
    }),
    resource('DestinationRule', 'shop/vm', {
      host: 'vm.example.com',
      trafficPolicy: { outlierDetection: {} },
    }),
  );
  const uid = 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm1';
  const address = translated.addresses.get(uid);
  assert.ok(address?.kind === 'workload');
  assert.deepEqual([address.workload.name, address.workload.capacity], ['vm1', 4]);
  assert.deepEqual(translated.endpoints('outbound|80||vm.example.com'), ['0 : 192.0.2.9:8080']);
});

test("a certificate in a file is nobody's here: reported, and no certificate is made up", () => {
  const tls = { mode: 'SIMPLE', serverCertificate: '/c', privateKey: '/k' } as const;
  const { translator, listeners } = translate(web, gateway({ ...HTTPS, tls }));
  const paths = translator.findings().map(({ code, path }) => `${code} ${path}`);
  assert.ok(paths.includes('NOT_SUPPORTED spec.servers[0].tls.serverCertificate'), paths.join());
  const certificates = listeners.get('gateway|443|edge/gw')?.chains[0]?.tls?.certificates;
  assert.deepEqual(certificates, ['file-cert:/c~/k']);
});

test('a Gateway belongs to the nodes of the pods it selects', () => {
  const { visibility } = translate(
    pod('edge/p1', '10.0.0.1', { istio: 'gateway' }, 'n1'),
    pod('edge/p2', '10.0.0.2', { istio: 'other' }, 'n2'),
    gateway(HTTP),
  ).translator;
  const runsAt = ['n1', 'n2'].map((node) =>
    visibility.gateways.runsAt('edge/gw', `Kubernetes ${node}`),
  );
  assert.deepEqual(runsAt, [true, false]);
});

test('subsets of the endpoints that a ServiceEntry lists', () => {
  const translated = translate(
    entry(['vm.example.com'], {
      resolution: 'STATIC',
      addresses: ['10.97.0.1'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      endpoints: [
        { address: '192.0.2.1', labels: { version: 'v1' } },
        { address: '192.0.2.2', labels: { version: 'v2' }, locality: 'eu/a/r1' },
      ],
    }),
    resource('DestinationRule', 'shop/vm', {
      host: 'vm.example.com',
      subsets: [{ name: 'v2', labels: { version: 'v2' } }],
    }),
    resource('VirtualService', 'shop/vm', {
      hosts: ['vm.example.com'],
      http: [{ route: [{ destination: { host: 'vm.example.com', subset: 'v2' } }] }],
    }),
  );
  assert.deepEqual(translated.endpoints('outbound|80|v2|vm.example.com'), [
    '0 eu/a/r1: 192.0.2.2:80',
  ]);
});

test('a VirtualService singles out a host that only a wildcard entry covers', () => {
  const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }];
  const translated = translate(
    entry(['*.example.com'], { resolution: 'NONE', ports }),
    resource('VirtualService', 'shop/api', {
      hosts: ['api.example.com'],
      http: [{ timeout: '3s', route: [{ destination: { host: 'api.example.com' } }] }],
    }),
  );
  const name = 'outbound|80|*|*';
  assert.deepEqual(Object.keys(hostsOf(translated, name)), [
    '*.example.com',
    'api.example.com',
    '*',
  ]);
  const cluster = translated.clusters.get('outbound|80||api.example.com');
  assert.equal(cluster?.discovery.type, 'original-destination');
});

test('what a DestinationRule asks for in vain is reported', () => {
  const { translator } = translate(
    web,
    resource('DestinationRule', 'shop/web', {
      host: 'web',
      trafficPolicy: {
        connectionPool: { http: { maxConcurrentStreams: 5 } },
        tls: { mode: 'MUTUAL', clientCertificate: '/c', privateKey: '/k', caCertificates: '/r' },
      },
    }),
  );
  const paths = translator
    .findings()
    .flatMap(({ code, path }) => (code === 'NOT_SUPPORTED' ? [path] : []));
  assert.deepEqual(paths, [
    'spec.trafficPolicy.connectionPool.http.maxConcurrentStreams',
    'spec.trafficPolicy.tls.clientCertificate',
    'spec.trafficPolicy.tls.caCertificates',
  ]);
});

for (const [names, type] of [
  [1, 'logical-dns'],
  [2, 'strict-dns'],
] as const) {
  test(`DNS_ROUND_ROBIN with ${names} names is ${type}`, () => {
    const endpoints = Array.from({ length: names }, (_, index) => ({
      address: `e${index}.example.com`,
    }));
    const translated = translate(
      entry(['api.example.com'], {
        resolution: 'DNS_ROUND_ROBIN',
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        endpoints,
      }),
    );
    assert.equal(translated.clusters.get('outbound|80||api.example.com')?.discovery.type, type);
  });
}
