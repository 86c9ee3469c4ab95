/**
 * Pods, Services and EndpointSlices → messages.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { control, pod, read, save, temporaryFolder, type Watched } from './temporary-folder.ts';

const KEY = 'shop/web.shop.svc.cluster.local';

function service(spec = 'ports: [{ name: http, port: 80, targetPort: 8080 }]', selector = true) {
  return `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  clusterIP: 10.96.0.1
  ${selector ? 'selector: { app: web }' : ''}
  ${spec}
`;
}

function slice(name: string, endpoints: string, port = 'ports: [{ name: http, port: 9090 }]') {
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
${port}
endpoints: ${endpoints}
`;
}

const labelled = (name: string, ip: string, more = {}) =>
  pod(name, ip, { metadata: 'labels: { app: web }', ...more });

/** target port by workload, for the one Service of the folder */
function endpoints(watched: Watched): Record<string, number | undefined> {
  return Object.fromEntries(
    [...watched.addresses.values()].flatMap((address) => {
      if (address.kind !== 'workload') return [];
      const ports = address.workload.services.get(KEY);
      return ports === undefined ? [] : [[address.workload.name, ports[0]?.targetPort]];
    }),
  );
}

test('a pod becomes a Workload', async (t) => {
  const watched = await read(t, {
    'a.yaml': pod('web-7d4b9-x', '10.0.0.1', {
      metadata: `
labels: { app: web, version: v2, pod-template-hash: 7d4b9 }
annotations: { podwire.io/weight: "3" }
ownerReferences: [{ kind: ReplicaSet, name: web-7d4b9, controller: true }]`,
      spec: 'serviceAccountName: web-account\nnodeName: node-1',
    }),
  });
  assert.deepEqual(watched.workload('shop/web-7d4b9-x'), {
    uid: 'Kubernetes//Pod/shop/web-7d4b9-x',
    name: 'web-7d4b9-x',
    namespace: 'shop',
    addresses: ['10.0.0.1'],
    hostname: '',
    network: '',
    tunnelProtocol: 'NONE',
    trustDomain: 'cluster.local',
    serviceAccount: 'web-account',
    node: 'node-1',
    locality: { region: '', zone: '', subzone: '' },
    canonicalName: 'web',
    canonicalRevision: 'v2',
    workloadType: 'DEPLOYMENT',
    workloadName: 'web',
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    healthy: true,
    clusterId: 'Kubernetes',
    hostNetwork: false,
    capacity: 3,
    scope: '',
    inboundClass: '',
  });
});

const owners: [string, string, string][] = [
  ['ReplicaSet, name: web-1', 'DEPLOYMENT', 'web-1'],
  ['Job, name: clean-28000000', 'CRONJOB', 'clean'],
  ['Job, name: clean', 'JOB', 'clean'],
  ['StatefulSet, name: db', 'POD', 'db'],
  ['DaemonSet, name: logs', 'POD', 'logs'],
  ['Node, name: n1', 'POD', 'p'],
];

for (const [owner, type, name] of owners) {
  test(`workload of a pod owned by ${owner}`, async (t) => {
    const metadata = `ownerReferences: [{ kind: ${owner}, controller: true }]`;
    const watched = await read(t, { 'a.yaml': pod('p', '10.0.0.1', { metadata }) });
    const { workloadType, workloadName, canonicalName } = watched.workload('shop/p')!;
    assert.deepEqual([workloadType, workloadName, canonicalName], [type, name, name]);
  });
}

test('a Service becomes a Service, and its pods name it', async (t) => {
  const watched = await read(t, {
    's.yaml': service(),
    'a.yaml': labelled('a', '10.0.0.1'),
    'b.yaml': pod('b', '10.0.0.2'),
  });
  assert.deepEqual(watched.service('shop/web'), {
    name: 'web',
    namespace: 'shop',
    hostname: 'web.shop.svc.cluster.local',
    addresses: ['10.96.0.1'],
    ports: [{ servicePort: 80, targetPort: 8080 }],
    loadBalancing: { mode: 'UNSPECIFIED', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' },
    lbPolicy: 'round-robin',
    sessionAffinitySeconds: 0,
    maxConnections: 0,
  });
  assert.deepEqual(endpoints(watched), { a: 8080 });
  assert.deepEqual(watched.codes, []);
});

test('a named target port is each pod’s own', async (t) => {
  const spec = (port: number) => ({
    spec: `containers: [{ name: c, ports: [{ name: http, containerPort: ${port} }] }]`,
  });
  const watched = await read(t, {
    's.yaml': service('ports: [{ port: 80, targetPort: http }]'),
    'a.yaml': labelled('a', '10.0.0.1', spec(8001)),
    'b.yaml': labelled('b', '10.0.0.2', spec(8002)),
  });
  assert.deepEqual(endpoints(watched), { a: 8001, b: 8002 });
  assert.deepEqual(watched.service('shop/web')!.ports, [{ servicePort: 80, targetPort: 0 }]);
});

test('a headless Service has no address', async (t) => {
  const watched = await read(t, { 's.yaml': service().replace('10.96.0.1', 'None') });
  assert.deepEqual(watched.service('shop/web')!.addresses, []);
});

test('UDP ports are left to others', async (t) => {
  const ports = 'ports: [{ name: a, port: 53, protocol: UDP }, { name: b, port: 53 }]';
  const watched = await read(t, { 's.yaml': service(ports), 'a.yaml': labelled('a', '10.0.0.1') });
  assert.deepEqual(watched.service('shop/web')!.ports, [{ servicePort: 53, targetPort: 53 }]);
  assert.deepEqual(watched.codes, []);
});

test('a pod that is not ready, or is over', async (t) => {
  const status = (text: string) => ({ status: text });
  const watched = await read(t, {
    'a.yaml': pod('a', '10.0.0.1', status('conditions: [{ type: Ready, status: "False" }]')),
    'b.yaml': pod('b', '10.0.0.2', status('conditions: [{ type: Ready, status: "True" }]')),
    'c.yaml': pod('c', '10.0.0.3', status('phase: Succeeded')),
    'd.yaml': pod('d', '10.0.0.4', { metadata: 'deletionTimestamp: "2026-01-01T00:00:00Z"' }),
  });
  const health = ['a', 'b', 'c', 'd'].map((name) => watched.workload(`shop/${name}`)?.healthy);
  assert.deepEqual(health, [false, true, undefined, false]);
  assert.deepEqual(watched.codes, []);
});

test('EndpointSlices count instead of the selector, with their own ports', async (t) => {
  const watched = await read(t, {
    's.yaml': service(),
    'e.yaml': slice('web-1', '[{ addresses: [10.0.0.2] }, { addresses: [10.0.0.9] }]'),
    'a.yaml': labelled('a', '10.0.0.1'),
    'b.yaml': labelled('b', '10.0.0.2'),
  });
  // 10.0.0.9 is no pod of the mesh
  assert.deepEqual(endpoints(watched), { b: 9090, 'web-1': 9090 });
  const uid = 'Kubernetes/discovery.k8s.io/EndpointSlice/shop/web-1/10.0.0.9';
  assert.ok(watched.addresses.has(uid));
});

test('endpoints that are not ready are left out, unless the Service asks for them', async (t) => {
  const files = {
    'e.yaml': slice('web-1', '[{ addresses: [10.0.0.1], conditions: { ready: false } }]'),
    'a.yaml': labelled('a', '10.0.0.1'),
  };
  const strict = await read(t, { ...files, 's.yaml': service() });
  assert.deepEqual(endpoints(strict), {});
  const publish = 'ports: [{ name: http, port: 80 }]\n  publishNotReadyAddresses: true';
  const lenient = await read(t, { ...files, 's.yaml': service(publish) });
  assert.deepEqual(endpoints(lenient), { a: 9090 });
  assert.equal(lenient.service('shop/web')!.loadBalancing.healthPolicy, 'ALLOW_ALL');
});

test("a pod of the node's network is found by the slice's targetRef", async (t) => {
  const more = { metadata: 'labels: {}', spec: 'hostNetwork: true' };
  const target = '[{ addresses: [192.168.0.1], targetRef: { kind: Pod, name: b } }]';
  const watched = await read(t, {
    's.yaml': service(undefined, false),
    'e.yaml': slice('web-1', target),
    'a.yaml': pod('a', '192.168.0.1', more),
    'b.yaml': pod('b', '192.168.0.1', more),
  });
  assert.deepEqual(endpoints(watched), { b: 9090 });
});

test('an unnamed port goes with the unnamed port of the slice', async (t) => {
  const watched = await read(t, {
    's.yaml': service('ports: [{ port: 80 }]'),
    'e.yaml': slice('web-1', '[{ addresses: [10.0.0.1] }]', 'ports: [{ port: 9090 }]'),
    'a.yaml': labelled('a', '10.0.0.1'),
  });
  assert.deepEqual(endpoints(watched), { a: 9090 });
});

test('what is said of a Service follows its pods, its ports and its slices', async (t) => {
  const admin = 'ports: [{ name: http, port: 80, targetPort: admin }]';
  const port = 'containers: [{ name: main, ports: [{ name: admin, containerPort: 81 }] }]';
  const dir = await temporaryFolder(t, { 'service.yaml': service() });
  const { watched } = await control(t, dir);
  const steps: readonly (readonly [string, string, readonly string[]])[] = [
    ['pod.yaml', labelled('web-1', '10.0.0.1'), []],
    ['service.yaml', service(admin), ['TARGET_PORT_UNKNOWN']],
    ['pod.yaml', labelled('web-1', '10.0.0.1', { spec: port }), []],
    [
      'slice.yaml',
      slice('other', '[]').replace('name: web }', 'name: nobody }'),
      ['SERVICE_UNKNOWN'],
    ],
    ['slice.yaml', labelled('web-2', '10.0.0.2', { spec: port }), []],
    ['pod.yaml', pod('web-1', '10.0.0.1'), []],
    ['slice.yaml', pod('web-2', '10.0.0.2'), ['SELECTOR_MATCHES_NOTHING']],
  ];
  await watched.until(() => watched.codes.join() === 'SELECTOR_MATCHES_NOTHING');
  for (const [file, text, codes] of steps) {
    const { last } = watched;
    await save(dir, file, text);
    await watched.until(() => watched.last !== last);
    assert.deepEqual(watched.codes, codes, `${file} ${text}`);
  }
});
