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
import { compilePolicy } from '../../../src/compile/kernel/policy/compile.ts';
import {
  ANY_IDENTITY,
  POLICY_LIMITS,
  ruleKey,
  type PolicyTable,
} from '../../../src/compile/kernel/policy/policy-table.ts';
import { RuleIndex } from '../../../src/compile/kernel/policy/rule-index.ts';
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
    table.entries.find((e) => e.identity === identity && e.port === 0) ??
    table.entries.find((e) => e.identity === ANY_IDENTITY && e.port === 0);
  if (entry === undefined) return { allowed: false, policy: 0 };
  if (entry.verdict === 'ask') return 'ask';
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
          const decisions = reachable.map((destAddr) =>
            evaluate(policies, { sourceIdentity, sourceAddr, destAddr, destPort }),
          );
          const number = sourceIdentity === undefined ? 0 : numberOf(identities, sourceIdentity)!;
          const actual = kernelLookup(compiled.table, number, destPort, sourceAddr);
          if (actual === 'ask') {
            assert.ok(addresses.length > reachable.length || reachable.length > 1);
            assert.ok(compiled.table!.userSpace);
            continue;
          }
          for (const expected of decisions) assert.equal(actual.allowed, expected.allowed);
          const { allowed, policy: name, rule } = decisions[0]!;
          const named = allowed || name === undefined ? undefined : ruleKey(name, rule!);
          assert.equal(keyOf(compiled.policies.table(), actual.policy), named);
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

function allows(table: PolicyTable | undefined, identity: number): boolean {
  const answer = kernelLookup(table, identity, 80, source);
  return answer !== 'ask' && answer.allowed;
}

test('no enforced policy gives no table: everything is allowed', () => {
  assert.equal(compile([], v4).table, undefined);
  assert.equal(compile([allow([], { dryRun: true })], v4).table, undefined);
});

test('an unknown identity number is denied at a pod with policy', () => {
  const { table } = compile([denyOnly()], v4);
  assert.equal(allows(table, clientNumber), true);
  assert.equal(allows(table, 4_000_000), false);
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
    assert.equal(allows(table, identity), false);
  }
});

function denyOnly(): Authorization {
  const match = { ...EMPTY_MATCH, destinationPorts: [443] };
  return allow([{ clauses: [{ matches: [match] }] }], { action: 'DENY' });
}

test('an index by principal = evaluator, policy and rule included', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(policy, { selector: (p) => `${p.namespace}/${p.name}`, maxLength: 4 }),
      fc.array(connection, { minLength: 8, maxLength: 8 }),
      fc.constantFrom(...POD_ADDRESSES.flat()),
      (policies, connections, destAddr) => {
        const index = new RuleIndex(policies);
        for (const one of connections) {
          const asked = { ...one, destAddr };
          assert.deepEqual(index.evaluate(asked), evaluate(policies, asked));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('several addresses of one family that policies tell apart are decided in user space', () => {
  const [first] = POD_ADDRESSES[3]!;
  const match = { ...EMPTY_MATCH, destinationIps: [parsePrefix(`${first}/32`)!] };
  const { table } = compile([allow([{ clauses: [{ matches: [match] }] }])], POD_ADDRESSES[3]!);
  assert.equal(kernelLookup(table, clientNumber, 80, source), 'ask');
  assert.match(table!.userSpace!, /several addresses/);
});

/** Every second address, so that none can be joined with its neighbour. */
function manyPrefixes(count: number) {
  return Array.from({ length: count }, (_, i) => {
    const number = i * 2;
    return parsePrefix(`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}/32`)!;
  });
}

test('what is too large for the kernel is decided in user space, whole', () => {
  const sources = (count: number): Authorization =>
    allow([{ clauses: [{ matches: [{ ...EMPTY_MATCH, sourceIps: manyPrefixes(count) }] }] }]);
  const fits = compile([sources(POLICY_LIMITS.prefixes - 1)], v4).table!;
  assert.equal(fits.userSpace, undefined);
  assert.equal([...fits.cidrTables.values()][0]!.length, POLICY_LIMITS.prefixes);
  const large = compile([sources(POLICY_LIMITS.prefixes + 1)], v4).table!;
  assert.equal(kernelLookup(large, clientNumber, 80, source), 'ask');
  assert.equal(kernelLookup(large, 0, 80, source), 'ask');
  assert.equal(large.cidrTables.size, 0);
  assert.ok(large.userSpace);

  const destinationPorts = Array.from({ length: 20_000 }, (_, i) => i + 1);
  const ports = allow([{ clauses: [{ matches: [{ ...EMPTY_MATCH, destinationPorts }] }] }]);
  const many = compile([ports], v4).table!;
  assert.equal(many.entries.length, 1);
  assert.equal(kernelLookup(many, 4_000_000, 80, source), 'ask');
});

test('entries of an identity begin with its ports: what is wider than they comes last', () => {
  const { table } = compile([denyOnly()], v4);
  const seen = new Set<number>();
  for (const { identity, port } of table!.entries) {
    assert.ok(!seen.has(identity), 'an entry behind that for any port');
    if (port === 0) seen.add(identity);
  }
});
