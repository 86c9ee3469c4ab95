/**
 * The store: complete or nothing, in order, and indexes that agree with the resources.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { serviceKey } from '../../../src/model/service.ts';
import { emptySnapshot, type Snapshot } from '../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { SnapshotStore } from '../../../src/store/snapshot-store.ts';
import { update } from '../compile/plan-arbitraries.ts';

const none = { upserts: [], removals: [] };

test('nothing is published before both types have come', () => {
  const store = new SnapshotStore();
  const seen: number[] = [];
  store.subscribe((next) => seen.push(next.version));
  const [first] = fc.sample(
    update.filter(({ addresses }) => addresses.upserts.length > 0),
    { numRuns: 1, seed: 1 },
  );
  store.apply({ addresses: first!.addresses });
  assert.equal(store.incomplete, 'no response yet for: authorizations');
  assert.deepEqual(seen, []);
  assert.equal(store.current.workloads.size + store.current.services.size, 0);
  store.apply({ authorizations: none });
  assert.equal(store.incomplete, undefined);
  assert.deepEqual(seen, [1]);
  assert.ok(store.current.workloads.size + store.current.services.size > 0);
});

test('subscribers get (next, previous), once per change, until they leave', () => {
  const store = new SnapshotStore();
  const seen: [Snapshot, Snapshot][] = [];
  const leave = store.subscribe((next, previous) => seen.push([next, previous]));
  const updates = fc.sample(update, { numRuns: 20, seed: 2 });
  for (const one of updates) store.apply(one);
  assert.ok(seen.length > 1);
  seen.forEach(([, previous], index) => {
    if (index > 0) assert.equal(previous, seen[index - 1]![0]);
  });
  const count = seen.length;
  const again = [...store.current.workloads.values()].map(
    (workload) => ({ kind: 'workload', workload: structuredClone(workload) }) as const,
  );
  store.apply({ addresses: { upserts: again, removals: ['unknown'] }, authorizations: none });
  assert.equal(seen.length, count, 'an update that changes nothing is not published');
  leave();
  leave();
  for (const one of updates) store.apply(one);
  assert.equal(seen.length, count, 'nothing after leaving');
});

test('indexes agree with the resources, however they came about', () => {
  fc.assert(
    fc.property(fc.array(update, { maxLength: 5 }), (updates) => {
      let snapshot = emptySnapshot();
      for (const one of updates) snapshot = buildSnapshot(snapshot, one);
      assert.deepEqual(indexesOf(snapshot), rebuilt(snapshot));
    }),
  );
});

test('unchanged resources are shared with the version before', () => {
  fc.assert(
    fc.property(update, update, (one, two) => {
      const before = buildSnapshot(emptySnapshot(), one);
      const after = buildSnapshot(before, two);
      const named = new Set([
        ...two.addresses.removals,
        ...two.addresses.upserts.map((a) => (a.kind === 'workload' ? a.workload.uid : '')),
      ]);
      for (const [uid, workload] of before.workloads) {
        if (!named.has(uid)) assert.equal(after.workloads.get(uid), workload);
      }
    }),
  );
});

test('a removed Address is a workload first, then a Service', () => {
  const [full] = fc.sample(
    update.filter(({ addresses }) => new Set(addresses.upserts.map((a) => a.kind)).size === 2),
    { numRuns: 1, seed: 3 },
  );
  const before = buildSnapshot(emptySnapshot(), {
    addresses: { ...full!.addresses, removals: [] },
  });
  const names = [...before.workloads.keys(), ...[...before.services.values()].map(serviceKey)];
  const after = buildSnapshot(before, { addresses: { upserts: [], removals: names } });
  assert.deepEqual(indexesOf(after), indexesOf(emptySnapshot()));
  assert.equal(after.services.size, 0);
});

function indexesOf({ endpoints, byAddress, scopedPolicies }: Snapshot) {
  return {
    endpoints: new Map([...endpoints].map(([key, map]) => [key, new Map(map)])),
    byAddress: new Map(byAddress),
    scopedPolicies: new Map(scopedPolicies),
  };
}

function rebuilt({ workloads, authorizations }: Snapshot) {
  const updates = {
    addresses: {
      upserts: [...workloads.values()].map((workload) => ({ kind: 'workload', workload }) as const),
      removals: [],
    },
    authorizations: { upserts: [...authorizations.values()], removals: [] },
  };
  return indexesOf(buildSnapshot(emptySnapshot(), updates));
}
