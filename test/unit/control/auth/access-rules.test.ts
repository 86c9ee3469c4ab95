/**
 * Who may read the mesh and who may ask for whom.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccessDeniedError, AccessRules } from '../../../../src/control/auth/access-rules.ts';
import type { Caller } from '../../../../src/control/auth/caller.ts';
import { WorkloadIndex } from '../../../../src/control/auth/workload-directory.ts';
import type { Address } from '../../../../src/model/messages.ts';
import type { Workload } from '../../../../src/model/workload.ts';

const TD = 'cluster.local';

function workload(uid: string, node: string, account: string, clusterId = 'Kubernetes'): Address {
  const [namespace, serviceAccount] = account.split('/');
  const fields = { uid, node, namespace, serviceAccount, clusterId };
  return { kind: 'workload', workload: fields as unknown as Workload };
}

function caller(fields: Partial<Caller> = {}, account = 'podwire-system/podwire'): Caller {
  const [namespace = '', serviceAccount = ''] = account.split('/');
  return {
    identity: { trustDomain: TD, namespace, serviceAccount },
    pod: { namespace, name: 'x', uid: 'u' },
    node: 'node-a',
    credential: 'kubernetes-token',
    ...fields,
  };
}

const index = new WorkloadIndex('Kubernetes');
index.apply({
  upserts: [
    workload('1', 'node-a', 'shop/cart'),
    workload('2', 'node-b', 'shop/web'),
    workload('3', 'node-a', 'shop/', 'Kubernetes'),
    workload('4', 'node-a', 'far/away', 'west'),
  ],
  removals: [],
});
const rules = new AccessRules({ trustDomain: TD, workloads: index });
const cart = `spiffe://${TD}/ns/shop/sa/cart`;

const denied = (by: AccessRules, who: Caller, asked: string | undefined): void =>
  assert.throws(() => by.grant(who, asked), AccessDeniedError, `${who.credential} ${asked}`);

test('an agent gets identities that have a pod on its node', () => {
  const identity = { trustDomain: TD, namespace: 'shop', serviceAccount: 'cart' };
  for (const credential of ['kubernetes-token', 'certificate', 'in-process'] as const) {
    assert.deepEqual(rules.grant(caller({ credential }), cart), { kind: 'workload', identity });
  }
  assert.equal(rules.grant(caller(), `spiffe://${TD}/ns/shop/sa/default`).kind, 'workload');
});

test('and no others', () => {
  denied(rules, caller(), `spiffe://${TD}/ns/shop/sa/web`);
  denied(rules, caller({ node: 'node-b' }), cart);
  denied(rules, caller({ node: undefined }), cart);
  denied(rules, caller({ pod: undefined }), cart);
  denied(rules, caller({ cluster: 'west' }), cart);
  denied(rules, caller(), `spiffe://${TD}/ns/far/sa/away`);
  assert.ok(rules.grant(caller({ cluster: 'west' }), `spiffe://${TD}/ns/far/sa/away`));
  denied(rules, caller({ credential: 'join-token' }), cart);
});

test('what is no identity of this trust domain is refused', () => {
  for (const asked of [
    '',
    'cart',
    'spiffe://other/ns/shop/sa/cart',
    `${cart}/x`,
    `${cart}?x`,
    `${cart},URI:spiffe://${TD}/ns/shop/sa/web`,
    `spiffe://${TD}/ns/shop/sa/cart\n`,
    `spiffe://${TD}/ns/../sa/cart`,
    `spiffe://${TD}/ns/shop/sa/CART`,
    `spiffe://${TD}/ns/shop/sa/${'a'.repeat(300)}`,
    `spiffe://${TD}/node/node-a`,
  ]) {
    denied(rules, caller(), asked);
  }
});

test('an ordinary pod gets nothing, or its own identity where that is allowed', () => {
  const pod = caller({}, 'shop/cart');
  denied(rules, pod, undefined);
  denied(rules, pod, cart);
  denied(rules, pod, `spiffe://${TD}/ns/shop/sa/default`);
  const allowing = new AccessRules({ trustDomain: TD, workloads: index, ownIdentity: true });
  assert.deepEqual(allowing.grant(pod, undefined), { kind: 'workload', identity: pod.identity });
  assert.deepEqual(allowing.grant(pod, cart), { kind: 'workload', identity: pod.identity });
  denied(allowing, pod, `spiffe://${TD}/ns/shop/sa/default`);
  denied(allowing, caller({ pod: undefined }, 'shop/cart'), undefined);
});

test('the mesh is read by agents on a proven node only', () => {
  assert.ok(rules.mayReadMesh(caller()));
  assert.ok(rules.mayReadMesh(caller({ pod: undefined, credential: 'certificate' })));
  assert.ok(!rules.mayReadMesh(caller({}, 'shop/cart')));
  assert.ok(!rules.mayReadMesh(caller({}, 'shop/podwire')));
  assert.ok(!rules.mayReadMesh(caller({ node: undefined })));
  assert.ok(!rules.mayReadMesh(caller({ pod: undefined })));
  assert.ok(!rules.mayReadMesh(caller({ credential: 'join-token' })));
  const foreign = { trustDomain: 'other', namespace: 'podwire-system', serviceAccount: 'podwire' };
  assert.ok(!rules.mayReadMesh(caller({ identity: foreign })));
});

test('Secrets go to nodes that host the gateway only', () => {
  const gateway = { namespace: 'shop', serviceAccount: 'cart' };
  assert.ok(rules.mayReadSecrets(caller(), gateway));
  assert.ok(!rules.mayReadSecrets(caller({ node: 'node-b' }), gateway));
  assert.ok(!rules.mayReadSecrets(caller({}, 'shop/cart'), gateway));
});

test('other accounts can be agents instead', () => {
  const agents = [{ namespace: 'istio-system', serviceAccount: 'ztunnel' }];
  const other = new AccessRules({ trustDomain: TD, workloads: index, agents });
  assert.ok(other.grant(caller({}, 'istio-system/ztunnel'), cart));
  denied(other, caller(), cart);
});

test('the index follows pods that move, end and share an account', () => {
  const moving = new WorkloadIndex('Kubernetes');
  const has = (node: string): boolean =>
    moving.hasIdentity({ cluster: undefined, node }, 'shop', 'cart');
  moving.apply({
    upserts: [workload('1', 'a', 'shop/cart'), workload('2', 'a', 'shop/cart')],
    removals: [],
  });
  assert.ok(has('a'));
  moving.apply({ upserts: [workload('1', 'b', 'shop/cart')], removals: [] });
  assert.ok(has('a') && has('b'));
  moving.apply({ upserts: [], removals: ['2', 'unknown'] });
  assert.ok(!has('a') && has('b'));
  moving.apply({ upserts: [workload('1', '', 'shop/cart')], removals: [] });
  assert.ok(!has('b') && !has(''));
});
