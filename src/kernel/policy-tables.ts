/**
 * Compiled policy in the kernel: an inner map per pod, and the tables of prefixes they point to. Every write to the outer map
 * waits until no program uses the old table any more (10 ms and more), so writes are few and in batches. A table that only
 * got more identities is not replaced but written to: nobody had them before, and a number it does not know is denied.
 */
import {
  askTable,
  type CidrRule,
  type PolicyEntry,
  type PolicyTable,
} from '../compile/kernel/policy/policy-table.ts';
import { PodwireError } from '../errors.ts';
import { formatPrefix } from '../model/ip.ts';
import { cidrFromText } from './abi/address.ts';
import { CidrKey, PolicyKey, PolicyVerdict, Verdict } from './abi/layout.gen.ts';
import type { Binding, BpfMap } from './binding.ts';
import { TypedMap, u32 } from './typed-map.ts';

const BPF_MAP_TYPE_HASH = 1;
const BPF_F_NO_PREALLOC = 1;
const TABLE_BITS = 32;
/** Of a table: room for identities that are still to come. */
const MIN_SPARE = 64;

const VERDICTS = {
  allow: Verdict.ALLOW,
  deny: Verdict.DENY,
  cidr: Verdict.CIDR,
  ask: Verdict.ASK,
} as const;

interface Written {
  readonly table: PolicyTable;
  readonly map: BpfMap;
  /** entries that fit */
  readonly room: number;
}

export class PolicyTables {
  readonly #binding: Binding;
  readonly #policies: BpfMap;
  readonly #rules: TypedMap<CidrKey, PolicyVerdict>;
  /** CIDR tables the kernel has not taken whole: nothing may point to them */
  readonly #incomplete = new Set<number>();
  /** one table for all pods whose own one was refused: allocated beforehand, or it would be refused as well */
  readonly #asking: BpfMap;
  /** what this agent wrote, by pod */
  readonly #written = new Map<number, Written>();

  constructor(options: { binding: Binding; map: (name: string) => BpfMap }) {
    this.#binding = options.binding;
    this.#policies = options.map('policies');
    this.#rules = new TypedMap('cidr_rules', options.map('cidr_rules'), CidrKey, PolicyVerdict);
    this.#asking = this.#fill(askTable('refused by the kernel')).map;
  }

  put(podId: number, table: PolicyTable): void {
    this.putAll(new Map([[podId, table]]));
  }

  /** All of them, or those before the one the kernel refuses. */
  putAll(tables: ReadonlyMap<number, PolicyTable>): void {
    const fresh = [...tables].filter(([podId, table]) => !this.#extend(podId, table));
    if (fresh.length === 0) return;
    const keys = new Uint8Array(fresh.length * u32.size);
    const values = new Uint8Array(fresh.length * u32.size);
    const filled = new Map<number, Written>();
    try {
      for (const [, table] of fresh) this.#requireRules(table);
      fresh.forEach(([podId, table], i) => {
        const written = this.#fill(table);
        filled.set(podId, written);
        keys.set(u32.encode(podId), i * u32.size);
        values.set(u32.encode(written.map.fd), i * u32.size);
      });
      for (const [podId] of fresh) this.#forget(podId);
      this.#policies.updateBatch(keys, values, fresh.length);
    } catch (error) {
      for (const { map } of filled.values()) map.close();
      throw error;
    }
    for (const [podId, written] of filled) this.#written.set(podId, written);
  }

  /** Whoever comes is asked of the agent. */
  ask(podId: number): void {
    this.#policies.update(u32.encode(podId), u32.encode(this.#asking.fd));
    this.#forget(podId);
  }

  #requireRules({ cidrTables }: PolicyTable): void {
    for (const table of cidrTables.keys()) {
      if (!this.#incomplete.has(table)) continue;
      throw new PodwireError('ERR_MAP_FULL', `CIDR table ${table} is not complete`, {
        hint: 'fewer address conditions in the policies of this node, or a larger limit in bpf/abi.h',
      });
    }
  }

  /** True when the pod's table in the kernel is this one now. */
  #extend(podId: number, table: PolicyTable): boolean {
    const written = this.#written.get(podId);
    if (written === undefined) return false;
    if (written.table === table) return true;
    this.#requireRules(table);
    const { entries } = written.table;
    if (table.entries.length > written.room || !startsWith(table.entries, entries)) return false;
    write(written.map, table.entries.slice(entries.length));
    this.#written.set(podId, { ...written, table });
    return true;
  }

  #fill(table: PolicyTable): Written {
    const { length } = table.entries;
    const room = length + Math.max(MIN_SPARE, length >> 2);
    const map = this.#binding.createMap({
      type: BPF_MAP_TYPE_HASH,
      name: 'policy_table',
      keySize: PolicyKey.size,
      valueSize: PolicyVerdict.size,
      maxEntries: room,
      flags: BPF_F_NO_PREALLOC,
    });
    try {
      write(map, table.entries);
      return { table, map, room };
    } catch (error) {
      map.close();
      throw error;
    }
  }

  #forget(podId: number): void {
    this.#written.get(podId)?.map.close();
    this.#written.delete(podId);
  }

  delete(podId: number): void {
    this.#forget(podId);
    const key = u32.encode(podId);
    if (this.#policies.lookup(key)) this.#policies.delete(key);
  }

  putRules(table: number, rules: readonly CidrRule[]): void {
    this.#incomplete.add(table);
    this.#rules.setMany(
      rules.map((rule) => [
        keyOf(table, rule),
        { verdict: VERDICTS[rule.verdict], policy: rule.policy, cidrTable: 0 },
      ]),
    );
    this.#incomplete.delete(table);
  }

  deleteRules(table: number, rules: readonly CidrRule[]): void {
    this.#incomplete.delete(table);
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

function write(map: BpfMap, entries: readonly PolicyEntry[]): void {
  new TypedMap('policy_table', map, PolicyKey, PolicyVerdict).setMany(
    entries.map(({ identity, port, verdict, policy, cidrTable }) => [
      { identity, port },
      { verdict: VERDICTS[verdict], policy, cidrTable },
    ]),
  );
}

function startsWith(list: readonly PolicyEntry[], start: readonly PolicyEntry[]): boolean {
  return list.length >= start.length && start.every((entry, index) => entry === list[index]);
}

function keyOf(table: number, rule: CidrRule): CidrKey {
  const { addr, bits } = cidrFromText(formatPrefix(rule.prefix));
  return { prefixlen: TABLE_BITS + bits, table, addr };
}
