/**
 * Where nodes, pods and Services say how connections are to be spread, and what becomes of it in the messages.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serviceMessage } from '../../../src/control/translate/service.ts';
import { validateDocument } from '../../../src/control/validate/document.ts';
import type { ServiceResource } from '../../../src/model/resource.ts';
import type { Service, ServiceTrafficPolicy } from '../../../src/model/service.ts';
import { control, pod, read, save, temporaryFolder } from './temporary-folder.ts';

const OPTIONS = {
  ...{ clusterId: 'Kubernetes', trustDomain: 'cluster.local', domain: 'cluster.local' },
  rootNamespace: 'istio-system',
};
const ZONE = ['NETWORK', 'REGION', 'ZONE'];
const NODE = [...ZONE, 'SUBZONE', 'NODE'];

function resource(spec: object, annotations: object = {}) {
  const metadata = { name: 'web', namespace: 'shop', annotations };
  const document = { apiVersion: 'v1', kind: 'Service', metadata, spec };
  const { resources, findings } = validateDocument(document, 'f.yaml');
  return {
    service: resources[0] as ServiceResource,
    findings: findings.map(({ code, path }) => `${code} ${path}`),
  };
}

function message(spec: object, annotations?: object, policy?: ServiceTrafficPolicy): Service {
  return serviceMessage(resource(spec, annotations).service, OPTIONS, policy, undefined);
}

const DISTRIBUTION = 'networking.istio.io/traffic-distribution';
const LOCAL = { mode: 'STRICT', routingPreference: ['NODE'] };
const SAME_ZONE = { mode: 'FAILOVER', routingPreference: ZONE };
const SAME_NODE = { mode: 'FAILOVER', routingPreference: NODE };
const ANY = { mode: 'UNSPECIFIED', routingPreference: [] };

const localities: [object, object, object][] = [
  [{}, {}, ANY],
  [{ internalTrafficPolicy: 'Cluster' }, {}, ANY],
  [{ internalTrafficPolicy: 'Local' }, {}, LOCAL],
  [{ internalTrafficPolicy: 'Local', trafficDistribution: 'PreferClose' }, {}, LOCAL],
  [{ trafficDistribution: 'PreferClose' }, {}, SAME_ZONE],
  [{ trafficDistribution: 'PreferSameZone' }, {}, SAME_ZONE],
  [{ trafficDistribution: 'PreferSameNode' }, {}, SAME_NODE],
  [{}, { [DISTRIBUTION]: 'PreferClose' }, SAME_ZONE],
  [{}, { [DISTRIBUTION]: 'prefersamenode' }, SAME_NODE],
  [{}, { [DISTRIBUTION]: 'PreferAny' }, ANY],
  [{ trafficDistribution: 'PreferSameZone' }, { [DISTRIBUTION]: 'PreferSameNode' }, SAME_ZONE],
];

for (const [spec, annotations, expected] of localities) {
  test(`locality of ${JSON.stringify(spec)} ${JSON.stringify(annotations)}`, () => {
    const { healthPolicy, ...locality } = message(spec, annotations).loadBalancing;
    assert.deepEqual(locality, expected);
    assert.equal(healthPolicy, 'ONLY_HEALTHY');
    assert.deepEqual(resource(spec, annotations).findings, []);
  });
}

const affinities: [object, number][] = [
  [{}, 0],
  [{ sessionAffinity: 'None' }, 0],
  [{ sessionAffinity: 'ClientIP' }, 10_800],
  [
    {
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 2 } },
    },
    2,
  ],
];

for (const [spec, seconds] of affinities) {
  test(`affinity of ${JSON.stringify(spec)}`, () => {
    assert.equal(message(spec).sessionAffinitySeconds, seconds);
    assert.deepEqual(resource(spec).findings, []);
  });
}

const wrong: [object, object, string][] = [
  [{ internalTrafficPolicy: 'Near' }, {}, 'FIELD_INVALID spec.internalTrafficPolicy'],
  [{ trafficDistribution: 'Near' }, {}, 'FIELD_INVALID spec.trafficDistribution'],
  [{ sessionAffinity: 'Cookie' }, {}, 'FIELD_INVALID spec.sessionAffinity'],
  [
    {
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } },
    },
    {},
    'FIELD_INVALID spec.sessionAffinityConfig.clientIP.timeoutSeconds',
  ],
  [{}, { [DISTRIBUTION]: 'near' }, `ANNOTATION_INVALID metadata.annotations.'${DISTRIBUTION}'`],
  [
    {},
    { 'podwire.io/max-connections': '0' },
    "ANNOTATION_INVALID metadata.annotations.'podwire.io/max-connections'",
  ],
];

for (const [spec, annotations, finding] of wrong) {
  test(`a finding: ${finding} ${JSON.stringify(annotations)}`, () => {
    assert.deepEqual(resource(spec, annotations).findings, [finding]);
    const { mode } = message(spec, annotations).loadBalancing;
    assert.deepEqual([mode, message(spec, annotations).maxConnections], ['UNSPECIFIED', 0]);
  });
}

test('publishNotReadyAddresses, policy and limit', () => {
  const annotations = { 'podwire.io/lb': 'least-latency', 'podwire.io/max-connections': '7' };
  const { loadBalancing, lbPolicy, maxConnections } = message(
    { publishNotReadyAddresses: true },
    annotations,
  );
  assert.equal(loadBalancing.healthPolicy, 'ALLOW_ALL');
  assert.deepEqual([lbPolicy, maxConnections], ['least-latency', 7]);
});

test('a traffic policy counts more than the Service, but takes nothing off its node', () => {
  const policy: ServiceTrafficPolicy = {
    lbPolicy: 'random',
    maxConnections: 3,
    localityPreference: { mode: 'FAILOVER', routingPreference: ['REGION'] },
  };
  const wish = message(
    { trafficDistribution: 'PreferClose', sessionAffinity: 'ClientIP' },
    {},
    policy,
  );
  assert.deepEqual(
    [wish.lbPolicy, wish.maxConnections, wish.sessionAffinitySeconds],
    ['random', 3, 10_800],
  );
  assert.deepEqual(wish.loadBalancing.routingPreference, ['REGION']);
  const rule = message({ internalTrafficPolicy: 'Local' }, {}, policy);
  assert.deepEqual(rule.loadBalancing.routingPreference, ['NODE']);
});

const node = (zone: string, more = '') => `
apiVersion: v1
kind: Node
metadata:
  name: node-1
  labels:
    topology.kubernetes.io/region: west
    topology.kubernetes.io/zone: ${zone}
    topology.istio.io/subzone: rack-1
${more}
`;
const placed = (name: string, ip: string, on: string) =>
  pod(name, ip, {
    metadata: 'labels: { app: web, topology.istio.io/network: net-1 }',
    spec: `nodeName: ${on}`,
  });

test('a pod is where its node is, also when the node is told later or moves', async (t) => {
  const dir = await temporaryFolder(t, {
    'a.yaml': placed('a', '10.0.0.1', 'node-1'),
    'b.yaml': placed('b', '10.0.0.2', 'node-2'),
  });
  const { watched } = await control(t, dir);
  const localityOf = (name: string) => watched.workload(`shop/${name}`)!.locality;
  const none = { region: '', zone: '', subzone: '' };
  assert.deepEqual(localityOf('a'), none);
  assert.equal(watched.workload('shop/a')!.network, 'net-1');
  await save(dir, 'node.yaml', node('west-1'));
  await watched.until(() => localityOf('a').zone === 'west-1');
  assert.deepEqual(localityOf('a'), { region: 'west', zone: 'west-1', subzone: 'rack-1' });
  assert.deepEqual(localityOf('b'), none);
  await save(dir, 'node.yaml', node('west-2'));
  await watched.until(() => localityOf('a').zone === 'west-2');
  const { upserts } = watched.last!.mesh.addresses;
  assert.equal(upserts.length, 1, 'nobody else is sent');
  await save(dir, 'node.yaml', node('west-2', 'status: { phase: Running }'));
  await save(dir, 'c.yaml', placed('c', '10.0.0.3', 'node-1'));
  await watched.until(() => watched.workload('shop/c') !== undefined);
  assert.equal(localityOf('c').zone, 'west-2');
  await rm(join(dir, 'node.yaml'));
  await watched.until(() => localityOf('a').zone === '');
  assert.deepEqual(watched.codes, []);
});

test('an endpoint without a pod is where its slice says', async (t) => {
  const watched = await read(t, {
    's.yaml': `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: 10.96.0.1, ports: [{ name: http, port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: http, port: 80 }]
endpoints:
  - { addresses: [10.0.0.9], nodeName: node-1, zone: other }
  - { addresses: [10.0.0.8], nodeName: node-2, zone: west-2 }
`,
    'n.yaml': node('west-1'),
  });
  const slice = (ip: string) => {
    const uid = `Kubernetes/discovery.k8s.io/EndpointSlice/shop/web-1/${ip}`;
    const address = watched.addresses.get(uid);
    assert.ok(address?.kind === 'workload');
    return [address.workload.node, address.workload.locality.zone];
  };
  assert.deepEqual(slice('10.0.0.9'), ['node-1', 'west-1']);
  assert.deepEqual(slice('10.0.0.8'), ['node-2', 'west-2']);
});
