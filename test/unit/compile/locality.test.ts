/**
 * Which endpoints a node uses: ztunnel's rules case by case, and what follows when endpoints come, go and fail.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { placeOfNode, preferred } from '../../../src/compile/kernel/locality.ts';
import { initialPlanState, nextPlan, type PlanState } from '../../../src/compile/kernel/plan.ts';
import type { EnrolledPod } from '../../../src/model/enrolment.ts';
import type { Ip } from '../../../src/model/ip.ts';
import type { Address } from '../../../src/model/messages.ts';
import type { LoadBalancing, LocalityPreference } from '../../../src/model/service.ts';
import { emptySnapshot, type Snapshot } from '../../../src/model/snapshot.ts';
import type { Place, Workload } from '../../../src/model/workload.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { enrolled, serviceKeyOf, uidOf, workload as workloads } from './plan-arbitraries.ts';

/** "network region zone subzone node cluster", "-" for none */
function place(text: string): Place {
  const [network, region, zone, subzone, node, clusterId] = text
    .split(' ')
    .map((part) => (part === '-' ? '' : part));
  return {
    network: network!,
    node: node!,
    clusterId: clusterId!,
    locality: { region: region!, zone: zone!, subzone: subzone! },
  };
}

const HERE = 'n r z s node1 c';
const ENDPOINTS: Readonly<Record<string, string>> = {
  sameNode: 'n r z s node1 c',
  sameSubzone: 'n r z s node2 c',
  sameZone: 'n r z s2 node3 c',
  sameRegion: 'n r z2 s node4 c',
  /** the zone's name alone says nothing: its region is another */
  otherRegion: 'n r2 z s node5 c',
  otherNetwork: 'n2 r z s node6 c2',
  otherNetworkFar: 'n2 r2 z2 s node7 c2',
};

const ZONE: LocalityPreference['routingPreference'] = ['NETWORK', 'REGION', 'ZONE'];
const NODE: LocalityPreference['routingPreference'] = [...ZONE, 'SUBZONE', 'NODE'];
const ALL = Object.keys(ENDPOINTS);
const CLOSE = ['sameNode', 'sameSubzone', 'sameZone'];

interface Case {
  readonly name: string;
  readonly mode: LocalityPreference['mode'];
  readonly scopes: LocalityPreference['routingPreference'];
  /** those that are there */
  readonly among?: readonly string[];
  readonly used: readonly string[];
  readonly from?: string;
}

const without = (...gone: readonly string[]) => ALL.filter((name) => !gone.includes(name));

const CASES: readonly Case[] = [
  { name: 'no mode', mode: 'UNSPECIFIED', scopes: NODE, used: ALL },
  { name: 'passthrough chooses nobody', mode: 'PASSTHROUGH', scopes: NODE, used: ALL },
  { name: 'failover without scopes', mode: 'FAILOVER', scopes: [], used: ALL },
  { name: 'strict without scopes', mode: 'STRICT', scopes: [], used: ALL },
  { name: 'PreferSameZone', mode: 'FAILOVER', scopes: ZONE, used: CLOSE },
  {
    ...{ name: 'PreferSameZone, zone empty', mode: 'FAILOVER', scopes: ZONE },
    among: without(...CLOSE),
    used: ['sameRegion'],
  },
  {
    ...{ name: 'PreferSameZone, region empty', mode: 'FAILOVER', scopes: ZONE },
    among: without(...CLOSE, 'sameRegion'),
    used: ['otherRegion'],
  },
  {
    name: 'another network is the last resort, and ranked in itself',
    ...{ mode: 'FAILOVER', scopes: ZONE, among: ['otherNetwork', 'otherNetworkFar'] },
    used: ['otherNetwork'],
  },
  {
    name: 'the same network outranks a nearer one in another',
    ...{ mode: 'FAILOVER', scopes: ZONE, among: ['otherRegion', 'otherNetwork'] },
    used: ['otherRegion'],
  },
  { name: 'PreferSameNode', mode: 'FAILOVER', scopes: NODE, used: ['sameNode'] },
  {
    ...{ name: 'PreferSameNode, node empty', mode: 'FAILOVER', scopes: NODE },
    among: without('sameNode'),
    used: ['sameSubzone'],
  },
  {
    name: 'without NETWORK first a network is like any scope',
    ...{ mode: 'FAILOVER', scopes: ['REGION', 'NETWORK'], among: ['otherRegion', 'otherNetwork'] },
    used: ['otherNetwork'],
  },
  {
    name: 'a scope behind one that differs counts for nothing',
    ...{ mode: 'FAILOVER', scopes: ['ZONE', 'SUBZONE'], among: ['sameZone', 'sameRegion'] },
    used: ['sameZone'],
  },
  { name: 'Local', mode: 'STRICT', scopes: ['NODE'], used: ['sameNode'] },
  {
    ...{ name: 'Local, nobody here', mode: 'STRICT', scopes: ['NODE'] },
    among: without('sameNode'),
    used: [],
  },
  {
    ...{ name: 'strict wants all', mode: 'STRICT', scopes: ['REGION', 'SUBZONE'] },
    used: ['sameNode', 'sameSubzone', 'sameRegion', 'otherNetwork'],
  },
  {
    name: 'cluster',
    mode: 'STRICT',
    scopes: ['CLUSTER'],
    used: without('otherNetwork', 'otherNetworkFar'),
  },
  {
    name: 'a node that does not know its zone is in no known one',
    ...{ mode: 'STRICT', scopes: ['ZONE'], from: 'n - - - - c' },
    used: [],
  },
];

for (const { name, mode, scopes, among, used, from } of CASES) {
  test(`${mode}: ${name}`, () => {
    const candidates = (among ?? ALL).map((key) => ({ key, ...place(ENDPOINTS[key]!) }));
    const chosen = preferred(
      candidates,
      { mode, routingPreference: scopes },
      place(from ?? HERE),
    ).map(({ key }) => key);
    assert.deepEqual(chosen, used);
  });
}

const ip = (text: string) => text as Ip;
const [blank] = fc.sample(workloads, { numRuns: 1, seed: 1 });

function pod(name: string, where: string, more: Partial<Workload> = {}): Address {
  const workload: Workload = {
    ...blank!,
    uid: uidOf(name),
    name,
    addresses: [ip(`10.0.0.${name.slice(1)}`)],
    healthy: true,
    capacity: 1,
    services: new Map([[serviceKeyOf('s1'), [{ servicePort: 80, targetPort: 8080 }]]]),
    authorizationPolicies: [],
    ...place(where),
    ...more,
  };
  return { kind: 'workload', workload };
}

function service(loadBalancing: Partial<LoadBalancing>, maxConnections = 0): Address {
  return {
    kind: 'service',
    service: {
      name: 's1',
      namespace: 'a',
      hostname: 's1.a.svc.cluster.local',
      addresses: [ip('10.96.0.1'), ip('fd96::1')],
      ports: [{ servicePort: 80, targetPort: 8080 }],
      loadBalancing: {
        ...{ mode: 'UNSPECIFIED', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' },
        ...loadBalancing,
      },
      lbPolicy: 'round-robin',
      sessionAffinitySeconds: 0,
      maxConnections,
    },
  };
}

function mesh(upserts: readonly Address[], base: Snapshot = emptySnapshot()): Snapshot {
  return buildSnapshot(base, { addresses: { upserts, removals: [] } });
}

const [somePod] = fc.sample(enrolled, { numRuns: 20, seed: 1 }).find((list) => list.length > 0)!;
const enrol = (name: string): EnrolledPod => ({ ...somePod!, uid: uidOf(name), name });

function used(state: PlanState, key = '10.96.0.1|80'): string[] | undefined {
  return state.plan.services.get(key)?.slots.map(({ addr }) => addr);
}

const FAILOVER = { mode: 'FAILOVER', routingPreference: ZONE } as const;
const FAR = 'n r z2 s node9 c';

test('a rank serves when the better one has no healthy endpoint, and until it has one again', () => {
  const client = pod('w9', HERE, { services: new Map() });
  const pods = [enrol('w9')];
  let snapshot = mesh([service(FAILOVER), pod('w1', HERE), pod('w2', FAR), client]);
  let state = nextPlan(initialPlanState(), snapshot, pods);
  const again = (address: Address) => {
    snapshot = mesh([address], snapshot);
    state = nextPlan(state, snapshot, pods);
    return used(state);
  };
  assert.deepEqual(used(state), ['10.0.0.1']);
  assert.deepEqual(again(pod('w1', HERE, { healthy: false })), ['10.0.0.2']);
  assert.deepEqual(again(pod('w1', HERE)), ['10.0.0.1']);
  assert.deepEqual(again(pod('w1', HERE, { capacity: 0 })), ['10.0.0.2'], 'nor one without weight');
  assert.deepEqual(again(pod('w2', FAR, { healthy: false })), []);
});

test('unknown is equal to unknown', () => {
  const nowhere = place('- - - - - -');
  const scopes = { mode: 'STRICT', routingPreference: NODE } as const;
  assert.deepEqual(preferred([nowhere], scopes, nowhere), [nowhere]);
});

test('a rank is taken per address family', () => {
  const six = pod('w2', FAR, { addresses: [ip('fd00::2')] });
  const snapshot = mesh([service(FAILOVER), pod('w1', HERE), six]);
  const state = nextPlan(initialPlanState(), snapshot, [enrol('w1')]);
  assert.deepEqual(used(state), ['10.0.0.1']);
  assert.deepEqual(used(state, 'fd96::1|80'), ['fd00::2']);
});

test('Local with nobody here refuses; passthrough has no entry at all', () => {
  const local = { mode: 'STRICT', routingPreference: ['NODE'] } as const;
  const here = [pod('w1', FAR), pod('w9', HERE, { services: new Map() })];
  const strict = nextPlan(initialPlanState(), mesh([service(local), ...here]), [enrol('w9')]);
  assert.deepEqual(used(strict), []);
  const passing = service({ mode: 'PASSTHROUGH' });
  const open = nextPlan(initialPlanState(), mesh([passing, ...here]), [enrol('w9')]);
  assert.equal(used(open), undefined);
});

test('when the node turns out to be elsewhere, only Services with a preference change', () => {
  const snapshot = mesh([service(FAILOVER), pod('w1', HERE), pod('w2', FAR)]);
  const first = nextPlan(initialPlanState(), snapshot, [enrol('w1')]);
  const second = nextPlan(first, snapshot, [enrol('w2')]);
  assert.deepEqual([used(first), used(second)], [['10.0.0.1'], ['10.0.0.2']]);
  const plain = mesh([service({}), pod('w1', HERE), pod('w2', FAR)]);
  const before = nextPlan(initialPlanState(), plain, [enrol('w1')]);
  assert.equal(nextPlan(before, plain, [enrol('w2')]).plan.services, before.plan.services);
});

test('where the node is: its own name first, then what its pods say', () => {
  const snapshot = mesh([pod('w1', HERE), pod('w2', FAR)]);
  const pods = [enrol('w2'), enrol('w1')];
  assert.deepEqual(placeOfNode(snapshot, pods, undefined), place(HERE));
  assert.deepEqual(placeOfNode(snapshot, pods, 'node9'), place(FAR));
  assert.deepEqual(placeOfNode(snapshot, pods, 'node5'), { ...place(HERE), node: 'node5' });
  assert.equal(placeOfNode(snapshot, [], 'node5').node, 'node5');
});

test('a limit has one number for both addresses of a Service, and keeps it', () => {
  const limited = service({}, 5);
  const state = nextPlan(initialPlanState(), mesh([limited, pod('w1', HERE)]), []);
  const [four, six] = ['10.96.0.1|80', 'fd96::1|80'].map((key) => state.plan.services.get(key)!);
  assert.ok(four!.limit > 0);
  assert.equal(six!.limit, four!.limit);
  const free = nextPlan(state, mesh([service({})], state.snapshot), []);
  assert.equal(free.plan.services.get('10.96.0.1|80')!.limit, 0);
  const again = nextPlan(free, mesh([limited], free.snapshot), []);
  assert.equal(again.plan.services.get('10.96.0.1|80')!.limit, four!.limit);
});
