/** A table that the kernel has no room for: the pod is closed but for what the agent lets in, not left under the old one. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePolicy } from '../../src/compile/kernel/policy/compile.ts';
import type { PolicyTable } from '../../src/compile/kernel/policy/policy-table.ts';
import { addrFromText } from '../../src/kernel/abi/address.ts';
import { ListenerKey, ListenerRole, Reason } from '../../src/kernel/abi/layout.gen.ts';
import { PodPolicies } from '../../src/kernel/pod-policies.ts';
import type { CapturedPod } from '../../src/kernel/pod-table.ts';
import { PolicyTables } from '../../src/kernel/policy-tables.ts';
import { EMPTY_MATCH, type Authorization } from '../../src/model/authorization.ts';
import { parseIp, parsePrefix } from '../../src/model/ip.ts';
import { skipReason } from '../support/node.ts';
import { openLookup, POD } from './lookup-lab.ts';

const skip = skipReason();
const UID = 'Kubernetes//Pod/default/p';
const ROOM = 8;
const SYN = { from: '10.1.0.1', fromPort: 40_000, to: '10.1.0.2', port: 80 };

function denying(count: number): PolicyTable {
  const policy: Authorization = {
    ...{ name: 'p', namespace: 'default', scope: 'NAMESPACE', action: 'DENY', dryRun: false },
    rules: Array.from({ length: count }, (_, i) => ({
      clauses: [
        { matches: [{ ...EMPTY_MATCH, sourceIps: [parsePrefix(`192.0.2.${i * 2}/32`)!] }] },
      ],
    })),
  };
  const numbers = new Map<string, number>();
  return compilePolicy({
    policies: [policy],
    addresses: [parseIp('10.1.0.2')!],
    identities: [],
    policyNumber: () => 1,
    cidrTableNumber: (content) => numbers.get(content) ?? (numbers.set(content, count), count),
  })!;
}

test('a policy that does not fit', { skip }, (t) => {
  const lookup = openLookup(t, { cidrRules: ROOM });
  const tables = new PolicyTables({ binding: lookup.binding, map: (name) => lookup.map(name) });
  const open = new Set<string>();
  const pod = { entry: { uid: UID, captureProxy: false }, id: POD.id } as CapturedPod;
  let table: PolicyTable | undefined;
  const policies = new PodPolicies({
    tables,
    listeners: {
      open: (_, roles) => roles.forEach((role) => open.add(role)),
      keep: (_, roles) =>
        [...open].forEach((role) => roles.has(role as 'inbound') || open.delete(role)),
    },
    captured: () => pod,
    table: () => table,
  });
  const write = (next: PolicyTable): void => {
    table = next;
    for (const [number, rules] of next.cidrTables) tables.putRules(number, rules);
    policies.put({ uid: UID, id: POD.id, table: next });
  };
  const remove = (last: PolicyTable): void => {
    for (const [number, rules] of last.cidrTables) tables.deleteRules(number, rules);
  };

  const small = denying(2);
  write(small);
  assert.equal(lookup.run(SYN).passed, true);
  assert.equal(lookup.run({ ...SYN, from: '192.0.2.2' }).passed, false);
  assert.deepEqual([...open], []);

  const large = denying(20);
  assert.throws(() => write(large), /cidr_rules is full/);
  // the reconciler goes on to the policy that points to it
  assert.throws(() => policies.put({ uid: UID, id: POD.id, table: large }), /not complete/);
  assert.match(policies.userSpace(UID)!, /not complete/);
  assert.deepEqual([...open], ['inbound']);
  assert.equal(lookup.run(SYN).passed, false, 'nobody decides');
  assert.ok(lookup.denied(Reason.NO_AGENT) > 0);
  const { fd } = lookup.binding.listenIn({
    ...{ netnsPath: null, family: 4, port: 0, backlog: 1, addr: addrFromText('127.0.0.1') },
    slot: {
      map: lookup.map('listeners'),
      key: ListenerKey.encode({ pod: POD.id, role: ListenerRole.INBOUND, family: 4, worker: 0 }),
    },
  });
  t.after(() => lookup.binding.closeFd(fd));
  const cookie = lookup.binding.socketCookie(fd);
  for (const from of ['10.1.0.1', '192.0.2.2']) {
    assert.deepEqual(lookup.run({ ...SYN, from }), { passed: true, cookie }, from);
  }

  remove(large);
  remove(small);
  const fitting = denying(3);
  write(fitting);
  assert.deepEqual([...open], []);
  assert.equal(policies.userSpace(UID), undefined);
  assert.deepEqual(lookup.run(SYN), { passed: true, cookie: 0n });
  assert.equal(lookup.run({ ...SYN, from: '192.0.2.4' }).passed, false);
});
