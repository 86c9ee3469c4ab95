/**
 * A policy is there before the workloads that name it and goes after them, in whatever order a server tells.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { MeshUpdate } from '../../../../src/model/messages.ts';
import { addressName } from '../../../../src/model/messages.ts';
import { PolicyOrder } from '../../../../src/xds/client/policy-order.ts';
import { pod, policy, uid } from '../../../support/xds-client.ts';

interface Passed {
  readonly order: PolicyOrder;
  /** one text per update: names, "-" before what goes */
  readonly steps: string[];
}

function start(t: TestContext, timeoutMs = 10_000): Passed {
  const steps: string[] = [];
  const names = (delta: MeshUpdate['addresses'] | MeshUpdate['authorizations']): string[] => [
    ...(delta?.removals ?? []).map((name) => `-${name.split('/').at(-1)!}`),
    ...(delta?.upserts ?? []).map((one) =>
      ('kind' in one ? addressName(one) : one.name).split('/').at(-1)!,
    ),
  ];
  const pass = ({ addresses, authorizations }: MeshUpdate): void =>
    void steps.push([...names(authorizations), ...names(addresses)].join(' '));
  const order = new PolicyOrder({ timeoutMs, pass });
  t.after(() => order.close());
  return { order, steps };
}

const web = (...policies: string[]): MeshUpdate => ({
  addresses: {
    upserts: [
      pod('web', '10.0.0.1', { authorizationPolicies: policies.map((name) => `default/${name}`) }),
    ],
    removals: [],
  },
});
const put = (name: string): MeshUpdate => ({
  authorizations: { upserts: [policy(name)], removals: [] },
});
const drop = (name: string): MeshUpdate => ({
  authorizations: { upserts: [], removals: [`default/${name}`] },
});

test('a workload waits for the policy it names', (t) => {
  const { order, steps } = start(t);
  order.stage(web());
  order.stage(web('p'));
  assert.deepEqual([steps, order.held], [['web', ''], 1]);
  assert.deepEqual(order.waiting, [`addresses ${uid('web')} (needs default/p)`]);
  order.stage(put('p'));
  assert.deepEqual([steps.at(-1), order.held], ['p web', 0]);
});

test('a policy goes after the last workload that names it', (t) => {
  const { order, steps } = start(t);
  order.stage({ ...put('p'), ...web('p') });
  order.stage(drop('p'));
  assert.deepEqual([steps, order.held], [['p web', ''], 1]);
  order.stage(web());
  assert.deepEqual([steps.at(-1), order.held], ['-p web', 0]);
});

test('all in one update, or in the right order: nothing waits', (t) => {
  const { order, steps } = start(t);
  order.stage({ ...put('p'), ...web('p') });
  order.stage(put('q'));
  order.stage(web('q'));
  order.stage(drop('p'));
  order.stage({ addresses: { upserts: [], removals: [uid('web')] }, ...drop('q') });
  assert.deepEqual(steps, ['p web', 'q', 'web', '-p', '-q -web']);
});

test('what is taken back while it waits leaves nothing behind', (t) => {
  const { order, steps } = start(t);
  order.stage(web('p'));
  order.stage({ addresses: { upserts: [], removals: [uid('web')] } });
  assert.equal(order.held, 0);
  order.stage(put('p'));
  assert.equal(steps.at(-1), 'p');
  order.stage(web('p'));
  order.stage(drop('p'));
  order.stage(put('p'));
  assert.deepEqual([steps.slice(-3), order.held], [['web', '', 'p'], 0]);
});

test('a newer version of what waits replaces it', (t) => {
  const { order, steps } = start(t);
  order.stage(web('p'));
  order.stage(web());
  assert.deepEqual([steps, order.held], [['', 'web'], 0]);
});

test('waits end, in both directions', async (t) => {
  const { order, steps } = start(t, 20);
  order.stage(web('never'));
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual([steps, order.held], [['', 'web'], 0]);
  order.stage({ ...put('p'), ...web('p') });
  order.stage(drop('p'));
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual([steps.slice(2), order.held], [['p web', '', '-p'], 0]);
});

test('a newer version that lacks its policy too waits no longer than the first', async (t) => {
  const { order, steps } = start(t, 100);
  order.stage(web('never'));
  const again = setInterval(() => order.stage(web('never')), 20);
  t.after(() => clearInterval(again));
  const deadline = performance.now() + 2000;
  while (!steps.includes('web') && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(steps.includes('web'));
});

test('without patience nothing waits', (t) => {
  const { order, steps } = start(t);
  order.stage(web('p'), false);
  assert.deepEqual([steps, order.held], [['web'], 0]);
});
