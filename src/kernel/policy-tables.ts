/** Compiled policy in the kernel: an inner map per pod, replaced whole, and the tables of prefixes they point to. */
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

  constructor(options: { binding: Binding; map: (name: string) => BpfMap }) {
    this.#binding = options.binding;
    this.#policies = options.map('policies');
    this.#rules = new TypedMap('cidr_rules', options.map('cidr_rules'), CidrKey, PolicyVerdict);
  }

  put(podId: number, table: PolicyTable): void {
    const { binding, inner } = { binding: this.#binding, inner: Math.max(1, table.entries.length) };
    const map = binding.createMap({
      type: BPF_MAP_TYPE_HASH,
      name: 'policy_table',
      keySize: PolicyKey.size,
      valueSize: PolicyVerdict.size,
      maxEntries: inner,
      flags: BPF_F_NO_PREALLOC,
    });
    try {
      new TypedMap('policy_table', map, PolicyKey, PolicyVerdict).setMany(
        table.entries.map(({ identity, port, verdict, policy, cidrTable }) => [
          { identity, port },
          { verdict: VERDICTS[verdict], policy, cidrTable },
        ]),
      );
      this.#policies.update(u32.encode(podId), u32.encode(map.fd));
    } finally {
      map.close();
    }
  }

  delete(podId: number): void {
    this.#policies.delete(u32.encode(podId));
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
