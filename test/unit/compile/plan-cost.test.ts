/**
 * What a change costs, counted and not timed: the same number of things is compiled and written in a mesh of 1,000 pods and
 * in one of 10,000.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authorization } from '../../../src/model/authorization.ts';
import { EMPTY_MATCH } from '../../../src/model/authorization.ts';
import type { EnrolledPod } from '../../../src/model/enrolment.ts';
import type { Ip } from '../../../src/model/ip.ts';
import type { Address } from '../../../src/model/messages.ts';
import { emptySnapshot, type Snapshot } from '../../../src/model/snapshot.ts';
import { NO_LOCALITY, type Workload } from '../../../src/model/workload.ts';
import { ALL_ENDPOINTS } from '../../../src/model/service.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { diffPlans } from '../../../src/compile/kernel/diff.ts';
import { numbersAdded } from '../../../src/compile/kernel/numbers.ts';
import { initialPlanState, nextPlan, type PlanState } from '../../../src/compile/kernel/plan.ts';

const PER_SERVICE = 10;
const LOCAL = 20;
const SIZES = [1_000, 10_000] as const;

function workload(index: number, more: Partial<Workload> = {}): Workload {
  const app = `app-${Math.floor(index / PER_SERVICE)}`;
  return {
    uid: `Kubernetes//Pod/a/p${index}`,
    name: `p${index}`,
    namespace: 'a',
    addresses: [`10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}` as Ip],
    hostname: '',
    network: '',
    tunnelProtocol: 'NONE',
    trustDomain: '',
    serviceAccount: app,
    node: '',
    locality: NO_LOCALITY,
    scope: '',
    inboundClass: '',
    canonicalName: app,
    canonicalRevision: 'latest',
    workloadType: 'POD',
    workloadName: app,
    nativeTunnel: false,
    services: new Map([[serviceKey(app), [{ servicePort: 80, targetPort: 8080 }]]]),
    authorizationPolicies: [],
    healthy: true,
    clusterId: 'Kubernetes',
    hostNetwork: false,
    capacity: 1,
    ...more,
  };
}

function serviceKey(app: string): string {
  return `a/${app}.a.svc.cluster.local`;
}

function service(index: number): Address {
  const name = `app-${index}`;
  return {
    kind: 'service',
    service: {
      name,
      namespace: 'a',
      hostname: `${name}.a.svc.cluster.local`,
      addresses: [`10.96.${index >> 8}.${index & 255}` as Ip],
      ports: [{ servicePort: 80, targetPort: 8080 }],
      loadBalancing: { ...ALL_ENDPOINTS, healthPolicy: 'ONLY_HEALTHY' },
      sessionAffinitySeconds: 0,
      maxConnections: 0,
      lbPolicy: 'round-robin',
    },
  };
}

const POLICY: Authorization = {
  name: 'own',
  namespace: 'a',
  scope: 'NAMESPACE',
  action: 'ALLOW',
  rules: [
    {
      clauses: [{ matches: [{ ...EMPTY_MATCH, namespaces: [{ type: 'exact', value: 'a' }] }] }],
    },
  ],
  dryRun: false,
};

function enrolment(index: number): EnrolledPod {
  const { uid, namespace, name } = workload(index);
  return {
    ...{ uid, namespace, name, netns: name, netnsPath: `/run/netns/${name}` },
    captureProxy: false,
    splice: 'default',
    portModes: new Map(),
    probePorts: [],
    labels: new Map(),
    namespaceLabels: new Map(),
    ports: [],
    images: [],
    origin: { file: 'f.yaml', resource: `Pod a/${name}`, path: '' },
  };
}

const PODS = Array.from({ length: LOCAL }, (_, index) => enrolment(index * PER_SERVICE));

function mesh(size: number): PlanState {
  const upserts: Address[] = [];
  for (let i = 0; i < size; i++) upserts.push({ kind: 'workload', workload: workload(i) });
  for (let i = 0; i < size / PER_SERVICE; i++) upserts.push(service(i));
  const snapshot = buildSnapshot(emptySnapshot(), {
    addresses: { upserts, removals: [] },
    authorizations: { upserts: [POLICY], removals: [] },
  });
  return nextPlan(initialPlanState(), snapshot, PODS);
}

function changed(snapshot: Snapshot, ...workloads: readonly Workload[]): Snapshot {
  const upserts = workloads.map((one): Address => ({ kind: 'workload', workload: one }));
  return buildSnapshot(snapshot, { addresses: { upserts, removals: [] } });
}

/** Property reads of the snapshot's workloads while the next plan is made. */
function counted<T>(
  snapshot: Snapshot,
  act: (watched: Snapshot) => T,
): { reads: number; value: T } {
  let reads = 0;
  const { workloads } = snapshot;
  const watched = Object.create(workloads) as typeof workloads;
  Object.assign(watched, {
    get: (key: string) => (reads++, workloads.get(key)),
    has: (key: string) => (reads++, workloads.has(key)),
    keys: () => assert.fail('the whole mesh is walked'),
    values: () => assert.fail('the whole mesh is walked'),
    changedSince: (previous: typeof workloads) => workloads.changedSince(previous),
  });
  const value = act({ ...snapshot, workloads: watched });
  return { reads, value };
}

function costOf(size: number, ...workloads: readonly Workload[]) {
  const before = mesh(size);
  const snapshot = changed(before.snapshot, ...workloads);
  const { reads, value: after } = counted(snapshot, (watched) => nextPlan(before, watched, PODS));
  const operations = diffPlans(before.plan, after.plan);
  const numbers = JSON.stringify(
    after.numbers === before.numbers ? null : numbersAdded(before.numbers, after.numbers),
  );
  return {
    reads,
    operations: operations.map(({ op, map }) => `${op} ${map}`),
    bytesToDisk: numbers.length,
    before,
    after,
  };
}

for (const [what, change, expected] of [
  [
    'an endpoint that becomes unready',
    workload(15, { healthy: false }),
    { operations: ['put slots', 'put services'], maxReads: 1, maxBytes: 4 },
  ],
  [
    'a pod of this node with another label',
    workload(10, { canonicalRevision: 'v2' }),
    { operations: ['put pods'], maxReads: 2 * LOCAL + 5, maxBytes: 4 },
  ],
] as const) {
  test(`${what} costs the same at ${SIZES.join(' and ')} pods`, () => {
    const [small, large] = SIZES.map((size) => costOf(size, change));
    for (const { reads, operations, bytesToDisk } of [small!, large!]) {
      assert.deepEqual(operations, expected.operations);
      assert.ok(reads <= expected.maxReads, `${reads} reads`);
      assert.ok(bytesToDisk <= expected.maxBytes, `${bytesToDisk} bytes`);
    }
    assert.equal(small!.reads, large!.reads);
  });
}

test('a pod with a new account costs one entry in each policy of the node, and one line on disk', () => {
  for (const size of SIZES) {
    const fresh = workload(size, { serviceAccount: 'nobody-had-this', services: new Map() });
    const { operations, bytesToDisk, before, after } = costOf(size, fresh);
    assert.deepEqual(operations, new Array(LOCAL).fill('put policies'));
    assert.ok(bytesToDisk < 300, `${bytesToDisk} bytes`);
    for (const { uid } of PODS) {
      const [was, is] = [before.plan.policies.get(uid)!, after.plan.policies.get(uid)!];
      assert.equal(is.entries.length, was.entries.length + 1);
      assert.ok(was.entries.every((entry, index) => is.entries[index] === entry));
    }
  }
});
