/**
 * 10,000 policies and 1,000 identities: the first plan, and one changed policy. The figures of a quiet machine are an eighth
 * of the limits here.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_MATCH, type Authorization } from '../../../src/model/authorization.ts';
import type { EnrolledPod } from '../../../src/model/enrolment.ts';
import type { Ip } from '../../../src/model/ip.ts';
import type { Address } from '../../../src/model/messages.ts';
import { emptySnapshot } from '../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { diffPlans } from '../../../src/compile/kernel/diff.ts';
import { initialPlanState, nextPlan } from '../../../src/compile/kernel/plan.ts';
import { workload } from '../../support/xds-client.ts';

const NAMESPACES = 100;
const PER_NAMESPACE = 100;
const IDENTITIES_PER_NAMESPACE = 10;
const FIRST_MS = 16_000;
const CHANGE_MS = 160;

function policy(namespace: number, index: number, port = 80): Authorization {
  const other = (namespace + index) % NAMESPACES;
  const value = `cluster.local/ns/n${other}/sa/s${index % IDENTITIES_PER_NAMESPACE}`;
  return {
    ...{ name: `p${index}`, namespace: `n${namespace}`, scope: 'NAMESPACE', dryRun: false },
    action: index % 10 === 0 ? 'DENY' : 'ALLOW',
    rules: [
      {
        clauses: [
          { matches: [{ ...EMPTY_MATCH, principals: [{ type: 'exact', value }] }] },
          { matches: [{ ...EMPTY_MATCH, destinationPorts: [port, 8000 + (index % 10)] }] },
        ],
      },
    ],
  };
}

function pod(namespace: number, index: number): Extract<Address, { readonly kind: 'workload' }> {
  return {
    kind: 'workload',
    workload: workload(`w${index}`, `10.${namespace}.0.${index}`, {
      uid: `Kubernetes//Pod/n${namespace}/w${index}`,
      namespace: `n${namespace}`,
      serviceAccount: `s${index}`,
      trustDomain: 'cluster.local',
      addresses: [`10.${namespace}.0.${index}` as Ip],
    }),
  };
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

test('10,000 policies × 1,000 identities', (t) => {
  const addresses = times(NAMESPACES, (n) => times(IDENTITIES_PER_NAMESPACE, (i) => pod(n, i)));
  const policies = times(NAMESPACES, (n) => times(PER_NAMESPACE, (i) => policy(n, i)));
  const snapshot = buildSnapshot(emptySnapshot(), {
    addresses: { upserts: addresses.flat(), removals: [] },
    authorizations: { upserts: policies.flat(), removals: [] },
  });
  const enrolled = addresses.map(([first], n): EnrolledPod => ({
    ...{ uid: first!.workload.uid, namespace: `n${n}`, name: 'w0' },
    ...{ netns: `n${n}`, netnsPath: `/run/netns/n${n}`, captureProxy: false, splice: 'default' },
    ...{ portModes: new Map(), probePorts: [], images: [] },
    ...{ labels: new Map(), namespaceLabels: new Map(), ports: [] },
    origin: { file: 'f.yaml', resource: `Pod n${n}/w0`, path: '' },
  }));
  const start = performance.now();
  let state = nextPlan(initialPlanState(), snapshot, enrolled);
  const firstMs = performance.now() - start;
  const entries = [...state.plan.policies.values()].map((table) => table.entries.length);
  assert.equal(entries.length, NAMESPACES);
  assert.ok([...state.plan.policies.values()].every(({ userSpace }) => userSpace === undefined));

  const changes = times(10, (round) => {
    const changed = buildSnapshot(state.snapshot, {
      authorizations: { upserts: [policy(7, 3, 9000 + round)], removals: [] },
    });
    const from = performance.now();
    const next = nextPlan(state, changed, enrolled);
    const operations = diffPlans(state.plan, next.plan);
    const ms = performance.now() - from;
    assert.deepEqual(
      operations.map(({ map, key }) => [map, key]),
      [['policies', enrolled[7]!.uid]],
    );
    state = next;
    return ms;
  }).sort((a, b) => a - b);
  t.diagnostic(
    `first plan ${firstMs.toFixed(0)} ms, ${entries.reduce((a, b) => a + b)} entries; ` +
      `one change ${changes[0]!.toFixed(1)} to ${changes.at(-1)!.toFixed(1)} ms`,
  );
  assert.ok(firstMs < FIRST_MS, `${firstMs} ms`);
  assert.ok(changes[5]! < CHANGE_MS, `${changes[5]} ms`);
});
