/**
 * What `podwire status` says istiod leaves out, against istiod: which of the resources users wrote there are not in force
 * for podwire's connections, with the waypoints of the Services they are about.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { leftOutPage } from '../../src/cli/left-out-page.ts';
import { LeftOutView, type LeftOut } from '../../src/xds/istiod/left-out-view.ts';
import { installIstioKinds, startIstiod, type Istiod } from '../support/istiod.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { codec, startClient, type ClientUnderTest } from '../support/xds-client.ts';
import { create, createNamespace, merge } from './objects.ts';

const DEFAULT = '/api/v1/namespaces/default';
const NETWORKING = '/apis/networking.istio.io/v1/namespaces/default';
const SECURITY = '/apis/security.istio.io/v1/namespaces/default';
const GATEWAY = '/apis/gateway.networking.k8s.io/v1/namespaces/default';
const WITH = 'with.default.svc.cluster.local';
const WITHOUT = 'without.default.svc.cluster.local';
const WAYPOINT = 'default/waypoint.default.svc.cluster.local';

let kubernetes: Kubernetes;
let istiod: Istiod;

before(async () => {
  kubernetes = await startKubernetes();
  await installIstioKinds(kubernetes);
  istiod = await startIstiod(kubernetes);
  const { admin } = kubernetes;
  await createNamespace(admin, 'default', { 'istio.io/dataplane-mode': 'ambient' });
  await create(admin, `${DEFAULT}/services`, service('with', '10.96.1.1', 'waypoint'));
  await create(admin, `${DEFAULT}/services`, service('without', '10.96.1.2'));
  await create(admin, `${GATEWAY}/gateways`, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint', labels: { 'istio.io/waypoint-for': 'service' } },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    },
  });
  const addresses = [{ type: 'Hostname', value: 'waypoint.default.svc.cluster.local' }];
  await admin.call(`${GATEWAY}/gateways/waypoint/status`, merge({ status: { addresses } }));
  await create(
    admin,
    `${NETWORKING}/virtualservices`,
    istio('VirtualService', 'routes', {
      hosts: [WITH, 'without'],
      http: [{ route: [{ destination: { host: WITH } }] }],
    }),
  );
  await create(
    admin,
    `${NETWORKING}/virtualservices`,
    istio('VirtualService', 'edge', {
      hosts: ['example.com'],
      gateways: ['default/edge'],
      http: [{ route: [{ destination: { host: WITH } }] }],
    }),
  );
  await create(
    admin,
    `${NETWORKING}/destinationrules`,
    istio('DestinationRule', 'pool', {
      host: WITHOUT,
      trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } },
    }),
  );
  await create(admin, `${GATEWAY}/httproutes`, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'gamma' },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'without', port: 80 }],
      rules: [{ backendRefs: [{ name: 'with', port: 80 }] }],
    },
  });
  const policies = {
    'get-only': { action: 'ALLOW', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
    'no-admin': { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin'] } }] }] },
    'ports-only': { action: 'DENY', rules: [{ to: [{ operation: { ports: ['9'] } }] }] },
    audited: { action: 'AUDIT', rules: [{}] },
    attached: {
      targetRefs: [{ group: '', kind: 'Service', name: 'with' }],
      rules: [{ when: [{ key: 'request.headers[x]', values: ['y'] }] }],
    },
  };
  for (const [name, spec] of Object.entries(policies)) {
    await create(
      admin,
      `${SECURITY}/authorizationpolicies`,
      istio('AuthorizationPolicy', name, spec),
    );
  }
  const dry = istio('AuthorizationPolicy', 'dry', { action: 'DENY', rules: [{}] });
  const metadata = { ...dry.metadata, annotations: { 'istio.io/dry-run': 'true' } };
  await create(admin, `${SECURITY}/authorizationpolicies`, { ...dry, metadata });
});
after(async () => {
  await istiod?.stop();
  await kubernetes?.stop();
});

function service(name: string, clusterIP: string, waypoint?: string) {
  const labels = waypoint === undefined ? {} : { 'istio.io/use-waypoint': waypoint };
  const ports = [{ name: 'http', port: 80 }];
  return { metadata: { name, labels }, spec: { clusterIP, selector: { app: name }, ports } };
}

function istio(kind: string, name: string, spec: object) {
  const group = kind === 'AuthorizationPolicy' ? 'security.istio.io' : 'networking.istio.io';
  return { apiVersion: `${group}/v1`, kind, metadata: { name }, spec };
}

/** A client whose mesh is istiod's, and what it would show. */
async function start(t: TestContext): Promise<[ClientUnderTest, () => Promise<LeftOut | null>]> {
  const options = istiod.client('n1');
  const under = startClient({ ...options, linked: 'auto' });
  t.after(() => under.client.close());
  await under.until('complete', () => under.store.incomplete === undefined);
  const view = new LeftOutView({
    ...options,
    linked: 'auto',
    keptMs: 0,
    codec,
    channel: { ...options.channel, discovery: codec.discovery, maxMessageBytes: 1 << 20 },
  });
  return [under, () => view.of(under.client.status(), under.store.current.services)];
}

test('what istiod keeps to itself is named, with waypoints, why, and what helps', async (t) => {
  const [under, look] = await start(t);
  const key = `default/${WITH}`;
  await under.until(
    'the waypoint',
    () => under.store.current.services.get(key)?.waypoint !== undefined,
    20_000,
  );
  const leftOut = await look();
  assert.ok(leftOut !== null);
  assert.match(leftOut.controlPlane, /^istiod/);
  assert.equal(leftOut.error, '');
  assert.deepEqual(leftOut.types, [
    'listeners',
    'routes',
    'clusters',
    'loadAssignments',
    'secrets',
  ]);
  const rows = leftOut.resources.map(({ kind, namespace, name, effect, services }) => [
    `${kind} ${namespace}/${name}`,
    effect,
    ...services.map(({ host, waypoint }) => `${host} ${waypoint}`),
  ]);
  assert.deepEqual(rows, [
    ['AuthorizationPolicy default/attached', 'not-in-force'],
    ['AuthorizationPolicy default/audited', 'not-in-force'],
    ['AuthorizationPolicy default/dry', 'stricter'],
    ['AuthorizationPolicy default/get-only', 'stricter'],
    ['AuthorizationPolicy default/no-admin', 'stricter'],
    ['DestinationRule default/pool', 'not-in-force', `${WITHOUT} `],
    ['HTTPRoute default/gamma', 'not-in-force', `${WITHOUT} `],
    ['VirtualService default/routes', 'not-in-force', `${WITH} ${WAYPOINT}`, `${WITHOUT} `],
  ]);
  const page = leftOutPage(leftOut);
  t.diagnostic(`\n${page}`);
  assert.match(page, /^left out by istiod[^\n]*:\n  listeners, routes, .*: not asked for/);
  assert.match(
    page,
    /rules about requests \(methods\) allow nothing\n      fix: .*podwire control/,
  );
  assert.match(page, /VirtualService default\/routes: with\..* \(waypoint default\/waypoint\./);
  assert.match(page, /DestinationRule default\/pool: without\..* \(no waypoint\)/);
});

test('an istiod that is away: what was read last, and why it may be old', async (t) => {
  const [under, look] = await start(t);
  const before = await look();
  await istiod.stop();
  await under.until('it is away', () => under.client.status().servers[0]?.state !== 'up');
  const now = await look();
  assert.notEqual(now?.error, '');
  assert.deepEqual(now?.resources, before?.resources);
  await istiod.start();
});
