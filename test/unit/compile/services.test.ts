/**
 * Services → kernel entries: which endpoints, in which slots, under which numbers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../../src/model/ip.ts';
import type { Address } from '../../../src/model/messages.ts';
import { ALL_ENDPOINTS, type Service } from '../../../src/model/service.ts';
import { emptySnapshot, type Snapshot } from '../../../src/model/snapshot.ts';
import type { Workload } from '../../../src/model/workload.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { initialPlanState, nextPlan, type PlanState } from '../../../src/compile/kernel/plan.ts';
import { fillSlots, MAX_SLOTS } from '../../../src/compile/kernel/slots.ts';
import { serviceKeyOf, uidOf, workload as workloads } from './plan-arbitraries.ts';

const ip = (text: string) => parseIp(text)!;
const [blank] = fc.sample(workloads, { numRuns: 1, seed: 1 });

function pod(name: string, more: Partial<Workload> & { port?: number } = {}): Address {
  const { port = 8080, ...fields } = more;
  const workload: Workload = {
    ...blank!,
    uid: uidOf(name),
    name,
    addresses: [ip(`10.0.0.${name.slice(1)}`)],
    healthy: true,
    capacity: 1,
    services: new Map([[serviceKeyOf('s1'), [{ servicePort: 80, targetPort: port }]]]),
    authorizationPolicies: [],
    ...fields,
  };
  return { kind: 'workload', workload };
}

function service(more: Partial<Service> = {}, name = 's1'): Address {
  return {
    kind: 'service',
    service: {
      name,
      namespace: 'a',
      hostname: `${name}.a.svc.cluster.local`,
      addresses: [ip('10.96.0.1')],
      ports: [{ servicePort: 80, targetPort: 8080 }],
      loadBalancing: { mode: 'UNSPECIFIED', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' },
      lbPolicy: 'round-robin',
      sessionAffinitySeconds: 0,
      maxConnections: 0,
      ...more,
    },
  };
}

function mesh(upserts: readonly Address[], removals: readonly string[] = [], base?: Snapshot) {
  return buildSnapshot(base ?? emptySnapshot(), { addresses: { upserts, removals } });
}

function planOf(snapshot: Snapshot, previous: PlanState = initialPlanState()): PlanState {
  return nextPlan(previous, snapshot, []);
}

/** "address:port" per slot */
function slotsOf(state: PlanState, key = '10.96.0.1|80'): string[] | undefined {
  return state.plan.services.get(key)?.slots.map((slot) => `${slot.addr}:${slot.port}`);
}

test('slots are the ready endpoints in the order of their names', () => {
  const state = planOf(mesh([service(), pod('w2'), pod('w1'), pod('w3', { healthy: false })]));
  assert.deepEqual(slotsOf(state), ['10.0.0.1:8080', '10.0.0.2:8080']);
});

test('without a ready endpoint the entry is there and has no slots', () => {
  assert.deepEqual(slotsOf(planOf(mesh([service(), pod('w1', { healthy: false })]))), []);
  assert.deepEqual(slotsOf(planOf(mesh([service()]))), []);
});

test('publishNotReadyAddresses takes endpoints that are not ready too', () => {
  const state = planOf(
    mesh([
      service({ loadBalancing: { ...ALL_ENDPOINTS, healthPolicy: 'ALLOW_ALL' } }),
      pod('w1', { healthy: false }),
    ]),
  );
  assert.deepEqual(slotsOf(state), ['10.0.0.1:8080']);
});

test('a headless Service has no entry', () => {
  const state = planOf(mesh([service({ addresses: [] }), pod('w1')]));
  assert.equal(state.plan.services.size, 0);
});

test('endpoints may come before their Service', () => {
  const early = mesh([pod('w1')]);
  const before = planOf(early);
  const state = planOf(mesh([service()], [], early), before);
  assert.deepEqual(slotsOf(state), ['10.0.0.1:8080']);
});

test('every address of a Service takes endpoints of its own family', () => {
  const addresses = [ip('10.96.0.1'), ip('fd96::1')];
  const dual = pod('w1', { addresses: [ip('10.0.0.1'), ip('fd00::1')] });
  const state = planOf(mesh([service({ addresses }), dual, pod('w2')]));
  assert.deepEqual(slotsOf(state), ['10.0.0.1:8080', '10.0.0.2:8080']);
  assert.deepEqual(slotsOf(state, 'fd96::1|80'), ['fd00::1:8080']);
});

test("an endpoint's own target port counts more than the Service's", () => {
  const state = planOf(mesh([service(), pod('w1', { port: 9090 }), pod('w2', { port: 0 })]));
  assert.deepEqual(slotsOf(state), ['10.0.0.1:9090', '10.0.0.2:8080']);
});

test('an endpoint without the port is no backend of it', () => {
  const services = new Map([[serviceKeyOf('s1'), [{ servicePort: 81, targetPort: 1 }]]]);
  assert.deepEqual(slotsOf(planOf(mesh([service(), pod('w1', { services })]))), []);
});

test('weights are expanded smoothly, weight 0 gets nothing', () => {
  const state = planOf(
    mesh([
      service(),
      pod('w1', { capacity: 6 }),
      pod('w2', { capacity: 2 }),
      pod('w3', { capacity: 0 }),
    ]),
  );
  assert.deepEqual(slotsOf(state), [
    '10.0.0.1:8080',
    '10.0.0.1:8080',
    '10.0.0.2:8080',
    '10.0.0.1:8080',
  ]);
});

test('numbers of services and backends stay when others come and go', () => {
  const first = mesh([service(), pod('w1'), pod('w2')]);
  const before = planOf(first);
  const entry = before.plan.services.get('10.96.0.1|80')!;
  const second = mesh([service({ addresses: [ip('10.96.0.9')] }, 's0')], [uidOf('w1')], first);
  const after = planOf(second, before).plan.services.get('10.96.0.1|80')!;
  assert.equal(after.id, entry.id);
  assert.deepEqual(after.slots, [entry.slots[1]]);
});

test('two Services at one address and port: the first by key, and the other when it goes', () => {
  const first = mesh([service({}, 's2'), service({}, 's1'), pod('w1')]);
  const before = planOf(first);
  const keys = ['10.96.0.1|80'];
  assert.deepEqual([...before.plan.services.keys()], keys);
  assert.equal(before.plan.services.get(keys[0]!)!.service.name, 's1');
  const after = planOf(mesh([], [serviceKeyOf('s1')], first), before);
  assert.equal(after.plan.services.get(keys[0]!)!.service.name, 's2');
});

test('slots are divided by weight, as well as 1,024 of them can', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 65535 }), { maxLength: 40 });
  fc.assert(
    fc.property(weights, (list) => {
      const { order, rounded } = fillSlots(list);
      assert.ok(order.length <= MAX_SLOTS);
      const total = list.reduce((sum, weight) => sum + weight, 0);
      list.forEach((weight, index) => {
        const share = order.filter((slot) => slot === index).length;
        if (weight === 0) assert.equal(share, 0);
        else assert.ok(share >= 1);
        if (!rounded) assert.equal(share * total, weight * order.length);
      });
    }),
    { numRuns: 200 },
  );
});

test('more endpoints than slots: everybody gets one, and rounding is told', () => {
  const { order, rounded } = fillSlots([...new Array<number>(MAX_SLOTS + 5).fill(1), 2]);
  assert.equal(new Set(order).size, MAX_SLOTS + 6);
  assert.equal(rounded, true);
  assert.equal(fillSlots(new Array<number>(MAX_SLOTS + 5).fill(7)).rounded, false);
});

test('turns are as nginx takes them', () => {
  assert.deepEqual(fillSlots([5, 1, 1]).order, [0, 0, 1, 0, 2, 0, 0]);
});
