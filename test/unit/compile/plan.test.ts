/**
 * Plans and their differences: what the kernel holds after a series of changes is what the last mesh alone would give.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EnrolledPod } from '../../../src/model/enrolment.ts';
import type { L4Update } from '../../../src/model/messages.ts';
import { emptySnapshot } from '../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { diffPlans, PLAN_ORDER, type PlanOperation } from '../../../src/compile/kernel/diff.ts';
import { numbersFromJson, numbersToJson } from '../../../src/compile/kernel/numbers.ts';
import {
  emptyPlan,
  initialPlanState,
  nextPlan,
  type KernelPlan,
} from '../../../src/compile/kernel/plan.ts';
import { prunePlanNumbers } from '../../../src/compile/kernel/prune.ts';
import { enrolled, update } from './plan-arbitraries.ts';

type Step = { readonly mesh: L4Update; readonly pods: readonly EnrolledPod[] };
const steps = fc.array(fc.record({ mesh: update, pods: enrolled }), { minLength: 2, maxLength: 4 });

/** The plan as the kernel would hold it: plain maps. */
type Held = Record<string, Map<string, unknown>>;

function held(plan: KernelPlan): Held {
  return Object.fromEntries(PLAN_ORDER.map((map) => [map, new Map<string, unknown>(plan[map])]));
}

const MODE = 'other-nodes';

function applied(state: Held, operations: readonly PlanOperation[]): Held {
  for (const { op, map, key, ...rest } of operations) {
    if (op === 'put') state[map]!.set(key, (rest as { value: unknown }).value);
    else assert.ok(state[map]!.delete(key), `${map} ${key} is deleted but was not there`);
  }
  return state;
}

/** All states of one series of changes, first the empty one. */
function run(series: readonly Step[]) {
  let snapshot = emptySnapshot();
  let state = initialPlanState(undefined, MODE);
  const states = [state];
  for (const { mesh, pods } of series) {
    snapshot = buildSnapshot(snapshot, mesh);
    state = nextPlan(state, snapshot, pods);
    states.push(state);
  }
  return states;
}

test('apply(diff(a, b), plan a) = plan b', () => {
  fc.assert(
    fc.property(steps, (series) => {
      const states = run(series);
      for (let i = 1; i < states.length; i++) {
        const [before, after] = [states[i - 1]!.plan, states[i]!.plan];
        assert.deepEqual(applied(held(before), diffPlans(before, after)), held(after));
      }
    }),
  );
});

test('a plan built change by change = the plan of the last mesh with the same numbers', () => {
  fc.assert(
    fc.property(steps, (series) => {
      const last = run(series).at(-1)!;
      const again = nextPlan(
        initialPlanState(last.numbers, MODE),
        last.snapshot,
        series.at(-1)!.pods,
      );
      // Numbers that the detour gave out are known to both: only then are the tables of identities equal.
      assert.deepEqual(held(again.plan), held(last.plan));
      assert.deepEqual(again.unknownPods, last.unknownPods);
    }),
  );
});

test('what a plan keeps is what it was, object for object', () => {
  fc.assert(
    fc.property(steps, (series) => {
      const states = run(series);
      for (let i = 1; i < states.length; i++) {
        const [before, after] = [states[i - 1]!.plan, states[i]!.plan];
        const written = new Set(diffPlans(before, after).map(({ map, key }) => `${map} ${key}`));
        // Slots are made anew with their Service, and compared by value.
        for (const map of PLAN_ORDER.filter((name) => name !== 'slots')) {
          for (const [key, value] of after[map] as Iterable<[string, unknown]>) {
            if (written.has(`${map} ${key}`)) continue;
            assert.equal(value, before[map].get(key), `${map} ${key}`);
          }
        }
      }
    }),
  );
});

test('a pod that joins, changes its account and leaves: every plan is that of its mesh alone', () => {
  fc.assert(
    fc.property(steps, fc.array(enrolled, { minLength: 1, maxLength: 4 }), (series, lists) => {
      let state = run(series).at(-1)!;
      // Pods come and go while the mesh stays as it is.
      for (const pods of lists) {
        state = nextPlan(state, state.snapshot, pods);
        const alone = nextPlan(initialPlanState(state.numbers, MODE), state.snapshot, pods);
        assert.deepEqual(held(alone.plan), held(state.plan));
        assert.deepEqual(alone.unknownPods, state.unknownPods);
      }
    }),
  );
});

test('the same mesh twice is no operation and no new number', () => {
  fc.assert(
    fc.property(steps, (series) => {
      const last = run(series).at(-1)!;
      const again = nextPlan(last, last.snapshot, series.at(-1)!.pods);
      assert.deepEqual(diffPlans(last.plan, again.plan), []);
      assert.equal(again.numbers, last.numbers);
    }),
  );
});

test('a restart with saved numbers changes nothing in the kernel', () => {
  fc.assert(
    fc.property(steps, (series) => {
      const last = run(series).at(-1)!;
      const saved = JSON.parse(JSON.stringify(numbersToJson(last.numbers))) as unknown;
      const restarted = nextPlan(
        initialPlanState(numbersFromJson(saved), MODE),
        last.snapshot,
        series.at(-1)!.pods,
      );
      assert.deepEqual(diffPlans(last.plan, restarted.plan), []);
    }),
  );
});

test('leaves are written before what refers to them, and removed after it', () => {
  fc.assert(
    fc.property(steps, (series) => {
      const states = run(series);
      for (let i = 1; i < states.length; i++) {
        const state = held(states[i - 1]!.plan);
        for (const operation of diffPlans(states[i - 1]!.plan, states[i]!.plan)) {
          applied(state, [operation]);
          assertWhole(state);
        }
      }
    }),
  );
});

/** At every moment: a service has slots, a policy its CIDR tables, an address its pod. */
function assertWhole(state: Held): void {
  for (const key of state['services']!.keys()) assert.ok(state['slots']!.has(key), `slots ${key}`);
  for (const [, table] of state['policies']!) {
    for (const number of (table as { cidrTables: Map<number, unknown> }).cidrTables.keys()) {
      assert.ok(state['cidrTables']!.has(String(number)), `CIDR table ${number}`);
    }
  }
  for (const [, local] of state['locals']!) {
    const { uid } = local as { uid: string };
    assert.ok(state['pods']!.has(uid), `pod ${uid}`);
  }
}

test('pruned numbers still give the same plan', () => {
  fc.assert(
    fc.property(steps, (series) => {
      const last = run(series).at(-1)!;
      const pruned = prunePlanNumbers(last, new Set());
      const again = nextPlan(pruned, last.snapshot, series.at(-1)!.pods);
      // Tables may lose identities that no workload has any more; everything else stays.
      const lost: readonly string[] = ['policies', 'cidrTables'];
      const maps = diffPlans(last.plan, again.plan).map(({ map }) => map);
      assert.deepEqual(
        [...new Set(maps)].filter((map) => !lost.includes(map)),
        [],
      );
    }),
  );
});

test('a policy that is named and has not come closes the pod', () => {
  const [workload] = fc
    .sample(update, 50)
    .flatMap(({ addresses }) =>
      addresses.upserts.flatMap((address) =>
        address.kind === 'workload' ? [address.workload] : [],
      ),
    );
  const snapshot = buildSnapshot(emptySnapshot(), {
    addresses: {
      upserts: [
        { kind: 'workload', workload: { ...workload!, authorizationPolicies: ['a/not-yet'] } },
      ],
      removals: [],
    },
  });
  const [pod] = fc
    .sample(enrolled, { numRuns: 100, seed: 1 })
    .flat()
    .filter(({ uid }) => uid === workload!.uid);
  const { plan } = nextPlan(initialPlanState(), snapshot, [pod!]);
  const entries = plan.policies.get(workload!.uid)!.entries;
  assert.ok(entries.length > 0 && entries.every(({ verdict }) => verdict === 'deny'));
});

test('a pod the mesh does not know is reported, not planned', () => {
  const [pods] = fc.sample(fc.array(enrolled, { minLength: 20 }), { numRuns: 1, seed: 1 });
  const [pod] = pods!.flat();
  const state = nextPlan(initialPlanState(), emptySnapshot(), [pod!]);
  assert.deepEqual(state.unknownPods, [pod!.uid]);
  assert.deepEqual(diffPlans(emptyPlan(), state.plan), []);
});
