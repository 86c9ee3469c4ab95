/**
 * The kernel's lookups over compiled tables must give the evaluator's answer for every connection.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { denyAll, EMPTY_MATCH, type Authorization } from '../../../src/model/authorization.ts';
import {
  ipBytes,
  ipFamily,
  mappedLength,
  parseIp,
  parsePrefix,
  type Ip,
} from '../../../src/model/ip.ts';
import {
  assignNumbers,
  emptyNumberTable,
  keyOf,
  numberOf,
  NumberAllocator,
} from '../../../src/compile/kernel/number-table.ts';
import { compilePolicy, type PolicyTable } from '../../../src/compile/kernel/policy/compile.ts';
import { evaluate } from '../../../src/compile/kernel/policy/evaluate.ts';
import { connection, POD_ADDRESSES, policy, SPIFFE_IDS } from './policy-arbitraries.ts';

const identities = assignNumbers(emptyNumberTable(), SPIFFE_IDS);

function compile(policies: readonly Authorization[], addresses: readonly Ip[]) {
  const policyNumbers = new NumberAllocator(emptyNumberTable());
  const cidrNumbers = new NumberAllocator(emptyNumberTable());
  const table = compilePolicy({
    policies,
    addresses,
    identities: identities.byKey,
    policyNumber: (key) => policyNumbers.number(key),
    cidrTableNumber: (content) => cidrNumbers.number(content),
  });
  return { table, policies: policyNumbers };
}

/** The lookups of bpf/policy.bpf.h, over the plan's data. */
function kernelLookup(table: PolicyTable | undefined, identity: number, port: number, source: Ip) {
  if (table === undefined) return { allowed: true, policy: 0 };
  const entry =
    table.entries.find((e) => e.identity === identity && e.port === port) ??
    table.entries.find((e) => e.identity === identity && e.port === 0);
  if (entry === undefined) return { allowed: false, policy: 0 };
  if (entry.verdict !== 'cidr') {
    return { allowed: entry.verdict === 'allow', policy: entry.policy };
  }
  const address = ipBytes(source);
  let longest = -1;
  let found = { allowed: false, policy: 0 };
  for (const rule of table.cidrTables.get(entry.cidrTable) ?? []) {
    const bits = mappedLength(rule.prefix);
    if (bits <= longest || !samePrefix(ipBytes(rule.prefix.address), address, bits)) continue;
    longest = bits;
    found = { allowed: rule.verdict === 'allow', policy: rule.policy };
  }
  return found;
}

function samePrefix(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let bit = 0; bit < bits; bit++) {
    const mask = 0x80 >> (bit & 7);
    if ((a[bit >> 3]! & mask) !== (b[bit >> 3]! & mask)) return false;
  }
  return true;
}

test('kernel lookup = evaluator, for random policies and connections', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(policy, { selector: (p) => `${p.namespace}/${p.name}`, maxLength: 4 }),
      fc.constantFrom(...POD_ADDRESSES),
      fc.array(connection, { minLength: 8, maxLength: 8 }),
      (policies, addresses, connections) => {
        const compiled = compile(policies, addresses);
        for (const { sourceIdentity, sourceAddr, destPort } of connections) {
          const reachable = addresses.filter((ip) => ipFamily(ip) === ipFamily(sourceAddr));
          if (reachable.length === 0) continue;
          // The kernel's table is the pod's: with several addresses of one family, what one denies all deny.
          const decisions = reachable.map((destAddr) =>
            evaluate(policies, { sourceIdentity, sourceAddr, destAddr, destPort }),
          );
          const expected = decisions.find(({ allowed }) => !allowed) ?? decisions.at(-1)!;
          const number = sourceIdentity === undefined ? 0 : numberOf(identities, sourceIdentity)!;
          const actual = kernelLookup(compiled.table, number, destPort, sourceAddr);
          assert.equal(actual.allowed, expected.allowed);
          const named = compiled.policies.table();
          assert.equal(keyOf(named, actual.policy), expected.policy);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

const v4 = POD_ADDRESSES[0]!;
const client = SPIFFE_IDS[0]!;
const clientNumber = numberOf(identities, client)!;
const source = parseIp('10.0.0.1')!;

function allow(rules: Authorization['rules'], more: Partial<Authorization> = {}): Authorization {
  return {
    name: 'p',
    namespace: 'a',
    scope: 'NAMESPACE',
    action: 'ALLOW',
    rules,
    dryRun: false,
    ...more,
  };
}

test('no enforced policy gives no table: everything is allowed', () => {
  assert.equal(compile([], v4).table, undefined);
  assert.equal(compile([allow([], { dryRun: true })], v4).table, undefined);
});

test('an unknown identity number is denied at a pod with policy', () => {
  const { table } = compile([denyOnly()], v4);
  assert.equal(kernelLookup(table, clientNumber, 80, source).allowed, true);
  assert.equal(kernelLookup(table, 4_000_000, 80, source).allowed, false);
});

test('ports and identities that nothing tells apart need one entry each', () => {
  const { table } = compile([denyOnly()], v4);
  // identity 0 and every SPIFFE id, port 0 and the one port that differs
  assert.equal(table!.entries.filter((entry) => entry.port === 0).length, SPIFFE_IDS.length + 1);
  assert.equal(table!.entries.filter((entry) => entry.port === 443).length, SPIFFE_IDS.length + 1);
  assert.equal(table!.entries.length, 2 * (SPIFFE_IDS.length + 1));
});

test('equal CIDR tables are one table', () => {
  const sourceIps = [parsePrefix('10.0.0.0/8')!];
  const { table } = compile(
    [allow([{ clauses: [{ matches: [{ ...EMPTY_MATCH, sourceIps }] }] }])],
    v4,
  );
  assert.equal(table!.cidrTables.size, 1);
  assert.ok(table!.entries.every((entry) => entry.verdict === 'cidr'));
  const [rules] = table!.cidrTables.values();
  assert.deepEqual(
    rules!.map((rule) => [rule.prefix.address, rule.prefix.length, rule.verdict]),
    [
      ['0.0.0.0', 0, 'deny'],
      ['10.0.0.0', 8, 'allow'],
    ],
  );
});

test('a policy that denies all closes the pod for everybody', () => {
  const { table } = compile([denyAll('a', 'closed', 'NAMESPACE'), allow([{ clauses: [] }])], v4);
  for (const identity of [0, clientNumber]) {
    assert.equal(kernelLookup(table, identity, 80, source).allowed, false);
  }
});

function denyOnly(): Authorization {
  const match = { ...EMPTY_MATCH, destinationPorts: [443] };
  return allow([{ clauses: [{ matches: [match] }] }], { action: 'DENY' });
}
