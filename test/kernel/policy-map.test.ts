/**
 * Compiled policies in real maps, looked up by the real program, against the one evaluator: thousands of connections under
 * random policies must get the same answer.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePolicy } from '../../src/compile/kernel/policy/compile.ts';
import { type PolicyTable } from '../../src/compile/kernel/policy/policy-table.ts';
import { evaluate } from '../../src/compile/kernel/policy/evaluate.ts';
import { PolicyTables } from '../../src/kernel/policy-tables.ts';
import { Reason, RecordFlags } from '../../src/kernel/abi/layout.gen.ts';
import {
  type Authorization,
  EMPTY_MATCH,
  type Match,
  type Rule,
} from '../../src/model/authorization.ts';
import { parseIp, parsePrefix } from '../../src/model/ip.ts';
import { skipReason } from '../support/node.ts';
import { openLookup, POD } from './lookup-lab.ts';

const skip = skipReason();
const ROUNDS = 150;
const ADDRESSES = [parseIp('10.1.0.2')!, parseIp('fd01::2')!];
const SOURCES = ['10.1.0.1', '10.1.0.9', '10.2.0.1', 'fd01::1', 'fd02::1', '192.0.2.1'];
const PREFIXES = ['10.0.0.0/8', '10.1.0.0/16', '10.1.0.1/32', 'fd00::/8', 'fd01::/64', '::/0'];
const PORTS = [80, 8080, 9090];
const NAMES = ['ns/a/sa/x', 'ns/a/sa/y', 'ns/b/sa/x'].map((name) => `cluster.local/${name}`);
const IDENTITIES = new Map(NAMES.map((name, index) => [`spiffe://${name}`, index + 1]));

/** Repeatable: xorshift32. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  some<T>(list: readonly T[]): T[] {
    return this.below(3) > 0 ? [] : list.filter(() => this.below(2) === 0);
  }
}

function randomMatch(dice: Dice): Match {
  const exact = (value: string) => ({ type: 'exact', value }) as const;
  const prefixes = PREFIXES.map((text) => parsePrefix(text)!);
  return {
    ...EMPTY_MATCH,
    principals: dice.some(NAMES).map(exact),
    notPrincipals: dice.some(NAMES).map(exact),
    namespaces: dice.some(['a', 'b']).map(exact),
    sourceIps: dice.some(prefixes),
    notSourceIps: dice.some(prefixes),
    destinationPorts: dice.some(PORTS),
    notDestinationPorts: dice.some(PORTS),
  };
}

function randomPolicy(dice: Dice, name: string): Authorization {
  const many = <T>(limit: number, make: () => T): T[] =>
    Array.from({ length: dice.below(limit + 1) }, make);
  const rule = (): Rule => ({
    clauses: many(2, () => ({ matches: many(2, () => randomMatch(dice)) })),
  });
  return {
    ...{ name, namespace: 'default', scope: 'WORKLOAD_SELECTOR', dryRun: dice.below(8) === 0 },
    action: dice.below(3) === 0 ? 'DENY' : 'ALLOW',
    rules: many(3, rule),
  };
}

test('the kernel decides as the evaluator does', { skip }, (t) => {
  const lookup = openLookup(t);
  const tables = new PolicyTables({ binding: lookup.binding, map: (name) => lookup.map(name) });
  const policyNumbers = new Map<string, number>();
  const cidrNumbers = new Map<string, number>();
  const numberIn = (numbers: Map<string, number>, key: string): number => {
    if (!numbers.has(key)) numbers.set(key, numbers.size + 1);
    return numbers.get(key)!;
  };
  const sources = [...IDENTITIES, [undefined, 0] as const];
  let port = 20_000;
  for (const from of SOURCES) {
    for (const [, identity] of sources) {
      for (const dialled of PORTS) {
        const to = from.includes(':') ? 'fd01::2' : '10.1.0.2';
        const syn = { from, fromPort: port + identity, to, port: dialled };
        if (identity) lookup.putRecord(syn, { flags: RecordFlags.POD, identity });
      }
    }
    port += 10;
  }
  let allowed = 0;
  let checked = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const dice = new Dice(round * 7919 + 1);
    const policies = Array.from({ length: 1 + dice.below(3) }, (_, i) =>
      randomPolicy(dice, `p${i}`),
    );
    const table = compilePolicy({
      policies,
      addresses: ADDRESSES,
      identities: IDENTITIES,
      policyNumber: (key) => numberIn(policyNumbers, key),
      cidrTableNumber: (content) => numberIn(cidrNumbers, content),
    });
    for (const [number, rules] of table?.cidrTables ?? []) tables.putRules(number, rules);
    if (table) tables.put(POD.id, table);
    else tables.delete(POD.id);
    SOURCES.forEach((from, index) => {
      const to = from.includes(':') ? 'fd01::2' : '10.1.0.2';
      for (const [spiffe, identity] of sources) {
        for (const dialled of [...PORTS, 7777]) {
          // only the ports of PORTS have records: at 7777 everybody is without identity
          const known = dialled === 7777 ? undefined : spiffe;
          const fromPort = 20_000 + index * 10 + identity;
          const { passed } = lookup.run({ from, fromPort, to, port: dialled });
          const expected = evaluate(policies, {
            sourceIdentity: known,
            sourceAddr: parseIp(from)!,
            destAddr: parseIp(to)!,
            destPort: dialled,
          }).allowed;
          checked++;
          if (expected) allowed++;
          assert.equal(
            passed,
            expected,
            `${from} as ${known} to ${to}:${dialled} under ${JSON.stringify(policies)}`,
          );
        }
      }
    });
  }
  t.diagnostic(`${checked} connections, ${allowed} allowed`);
  assert.ok(allowed > checked / 10 && allowed < checked * 0.9, 'the dice are one-sided');
});

test('a number that the table does not know is denied', { skip }, (t) => {
  const lookup = openLookup(t);
  const tables = new PolicyTables({ binding: lookup.binding, map: (name) => lookup.map(name) });
  const everybody: Authorization = {
    ...{ name: 'p', namespace: 'default', scope: 'NAMESPACE', action: 'ALLOW', dryRun: false },
    rules: [{ clauses: [] }],
  };
  const table = compilePolicy({
    policies: [everybody],
    addresses: ADDRESSES,
    identities: IDENTITIES,
    policyNumber: () => 1,
    cidrTableNumber: () => 1,
  });
  tables.put(POD.id, table!);
  const syn = { from: '10.1.0.1', fromPort: 1, to: '10.1.0.2', port: 80 };
  assert.equal(lookup.run(syn).passed, true);
  lookup.putRecord(syn, { flags: RecordFlags.POD, identity: 999 });
  assert.equal(lookup.run(syn).passed, false);
  assert.equal(lookup.denied(Reason.IDENTITY_UNKNOWN), 1);
  tables.delete(POD.id);
  assert.equal(lookup.run(syn).passed, true, 'no table, no policy');
});

test('new identities are added to the table that is there, also beyond its room', { skip }, (t) => {
  const lookup = openLookup(t);
  const tables = new PolicyTables({ binding: lookup.binding, map: (name) => lookup.map(name) });
  const fromA: Authorization = {
    ...{ name: 'p', namespace: 'default', scope: 'NAMESPACE', action: 'ALLOW', dryRun: false },
    rules: [
      {
        clauses: [{ matches: [{ ...EMPTY_MATCH, namespaces: [{ type: 'exact', value: 'a' }] }] }],
      },
    ],
  };
  const compiled = (identities: ReadonlyMap<string, number>): PolicyTable =>
    compilePolicy({
      policies: [fromA],
      addresses: ADDRESSES,
      identities,
      policyNumber: () => 1,
      cidrTableNumber: () => 1,
    })!;
  const syn = { from: '10.1.0.1', fromPort: 1, to: '10.1.0.2', port: 80 };
  const passes = (identity: number): boolean => {
    lookup.putRecord(syn, { flags: RecordFlags.POD, identity });
    return lookup.run(syn).passed;
  };
  const innerMap = (): string =>
    Buffer.from(lookup.map('policies').lookup(podKey)!).toString('hex');
  const podKey = new Uint8Array(new Uint32Array([POD.id]).buffer);
  let table = compiled(new Map([['spiffe://d/ns/a/sa/x', 1]]));
  tables.put(POD.id, table);
  const first = innerMap();
  const replaced = new Set([first]);
  for (let number = 2; number <= 200; number++) {
    assert.equal(passes(number), false, `${number} is not known yet`);
    const namespace = number % 2 === 0 ? 'a' : 'b';
    const added = compiled(new Map([[`spiffe://d/ns/${namespace}/sa/s${number}`, number]]));
    const fresh = added.entries.filter(({ identity }) => identity === number);
    table = { entries: [...table.entries, ...fresh], cidrTables: new Map(), userSpace: undefined };
    tables.put(POD.id, table);
    replaced.add(innerMap());
    assert.equal(passes(number), namespace === 'a', `${number} of ${namespace}`);
  }
  assert.equal(passes(1), true);
  assert.ok(replaced.size >= 2 && replaced.size <= 4, `${replaced.size} maps for 200 identities`);
  tables.delete(POD.id);
  assert.equal(passes(1000), true, 'no table, no policy');
});
