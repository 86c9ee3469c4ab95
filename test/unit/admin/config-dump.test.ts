import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configDump } from '../../../src/admin/config-dump.ts';
import type { Authorization } from '../../../src/model/authorization.ts';
import type { Service } from '../../../src/model/service.ts';
import { SharedMap } from '../../../src/model/shared-map.ts';
import { emptySnapshot, type Snapshot } from '../../../src/model/snapshot.ts';
import type { Workload } from '../../../src/model/workload.ts';
import type { Ip } from '../../../src/model/ip.ts';

const KEY = 'shop/db.shop.svc.cluster.local';
const DB: Workload = {
  uid: 'Kubernetes//Pod/shop/db-1',
  name: 'db-1',
  namespace: 'shop',
  addresses: ['10.0.0.2' as Ip],
  hostname: '',
  network: '',
  tunnelProtocol: 'HBONE',
  trustDomain: 'cluster.local',
  serviceAccount: '',
  node: 'n1',
  locality: { region: '', zone: '', subzone: '' },
  canonicalName: 'db',
  canonicalRevision: 'latest',
  workloadType: 'DEPLOYMENT',
  workloadName: 'db',
  nativeTunnel: false,
  services: new Map([[KEY, [{ servicePort: 80, targetPort: 5432 }]]]),
  authorizationPolicies: ['shop/only-web'],
  healthy: true,
  clusterId: 'Kubernetes',
  hostNetwork: false,
  capacity: 1,
  scope: '',
  inboundClass: '',
};
const SERVICE: Service = {
  name: 'db',
  namespace: 'shop',
  hostname: 'db.shop.svc.cluster.local',
  addresses: ['10.1.0.1' as Ip],
  ports: [{ servicePort: 80, targetPort: 5432 }],
  loadBalancing: { mode: 'UNSPECIFIED', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' },
  lbPolicy: 'round-robin',
  sessionAffinitySeconds: 0,
  maxConnections: 0,
};
const POLICY: Authorization = {
  name: 'only-web',
  namespace: 'shop',
  scope: 'WORKLOAD_SELECTOR',
  action: 'DENY',
  rules: [{ clauses: [{ matches: [] }] }],
  dryRun: false,
};
const SNAPSHOT: Snapshot = {
  ...emptySnapshot(),
  version: 7,
  workloads: SharedMap.from([[DB.uid, DB]]),
  services: SharedMap.from([[KEY, SERVICE]]),
  authorizations: SharedMap.from([['shop/only-web', POLICY]]),
  endpoints: SharedMap.from([[KEY, new Map([[DB.uid, DB]])]]),
};

function dump() {
  const pod = { uid: DB.uid, namespace: 'shop', name: 'db-1', serviceAccount: 'default' };
  const result = configDump({
    snapshot: SNAPSHOT,
    version: '0.1.0',
    config: { configDir: '/c' },
    pods: [{ ...pod, captured: true }],
    certificates: [],
  });
  return JSON.parse(JSON.stringify(result)) as Record<string, never>;
}

test('the keys are ztunnel’s, and those of the L7 types', () => {
  assert.deepEqual(Object.keys(dump()).sort(), [
    'certificates',
    'clusters',
    'config',
    'listeners',
    'loadAssignments',
    'policies',
    'routes',
    'secrets',
    'services',
    'stagedServices',
    'staticConfig',
    'version',
    'workloadState',
    'workloads',
  ]);
});

test('a workload is as istioctl reads it', () => {
  const [workload] = dump()['workloads'] as unknown as Record<string, unknown>[];
  assert.deepEqual(workload, {
    workloadIps: ['10.0.0.2'],
    protocol: 'HBONE',
    uid: DB.uid,
    name: 'db-1',
    namespace: 'shop',
    trustDomain: 'cluster.local',
    serviceAccount: 'default',
    network: '',
    hostname: '',
    workloadName: 'db',
    workloadType: 'deployment',
    canonicalName: 'db',
    canonicalRevision: 'latest',
    node: 'n1',
    locality: { region: '', zone: '', subzone: '' },
    nativeTunnel: false,
    authorizationPolicies: ['shop/only-web'],
    status: 'Healthy',
    clusterId: 'Kubernetes',
    hostNetwork: false,
    capacity: 1,
    services: [KEY],
  });
});

test('a Service names its endpoints with their own ports', () => {
  const [service] = dump()['services'] as unknown as Record<string, unknown>[];
  assert.deepEqual(service!['vips'], ['/10.1.0.1']);
  assert.deepEqual(service!['ports'], { 80: 5432 });
  assert.deepEqual(service!['endpoints'], {
    [DB.uid]: { workloadUid: DB.uid, service: KEY, port: { 80: 5432 }, status: 'Healthy' },
  });
});

test('policies and pods are in it', () => {
  const [policy] = dump()['policies'] as unknown as Record<string, unknown>[];
  assert.equal(policy!['scope'], 'WorkloadSelector');
  assert.equal(policy!['action'], 'Deny');
  const states = dump()['workloadState'] as unknown as Record<string, unknown>;
  assert.deepEqual(states[DB.uid], {
    state: 'Up',
    info: { name: 'db-1', namespace: 'shop', serviceAccount: 'default' },
    connections: { inbound: [], outbound: [] },
  });
});
