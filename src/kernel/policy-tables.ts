/**
 * Compiled policy in the kernel: an inner map per pod, replaced whole, and the tables of prefixes they point to. Every write to
 * the outer map waits until no program uses the old table any more (10 ms and more), so writes are few and in batches.
 */
import type { CidrRule, PolicyTable } from '../compile/kernel/policy/compile.ts';
import { formatPrefix } from '../model/ip.ts';
import { cidrFromText } from './abi/address.ts';
import { CidrKey, PolicyKey, PolicyVerdict, Verdict } from './abi/layout.gen.ts';
import type { Binding, BpfMap } from './binding.ts';
import { TypedMap, u32 } from './typed-map.ts';

const BPF_MAP_TYPE_HASH = 1;
const BPF_F_NO_PREALLOC = 1;
const TABLE_BITS = 32;

const VERDICTS = { allow: Verdict.ALLOW, deny: Verdict.DENY, cidr: Verdict.CIDR } as const;

export class PolicyTables {
  readonly #binding: Binding;
  readonly #policies: BpfMap;
  readonly #rules: TypedMap<CidrKey, PolicyVerdict>;
  /** what this agent wrote, by pod */
  readonly #written = new Map<number, PolicyTable>();

  constructor(options: { binding: Binding; map: (name: string) => BpfMap }) {
    this.#binding = options.binding;
    this.#policies = options.map('policies');
    this.#rules = new TypedMap('cidr_rules', options.map('cidr_rules'), CidrKey, PolicyVerdict);
  }

  put(podId: number, table: PolicyTable): void {
    this.putAll(new Map([[podId, table]]));
  }

  /** All of them, or those before the one the kernel refuses. */
  putAll(tables: ReadonlyMap<number, PolicyTable>): void {
    const fresh = [...tables].filter(([podId, table]) => this.#written.get(podId) !== table);
    if (fresh.length === 0) return;
    const keys = new Uint8Array(fresh.length * u32.size);
    const values = new Uint8Array(fresh.length * u32.size);
    const maps: BpfMap[] = [];
    try {
      fresh.forEach(([podId, table], i) => {
        const map = this.#fill(table);
        maps.push(map);
        keys.set(u32.encode(podId), i * u32.size);
        values.set(u32.encode(map.fd), i * u32.size);
      });
      for (const [podId] of fresh) this.#written.delete(podId);
      this.#policies.updateBatch(keys, values, fresh.length);
      for (const [podId, table] of fresh) this.#written.set(podId, table);
    } finally {
      for (const map of maps) map.close();
    }
  }

  #fill(table: PolicyTable): BpfMap {
    const map = this.#binding.createMap({
      type: BPF_MAP_TYPE_HASH,
      name: 'policy_table',
      keySize: PolicyKey.size,
      valueSize: PolicyVerdict.size,
      maxEntries: Math.max(1, table.entries.length),
      flags: BPF_F_NO_PREALLOC,
    });
    try {
      new TypedMap('policy_table', map, PolicyKey, PolicyVerdict).setMany(
        table.entries.map(({ identity, port, verdict, policy, cidrTable }) => [
          { identity, port },
          { verdict: VERDICTS[verdict], policy, cidrTable },
        ]),
      );
      return map;
    } catch (error) {
      map.close();
      throw error;
    }
  }

  delete(podId: number): void {
    this.#written.delete(podId);
    const key = u32.encode(podId);
    if (this.#policies.lookup(key)) this.#policies.delete(key);
  }

  putRules(table: number, rules: readonly CidrRule[]): void {
    this.#rules.setMany(
      rules.map((rule) => [
        keyOf(table, rule),
        { verdict: VERDICTS[rule.verdict], policy: rule.policy, cidrTable: 0 },
      ]),
    );
  }

  deleteRules(table: number, rules: readonly CidrRule[]): void {
    this.#rules.deleteMany(rules.map((rule) => keyOf(table, rule)));
  }

  /** After the first plan: what an earlier agent left. */
  prune(pods: ReadonlySet<number>, tables: ReadonlySet<number>): void {
    const { keys, count } = this.#policies.dump();
    for (let i = 0; i < count; i++) {
      const podId = u32.decode(keys, i * u32.size);
      if (!pods.has(podId)) this.delete(podId);
    }
    const stale = this.#rules
      .entries()
      .map(([key]) => key)
      .filter(({ table }) => !tables.has(table));
    this.#rules.deleteMany(stale);
  }
}

function keyOf(table: number, rule: CidrRule): CidrKey {
  const { addr, bits } = cidrFromText(formatPrefix(rule.prefix));
  return { prefixlen: TABLE_BITS + bits, table, addr };
}
