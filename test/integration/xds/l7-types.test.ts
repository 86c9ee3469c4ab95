/**
 * Every type from a foreign server (go-control-plane, which checks them by Envoy's own definitions): what Istio's resources are
 * translated to, and listeners with filters of every kind.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readMeshConfig } from '../../../src/control/mesh-config.ts';
import type { Resource } from '../../../src/model/resource.ts';
import { ControlPlane } from '../../support/control-plane.ts';
import { policy, serverAt, startClient } from '../../support/xds-client.ts';
import { policyResource } from '../../unit/control/inbound/policy-arbitraries.ts';
import { pod, resource, secret, service, Translated } from '../../unit/control/l7/translated.ts';
import { listener } from '../../unit/xds/l7-arbitraries.ts';

const L7_TYPES = ['secrets', 'clusters', 'loadAssignments', 'routes', 'listeners'] as const;
const RANDOM_LISTENERS = 60;
const SEED = 4;
/** What a random listener names is nowhere. */
const WARMING_MS = 100;

const PROVIDERS = `
extensionProviders:
- name: gate
  envoyExtAuthzGrpc: { service: gate.gate.svc.cluster.local, port: 9000 }`;
const GET = [{ to: [{ operation: { methods: ['GET'] } }] }];

const MESH: readonly Resource[] = [
  service('shop/web', '10.1.0.1', { http: 8080 }),
  service('gate/gate', '10.1.0.2', { grpc: 9000 }),
  pod('shop/web', '10.0.0.1', { app: 'web' }),
  pod('gate/gate', '10.0.0.2', { app: 'gate' }),
  pod('edge/gw', '10.0.0.3', { istio: 'gateway' }),
  secret('edge/cert'),
  resource('VirtualService', 'shop/web', {
    hosts: ['web'],
    http: [
      { match: [{ sourceLabels: { istio: 'gateway' } }], redirect: { uri: '/' } },
      { timeout: '1s', route: [{ destination: { host: 'web' } }] },
    ],
  }),
  resource('DestinationRule', 'shop/web', {
    host: 'web',
    trafficPolicy: { outlierDetection: { consecutive5xxErrors: 1 } },
  }),
  resource('Gateway', 'edge/gw', {
    selector: { istio: 'gateway' },
    servers: [
      {
        port: { number: 443, name: 'https', protocol: 'HTTPS' },
        hosts: ['a.example.com'],
        tls: { mode: 'SIMPLE', credentialName: 'cert' },
      },
    ],
  }),
  resource('VirtualService', 'edge/a', {
    hosts: ['a.example.com'],
    gateways: ['gw'],
    http: [{ route: [{ destination: { host: 'web.shop.svc.cluster.local' } }] }],
  }),
  policyResource('shop', 'get', { rules: GET }),
  policyResource('shop', 'asked', { action: 'CUSTOM', provider: { name: 'gate' }, rules: GET }),
  resource('RequestAuthentication', 'shop/tokens', {
    jwtRules: [{ issuer: 'https://issuer.example', jwks: '{"keys":[]}' }],
  }),
];

function translated(): Translated {
  const mesh = new Translated();
  mesh.translator.setMeshConfig(readMeshConfig(PROVIDERS, 'mesh.yaml').config);
  mesh.apply(MESH.map((after) => ({ before: undefined, after })));
  return mesh;
}

for (const variant of ['delta', 'sotw'] as const) {
  test(`what control makes of a mesh arrives as it is from another server, ${variant}`, async (t) => {
    const mesh = translated();
    for (const key of L7_TYPES) assert.ok(mesh[key].size > 0, `there are ${key}`);
    const inbound = [...mesh.listeners.values()].find(({ name }) => name.startsWith('inbound|'));
    const handler = inbound?.chains[0]?.handler ?? inbound?.defaultChain?.handler;
    const filters = handler?.type === 'http' ? handler.filters.map(({ type }) => type) : [];
    for (const filter of ['jwt', 'ext-authz', 'rbac'] as const) assert.ok(filters.includes(filter));

    const server = await ControlPlane.start();
    t.after(() => server.kill());
    const all = Object.fromEntries(L7_TYPES.map((key) => [key, [...mesh[key].values()]]));
    await server.serve({
      ...all,
      addresses: [...mesh.addresses.values()],
      authorizations: [...mesh.authorizations.values()],
    });
    const { client, store, until } = startClient({
      servers: [serverAt(server.port)],
      protocol: variant,
      linked: 'on',
    });
    t.after(() => client.close());
    await until('the mesh', () => store.current.listeners.size === mesh.listeners.size);
    for (const key of L7_TYPES) {
      for (const [name, one] of store.current[key]) assert.deepEqual(one, mesh[key].get(name));
    }
    for (const key of ['clusters', 'listeners', 'secrets'] as const) {
      assert.deepEqual([...store.current[key].keys()].sort(), [...mesh[key].keys()].sort());
    }
    assert.ok(store.current.routes.size > 0 && store.current.loadAssignments.size > 0);
    const refused = client.status().types.filter(({ rejects }) => rejects > 0);
    assert.deepEqual(refused, []);
  });

  test(`filters of every kind, ${variant}`, async (t) => {
    const random = fc.sample(listener, { seed: SEED, numRuns: RANDOM_LISTENERS });
    const served = new Map(
      random.map((one, index) => [`listener-${index}`, { ...one, name: `listener-${index}` }]),
    );
    const server = await ControlPlane.start();
    t.after(() => server.kill());
    await server.serve({
      addresses: [],
      authorizations: [policy('p')],
      clusters: [],
      listeners: [...served.values()],
    });
    const { client, store, until } = startClient({
      servers: [serverAt(server.port)],
      protocol: variant,
      linked: 'on',
      warmingMs: WARMING_MS,
    });
    t.after(() => client.close());
    await until('the listeners', () => store.current.listeners.size === served.size);
    for (const [name, one] of store.current.listeners) assert.deepEqual(one, served.get(name));
  });
}
