/**
 * Whatever is edited in whatever order: the messages in force are those of a translation from scratch, and an edit costs
 * what it touches.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Resource } from '../../../../src/model/resource.ts';
import { createCodec } from '../../../../src/xds/codec.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPES,
  type ResourceType,
} from '../../../../src/xds/resource-types.ts';
import { policyResource } from '../inbound/policy-arbitraries.ts';
import { node, pod, resource, secret, service, translate, Translated } from './translated.ts';

const NAMESPACES = ['shop', 'blog', 'istio-system'];
const NAMES = ['a', 'b'];
const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);

const namespace = fc.constantFrom(...NAMESPACES);
const name = fc.constantFrom(...NAMES);
const path = fc.tuple(namespace, name).map((parts) => parts.join('/'));
const host = fc.oneof(
  fc.tuple(name, namespace).map(([a, b]) => `${a}.${b}.svc.cluster.local`),
  name,
  fc.constantFrom('*', '*.shop.svc.cluster.local', 'api.example.com', '*.example.com'),
);
const exportTo = fc.constantFrom(undefined, ['.'], ['*'], ['blog'], ['~']);
const subset = fc.constantFrom(undefined, 'v1', 'v2');
const labels = fc.constantFrom<Readonly<Record<string, string>>>(
  {},
  { version: 'v1' },
  { version: 'v2', track: 'beta' },
  { istio: 'gateway', 'gateway.networking.k8s.io/gateway-name': 'b' },
  { istio: 'gateway', track: 'beta' },
);

const destination = fc.record({ host, subset }).map((found) => ({
  destination: { host: found.host, ...(found.subset ? { subset: found.subset } : {}) },
  weight: 1,
}));
const match = fc.constantFrom(
  undefined,
  [{ uri: { prefix: '/a' } }],
  [{ sourceLabels: { track: 'beta' } }],
  [{ sourceNamespace: 'blog' }],
  [{ sourceLabels: { version: 'v1' }, sourceNamespace: 'shop' }],
);
const egress = fc
  .record({
    hosts: fc.subarray(
      [
        ...['*/*', './*', 'shop/*', '~/*', '*/*.example.com', '*/api.example.com'],
        ...[
          '*/*.shop.svc.cluster.local',
          './a.shop.svc.cluster.local',
          '*/b.blog.svc.cluster.local',
        ],
      ],
      { minLength: 1, maxLength: 3 },
    ),
    port: fc.constantFrom(undefined, undefined, 80, 81),
  })
  .map(({ hosts, port }) => ({
    hosts,
    ...(port && { port: { number: port, name: 'p', protocol: 'HTTP' } }),
  }));
const mode = fc.constantFrom('UNSET', 'PERMISSIVE', 'STRICT');
// Validation refuses a route to nowhere.
const route = fc.record({ match, route: fc.array(destination, { minLength: 1, maxLength: 2 }) });
const policy = fc.constantFrom<object | undefined>(
  undefined,
  { outlierDetection: {} },
  { loadBalancer: { localityLbSetting: { enabled: true } }, outlierDetection: {} },
  { loadBalancer: { simple: 'RANDOM' }, connectionPool: { tcp: { maxConnections: 3 } } },
  { tls: { mode: 'SIMPLE' } },
  { tls: { mode: 'MUTUAL', credentialName: 'cert' } },
);

const target = fc.constantFrom<object>(
  {},
  { selector: { matchLabels: { istio: 'gateway' } } },
  { selector: { matchLabels: { track: 'beta' } } },
  { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'b' }] },
);

const anyResource: fc.Arbitrary<Resource> = fc.oneof(
  fc
    .record({
      path,
      hosts: fc.array(host, { minLength: 1, maxLength: 2 }),
      http: fc.array(route, { maxLength: 2 }),
      exportTo,
    })
    .map(({ path: at, ...spec }) => resource('VirtualService', at, spec as never)),
  fc
    .record({ path, route })
    .map(({ path: at, route: delegate }) =>
      resource('VirtualService', at, { http: [delegate] } as never),
    ),
  fc
    .record({
      path,
      host,
      trafficPolicy: policy,
      exportTo,
      selector: fc.constantFrom(undefined, { matchLabels: { track: 'beta' } }),
    })
    .map(({ path: at, selector, ...spec }) =>
      resource('DestinationRule', at, {
        ...spec,
        ...(selector && { workloadSelector: selector }),
        subsets: [{ name: 'v1', labels: { version: 'v1' } }],
      } as never),
    ),
  fc
    .record({
      path,
      selector: fc.boolean(),
      egress: fc.array(egress, { maxLength: 2 }),
      refuse: fc.boolean(),
    })
    .map(({ path: at, selector, egress: found, refuse }) =>
      resource('Sidecar', at, {
        egress: found,
        ...(refuse ? { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' as const } } : {}),
        ...(selector ? { workloadSelector: { labels: { version: 'v1' } } } : {}),
      }),
    ),
  fc
    .record({
      path,
      hosts: fc.constantFrom(['api.example.com'], ['*.example.com'], ['a.shop.svc.cluster.local']),
      resolution: fc.constantFrom('STATIC', 'DNS', 'NONE'),
      addresses: fc.constantFrom(undefined, ['10.97.0.1']),
    })
    .map(({ path: at, ...spec }) =>
      resource('ServiceEntry', at, {
        ...spec,
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        endpoints: [{ address: '192.0.2.1', labels: { version: 'v1' } }],
        exportTo: ['*'],
      } as never),
    ),
  fc
    .record({ path, exportTo })
    .map(({ path: at, ...more }) =>
      service(
        at,
        '10.96.0.1',
        { http: 80, tcp: 81 },
        more as Partial<Extract<Resource, { kind: 'Service' }>>,
      ),
    ),
  fc
    .record({
      path,
      labels,
      app: name,
      on: fc.constantFrom('n1', 'n2'),
      ip: fc.constantFrom('10.0.0.1', '10.0.0.2'),
    })
    .map(({ path: at, labels: own, app, on, ip }) => pod(at, ip, { app, ...own } as never, on)),
  fc
    .record({ path, hosts: fc.constantFrom(['*'], ['shop/*.example.com']), tls: fc.boolean() })
    .map(({ path: at, hosts, tls }) =>
      resource('Gateway', at, {
        selector: { istio: 'gateway' },
        servers: [
          tls
            ? {
                port: { number: 443, name: 'https', protocol: 'HTTPS' },
                hosts,
                tls: { mode: 'MUTUAL', credentialName: 'cert' },
              }
            : { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts },
        ],
      }),
    ),
  fc
    .record({ namespace, caCertificates: fc.constantFrom(undefined, 'ROOTS') })
    .map((found) => secret(`${found.namespace}/cert`, { caCertificates: found.caCertificates })),
  fc
    .record({ path, host, parent: name, port: fc.constantFrom(undefined, 80) })
    .map(({ path: at, parent, port }) =>
      resource('HTTPRoute', at, {
        parentRefs: [{ group: '', kind: 'Service', name: parent, namespace: 'shop', port }],
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/a' } }],
            backendRefs: [
              { group: '', kind: 'Service', name: 'b', namespace: 'blog', port: 80, weight: 1 },
            ],
          },
        ],
      } as never),
    ),
  fc
    .record({ path, protocol: fc.constantFrom('HTTP', 'HTTPS', 'TCP'), from: namespace })
    .map(({ path: at, protocol, from }) =>
      resource('GatewayApiGateway', at, {
        gatewayClassName: 'podwire',
        listeners: [
          {
            name: 'one',
            port: 8443,
            protocol,
            allowedRoutes: { namespaces: { from: 'Same' } },
            ...(protocol === 'HTTPS' && {
              tls: {
                mode: 'Terminate',
                certificateRefs: [{ group: '', kind: 'Secret', name: 'cert', namespace: from }],
              },
            }),
          },
        ],
      } as never),
    ),
  fc.record({ path, gateway: path, host }).map(({ path: at, gateway, host: to }) =>
    resource('VirtualService', at, {
      hosts: ['web.example.com'],
      gateways: [gateway],
      http: [{ route: [{ destination: { host: to } }] }],
      tcp: [{ route: [{ destination: { host: to } }] }],
    } as never),
  ),
  fc
    .record({ path, action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'), target })
    .map(({ path: at, action, target: on }) => {
      const [policyNamespace = '', policyName = ''] = at.split('/');
      return policyResource(policyNamespace, policyName, {
        ...on,
        action,
        ...(action === 'CUSTOM' && { provider: { name: 'authz' } }),
        rules: [{ to: [{ operation: { methods: ['GET'], paths: [`/${action}`] } }] }],
      });
    }),
  fc.record({ path, target }).map(({ path: at, target: on }) =>
    resource('RequestAuthentication', at, {
      ...on,
      jwtRules: [{ issuer: 'https://i.example', jwksUri: 'https://keys.example/k' }],
    } as never),
  ),
  fc.record({ path, from: namespace }).map(({ path: at, from }) =>
    resource('ReferenceGrant', at, {
      from: ['HTTPRoute', 'Gateway'].map((kind) => ({
        group: 'gateway.networking.k8s.io',
        kind,
        namespace: from,
      })),
      to: [
        { group: '', kind: 'Service' },
        { group: '', kind: 'Secret' },
      ],
    }),
  ),
  fc
    .record({ path, app: name, address: fc.constantFrom('192.0.2.7', '192.0.2.8') })
    .map(({ path: at, app, address }) =>
      resource('WorkloadEntry', at, { address, labels: { app, version: 'v1' } }),
    ),
  fc.record({ namespace, createdAt: fc.constantFrom(1, 2, 3) }).map(
    (found) =>
      ({
        ...resource('Namespace' as 'Sidecar', `/${found.namespace}`, {}),
        name: found.namespace,
        createdAt: found.createdAt,
      }) as Resource,
  ),
  fc
    .record({ path, mode, ports: fc.constantFrom(undefined, { 80: 'STRICT' }, { 81: 'DISABLE' }) })
    .map(({ path: at, mode: found, ports }) =>
      resource('PeerAuthentication', at, {
        mtls: { mode: found },
        ...(ports && { selector: { matchLabels: { version: 'v1' } }, portLevelMtls: ports }),
      } as never),
    ),
  fc
    .record({
      path,
      target: fc.constantFrom(
        { type: 'all' },
        { type: 'labels', labels: new Map([['app', 'a']]) },
        { type: 'labels', labels: new Map(Object.entries({ version: 'v2', track: 'beta' })) },
        { type: 'references', services: ['a'], gateways: [] },
      ),
      action: fc.constantFrom('ALLOW', 'DENY'),
    })
    .map(({ path: at, target, action }) => ({
      ...resource('AuthorizationPolicy', at, undefined as never),
      ...({ target, policy: { action, rules: [], dryRun: false }, refused: false } as object),
    })),
  fc
    .record({ path, of: name, ips: fc.constantFrom(['10.0.0.1'], ['10.0.0.1', '10.0.0.9']) })
    .map(({ path: at, of, ips }) => ({
      ...resource('EndpointSlice', at, undefined as never),
      ...({
        service: of,
        ports: [{ name: 'http', port: 80 }],
        endpoints: ips.map((ip) => ({ addresses: [ip], ready: true, node: 'n1', zone: '' })),
      } as object),
    })),
  fc.constantFrom(node('n1', 'eu/a'), node('n1', 'us/b'), node('n2', 'eu/b')),
);

interface Edit {
  readonly remove: boolean;
  readonly resource: Resource;
}
const edits = fc.array(
  fc.array(fc.record({ remove: fc.boolean(), resource: anyResource }), { maxLength: 4 }),
  { minLength: 1, maxLength: 8 },
);

const KINDS = [
  'addresses',
  'authorizations',
  'listeners',
  'routes',
  'clusters',
  'loadAssignments',
  'secrets',
] as const;

test('incremental and from scratch are the same', () => {
  fc.assert(
    fc.property(edits, (saves) => {
      const incremental = new Translated();
      const present = new Map<string, Resource>();
      for (const save of saves) incremental.apply(changesOf(save, present));
      const whole = translate(...present.values());
      assert.deepEqual(
        [...incremental.translator.namedSecrets.names].sort(),
        [...whole.translator.namedSecrets.names].sort(),
      );
      for (const kind of KINDS) {
        const sorted = (from: Translated) => [...from[kind]].sort(([a], [b]) => (a < b ? -1 : 1));
        assert.deepEqual(sorted(incremental), sorted(whole), kind);
      }
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test('an agent reads from the wire what it would be handed in memory', () => {
  const codec = createCodec();
  fc.assert(
    fc.property(fc.array(anyResource, { maxLength: 20 }), (resources) => {
      const unique = new Map(resources.map((item) => [item.id, item]));
      const translated = translate(...unique.values());
      for (const key of RESOURCE_ORDER) {
        const type = RESOURCE_TYPES[key] as ResourceType;
        for (const value of translated[key].values()) {
          const read = type.decode(codec, type.encode(codec, value));
          assert.deepEqual(read, { ok: true, value, warnings: [] });
        }
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});

/** One change per resource, as the resource index makes them. */
function changesOf(save: readonly Edit[], present: Map<string, Resource>) {
  const last = new Map(save.map((edit) => [edit.resource.id, edit]));
  return [...last].flatMap(([id, { remove, resource: next }]) => {
    const before = present.get(id);
    const after = remove ? undefined : next;
    if (after === undefined) present.delete(id);
    else present.set(id, after);
    return before === undefined && after === undefined ? [] : [{ before, after }];
  });
}

test('routes never name a cluster of another scope, and every cluster is of some route', () => {
  fc.assert(
    fc.property(fc.array(anyResource, { maxLength: 20 }), (resources) => {
      const unique = new Map(resources.map((item) => [item.id, item]));
      const translated = translate(...unique.values());
      const text = JSON.stringify(
        [...translated.listeners.values(), ...translated.routes.values()],
        (_, value: unknown) => (value instanceof Map ? [...value] : value),
      );
      const used = new Set(text.match(/(?:outbound|inbound|extension)\|[^"]*/g));
      for (const cluster of translated.clusters.keys()) {
        assert.ok(used.has(cluster) || cluster === 'PassthroughCluster', cluster);
      }
    }),
    { seed: SEED, numRuns: 100 },
  );
});

for (const size of [10, 100, 1000]) {
  test(`an edit in a mesh of ${size} Services compiles what it touches`, () => {
    const resources = Array.from({ length: size }, (_, index) => [
      service(`shop/s${index}`, `10.96.${index >> 8}.${index & 255}`, { http: 80 }),
      pod(`shop/p${index}`, `10.1.${index >> 8}.${index & 255}`, { app: `s${index}` }),
      virtualService(index, '1s'),
    ]).flat();
    const translated = translate(...resources);
    const before = translated.translator.compiledUnits;
    const sent = translated.apply([{ before: resources[2], after: virtualService(0, '2s') }]);
    assert.deepEqual(sent, ['outbound|80|*|s0.shop.svc.cluster.local']);
    assert.equal(translated.translator.compiledUnits - before, 1);
  });
}

for (const size of [10, 100, 1000]) {
  test(`a Sidecar that lists another of ${size} Services compiles these two`, () => {
    const resources = Array.from({ length: size }, (_, index) => [
      service(`shop/s${index}`, `10.96.${index >> 8}.${index & 255}`, { http: 80 }),
      virtualService(index, '1s'),
    ]).flat();
    const sidecar = (...hosts: string[]) =>
      resource('Sidecar', 'blog/only', {
        egress: [{ hosts: hosts.map((name) => `shop/${name}.shop.svc.cluster.local`) }],
      });
    const [before, after] = [sidecar('s0', 's1'), sidecar('s1', 's2')];
    const translated = translate(...resources, before);
    const compiled = translated.translator.compiledUnits;
    const sent = translated.apply([{ before, after }]);
    assert.equal(translated.translator.compiledUnits - compiled, 2);
    // What it does not list is answered in its namespace alone; the rest is as for everybody.
    const name = (of: number) => `outbound|80|blog|s${of}.shop.svc.cluster.local`;
    assert.deepEqual(sent, [name(0), `-${name(2)}`]);
  });
}

const virtualServices = new Map<string, Resource>();
function virtualService(index: number, timeout: string): Resource {
  const key = `${index} ${timeout}`;
  const made =
    virtualServices.get(key) ??
    resource('VirtualService', `shop/s${index}`, {
      hosts: [`s${index}`],
      http: [{ route: [{ destination: { host: `s${index}` } }], timeout }],
    });
  virtualServices.set(key, made);
  return made;
}
