/** What the data-plane workers are told of policy, and what they then say: always what the evaluator says of the snapshot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PolicyFeed } from '../../../src/agent/data-plane/policy-feed.ts';
import { PolicyView } from '../../../src/agent/data-plane/policy-view.ts';
import { initialPlanState, nextPlan } from '../../../src/compile/kernel/plan.ts';
import { policiesOf } from '../../../src/compile/kernel/policy/cache.ts';
import { evaluate } from '../../../src/compile/kernel/policy/evaluate.ts';
import { emptySnapshot } from '../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { enrolled, update } from '../compile/plan-arbitraries.ts';
import { connection } from '../compile/policy-arbitraries.ts';

test('after any changes, a worker that heard them and one that starts say what the evaluator says', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(update, enrolled), { minLength: 1, maxLength: 5 }),
      fc.array(connection, { minLength: 4, maxLength: 4 }),
      (steps, connections) => {
        const feed = new PolicyFeed();
        const view = new PolicyView();
        let snapshot = emptySnapshot();
        let state = initialPlanState();
        for (const [change, pods] of steps) {
          snapshot = buildSnapshot(snapshot, change);
          state = nextPlan(state, snapshot, pods);
          const changes = feed.next(state);
          if (changes) view.update(structuredClone(changes));
          const fresh = new PolicyView();
          fresh.update(structuredClone(feed.all));
          for (const { uid, identity, spiffe, addrs } of state.plan.pods.values()) {
            const policies = policiesOf(snapshot, snapshot.workloads.get(uid)!);
            for (const one of [view, fresh]) {
              assert.equal(one.identity(identity), spiffe);
              for (const asked of connections) {
                const whole = { ...asked, destAddr: addrs[0]! };
                assert.deepEqual(one.allows(uid, whole), evaluate(policies, whole));
              }
            }
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a pod nobody told of lets nobody in', () => {
  const asked = { sourceIdentity: undefined, sourceAddr: '10.0.0.1', destAddr: '10.0.0.2' };
  const view = new PolicyView();
  const { allowed } = view.allows('nobody', { ...asked, destPort: 80 } as never);
  assert.equal(allowed, false);
  view.update({ policies: [], pods: [['p', ['a/not-told']]], identities: [] });
  assert.equal(view.allows('p', { ...asked, destPort: 80 } as never).allowed, false);
});

test('a plan that changes no policy tells nothing', () => {
  const feed = new PolicyFeed();
  const state = initialPlanState();
  feed.next(state);
  assert.equal(feed.next({ ...state }), undefined);
});
