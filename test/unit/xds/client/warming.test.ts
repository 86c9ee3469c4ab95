/**
 * Warming: whatever comes in whatever order, what is in force is never incomplete, until patience ends.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { pino } from 'pino';
import type { MeshUpdate } from '../../../../src/model/messages.ts';
import { emptySnapshot, type Snapshot } from '../../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../../src/store/builder.ts';
import { referencesOf, type LinkedKey } from '../../../../src/xds/client/references.ts';
import { Warming } from '../../../../src/xds/client/warming.ts';
import { cluster, endpoints, listener, routes } from '../../../support/xds-linked.ts';

const delta = (upserts: readonly unknown[], removals: readonly string[] = []) =>
  ({ upserts, removals }) as never;

function harness(t: TestContext, timeoutMs = 60_000) {
  const state = {
    snapshot: emptySnapshot(),
    steps: 0,
    log: [] as string[],
    names: new Set<string>(),
  };
  const warming = new Warming({
    timeoutMs,
    log: pino({}, { write: (line: string) => void state.log.push(line) }),
    publish: (update) => {
      state.snapshot = buildSnapshot(state.snapshot, update);
      state.steps++;
    },
    onNames: ({ key, added, removed }) => {
      for (const name of removed) state.names.delete(`${key} ${name}`);
      for (const name of added) state.names.add(`${key} ${name}`);
    },
  });
  t.after(() => warming.close());
  return { warming, state };
}

function namesOf({ snapshot }: { snapshot: Snapshot }): string[] {
  const keys = ['listeners', 'routes', 'clusters', 'loadAssignments'] as const;
  return keys.flatMap((key) => [...snapshot[key].keys()].map((name) => `${key} ${name}`));
}

test('a listener waits for its routes, these for their clusters, these for their endpoints', (t) => {
  const { warming, state } = harness(t);
  warming.stage({ listeners: delta([listener('l', 'r')]) });
  assert.deepEqual([...state.names], ['routes r']);
  warming.stage({ routes: delta([routes('r', ['c1', 'c2'])]) });
  warming.stage({ clusters: delta([cluster('c1'), cluster('c2')]) });
  assert.equal(state.steps, 0);
  assert.deepEqual([...state.names].sort(), [
    'loadAssignments c1',
    'loadAssignments c2',
    'routes r',
  ]);
  warming.stage({ loadAssignments: delta([endpoints('c1', '10.0.0.1')]) });
  assert.deepEqual(namesOf(state), ['clusters c1', 'loadAssignments c1']);
  assert.match(warming.waiting.join('; '), /listeners l \(needs routes r\)/);
  warming.stage({ loadAssignments: delta([endpoints('c2', '10.0.0.2')]) });
  assert.equal(state.steps, 2, 'the rest is one step');
  assert.equal(namesOf(state).length, 6);
});

test('a route that moves to a new cluster: the old one goes last', (t) => {
  const { warming, state } = harness(t);
  warming.stage({
    listeners: delta([listener('l', 'r')]),
    routes: delta([routes('r', ['old'])]),
    clusters: delta([cluster('old')]),
    loadAssignments: delta([endpoints('old', '10.0.0.1')]),
  });
  assert.equal(state.steps, 1);
  warming.stage({ clusters: delta([cluster('new')], ['old']) });
  warming.stage({ routes: delta([routes('r', ['new'])]) });
  assert.ok(state.snapshot.clusters.has('old'), 'the old route is still in force');
  warming.stage({ loadAssignments: delta([endpoints('new', '10.0.0.2')]) });
  assert.deepEqual(namesOf(state), [
    'listeners l',
    'routes r',
    'clusters new',
    'loadAssignments new',
  ]);
  assert.deepEqual([...state.names].sort(), ['loadAssignments new', 'routes r']);
});

test('a listener that goes takes with it what nobody else names', (t) => {
  const { warming, state } = harness(t);
  warming.stage({
    listeners: delta([listener('l', 'r'), listener('m', 'r')]),
    routes: delta([routes('r', ['c'])]),
    clusters: delta([cluster('c')]),
    loadAssignments: delta([endpoints('c', '10.0.0.1')]),
  });
  warming.stage({ listeners: delta([], ['l']) });
  assert.ok(state.snapshot.routes.has('r'));
  warming.stage({ listeners: delta([], ['m']) });
  assert.deepEqual(namesOf(state), ['clusters c', 'loadAssignments c']);
  warming.stage({ clusters: delta([], ['c']) });
  assert.deepEqual(namesOf(state), []);
  assert.equal(state.names.size, 0);
});

test('the server’s word that there is none ends the wait', (t) => {
  const { warming, state } = harness(t);
  warming.stage({ clusters: delta([cluster('c')]) });
  warming.stage({ loadAssignments: delta([], ['c']) });
  assert.deepEqual(namesOf(state), ['clusters c']);
});

test('patience ends: published as it is, with a word in the log', async (t) => {
  const { warming, state } = harness(t, 50);
  warming.stage({ listeners: delta([listener('l', 'r')]) });
  await sleep(100);
  assert.deepEqual(namesOf(state), ['listeners l']);
  assert.match(state.log.join(''), /published although incomplete: needs routes r/);
  assert.equal(warming.held, 0);
});

test('whatever the order, nothing in force names what is not, unless the server said there is none', (t) => {
  const name = fc.constantFrom('x', 'y', 'z');
  const some = fc.uniqueArray(name, { minLength: 1, maxLength: 2 });
  const step: fc.Arbitrary<MeshUpdate> = fc.oneof(
    name.map((one) => ({ listeners: delta([listener('l', one)]) })),
    fc.tuple(name, some).map(([one, to]) => ({ routes: delta([routes(one, to)]) })),
    some.map((list) => ({ clusters: delta(list.map(cluster)) })),
    some.map((list) => ({ loadAssignments: delta(list.map((one) => endpoints(one, '10.0.0.1'))) })),
    name.map((one) => ({ clusters: delta([], [one]) })),
    fc.constant({ listeners: delta([], ['l']) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { warming, state } = harness(t);
      const absent = new Set<string>();
      for (const one of steps) {
        for (const gone of one.clusters?.removals ?? []) {
          if (!state.snapshot.clusters.has(gone)) absent.add(gone);
        }
        warming.stage(one);
        for (const come of state.snapshot.clusters.keys()) absent.delete(come);
        for (const key of ['listeners', 'routes', 'clusters'] as const) {
          for (const resource of state.snapshot[key].values()) {
            for (const to of referencesOf(key as LinkedKey, resource as never)) {
              if (to.key === 'clusters' && absent.has(to.name)) continue;
              assert.ok(
                state.snapshot[to.key].has(to.name),
                `${key} ${resource.name} → ${to.name}`,
              );
            }
          }
        }
      }
      warming.close();
    }),
    { numRuns: 500 },
  );
});
