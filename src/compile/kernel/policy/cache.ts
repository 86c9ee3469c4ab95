/**
 * Compiled policy tables of the last plan.
 *
 * Most pods of a node share their policies and most changes touch none: a table is compiled again only when one of its
 * policies or (where policies ask for it) the pod's addresses differ.  New identities are added to the table that is there.
 */
import { denyAll, type Authorization } from '../../../model/authorization.ts';
import { equal } from '../../../model/equal.ts';
import { parseSpiffe, type Identity } from '../../../model/identity.ts';
import { ipFamily } from '../../../model/ip.ts';
import type { Snapshot } from '../../../model/snapshot.ts';
import type { Workload } from '../../../model/workload.ts';
import type { NumberTable } from '../number-table.ts';
import type { Allocators } from '../numbers.ts';
import { compilePolicy } from './compile.ts';
import {
  askTable,
  byIdentity,
  isAskTable,
  NO_IDENTITY,
  POLICY_LIMITS,
  TOO_MANY_ENTRIES,
  type PolicyTable,
} from './policy-table.ts';

type Identities = readonly (readonly [string, number])[];

interface CachedTable {
  readonly policies: readonly Authorization[];
  readonly identities: NumberTable;
  readonly table: PolicyTable | undefined;
}

/** "_" is illegal in Kubernetes names. */
const MISSING_PREFIX = 'podwire_missing_';

/** More are dropped at the next walk over all pods: those of pods and addresses that are gone. */
const LARGE = 4096;

export class PolicyCache {
  readonly #previous: ReadonlyMap<string, CachedTable>;
  readonly #used = new Map<string, CachedTable>();
  /** of the last comparison: what came between these two */
  #growth: { from: NumberTable; to: NumberTable; added: Identities | undefined } | undefined;

  #list: { readonly of: NumberTable; readonly identities: Identities } | undefined;
  readonly #parsed = new Map<string, Identity | undefined>();

  constructor(previous: ReadonlyMap<string, CachedTable> = new Map()) {
    this.#previous = previous;
  }

  /** The cache of a plan that asks for the tables of all pods: it keeps what this one gave out. */
  next(): PolicyCache {
    return new PolicyCache(this.#used);
  }

  get isLarge(): boolean {
    return this.#used.size > LARGE;
  }

  table(
    snapshot: Snapshot,
    workload: Workload,
    identities: NumberTable,
    numbers: Allocators,
  ): PolicyTable | undefined {
    const names = policyNames(snapshot, workload);
    if (names.length === 0) return undefined;
    const policies = policiesOf(snapshot, workload);
    const key = `${names.join(' ')} ${addressKey(policies, workload)}`;
    const known = this.#used.get(key) ?? this.#previous.get(key);
    if (known !== undefined && known.identities === identities && same(known.policies, policies)) {
      this.#used.set(key, known);
      return known.table;
    }
    const added =
      known && same(known.policies, policies)
        ? this.#addedSince(known.identities, identities)
        : undefined;
    const compiled = compilePolicy({
      policies,
      addresses: workload.addresses,
      identities: added ?? this.#all(identities),
      parse: (spiffe) => this.#parse(spiffe),
      policyNumber: (name) => numbers.policies.number(name),
      cidrTableNumber: (content) => numbers.cidrTables.number(content),
    });
    const table = added && known?.table && compiled ? extend(known.table, compiled) : compiled;
    this.#used.set(key, { policies, identities, table });
    return table;
  }

  /** One list for the tables of all pods. */
  #all(table: NumberTable): Identities {
    if (this.#list?.of !== table) {
      const identities = [...table.byKey].sort(([, a], [, b]) => a - b);
      this.#list = { of: table, identities };
    }
    return this.#list.identities;
  }

  #parse(spiffe: string): Identity | undefined {
    if (!this.#parsed.has(spiffe)) this.#parsed.set(spiffe, parseSpiffe(spiffe));
    return this.#parsed.get(spiffe);
  }

  /** Of the walk that has just ended. */
  release(): void {
    this.#list = undefined;
    this.#growth = undefined;
    this.#parsed.clear();
  }

  /** undefined: not only additions */
  #addedSince(from: NumberTable, to: NumberTable): Identities | undefined {
    if (this.#growth?.from !== from || this.#growth.to !== to) {
      const changed = to.byKey.changedSince(from.byKey);
      const grown = changed.every((spiffe) => to.byKey.has(spiffe) && !from.byKey.has(spiffe));
      const added = grown
        ? changed.map((spiffe) => [spiffe, to.byKey.get(spiffe)!] as const)
        : undefined;
      this.#growth = { from, to, added };
    }
    return this.#growth.added;
  }
}

/** Of the pod's namespace, of the mesh, and those that select it; sorted. */
export function policyNames(snapshot: Snapshot, workload: Workload): string[] {
  return [
    ...new Set([
      ...(snapshot.scopedPolicies.get('') ?? []),
      ...(snapshot.scopedPolicies.get(workload.namespace) ?? []),
      ...workload.authorizationPolicies,
    ]),
  ].sort();
}

/** The policies themselves, in the same order. */
export function policiesOf(snapshot: Snapshot, workload: Workload): Authorization[] {
  return policyNames(snapshot, workload).map(
    (name) => snapshot.authorizations.get(name) ?? missing(name),
  );
}

/** A policy that was named and has not come closes the pod: it may be the one that denies. */
function missing(key: string): Authorization {
  const slash = key.indexOf('/');
  const name = MISSING_PREFIX + key.slice(slash + 1);
  return denyAll(key.slice(0, Math.max(0, slash)), name, 'WORKLOAD_SELECTOR');
}

/** The families always matter, the addresses only to conditions on the destination. */
function addressKey(policies: readonly Authorization[], workload: Workload): string {
  const asked = policies.some(({ rules }) =>
    rules.some(({ clauses }) =>
      clauses.some(({ matches }) =>
        matches.some((m) => m.destinationIps.length + m.notDestinationIps.length > 0),
      ),
    ),
  );
  return workload.addresses.map((ip) => (asked ? ip : ipFamily(ip))).join(',');
}

/** `more` was compiled of the same policies for other identities. */
function extend(table: PolicyTable, more: PolicyTable): PolicyTable {
  if (isAskTable(table) || isAskTable(more)) return isAskTable(table) ? table : more;
  const fresh = more.entries.filter(({ identity }) => identity !== NO_IDENTITY);
  if (table.entries.length + fresh.length > POLICY_LIMITS.entries)
    return askTable(TOO_MANY_ENTRIES);
  return {
    entries: byIdentity([...table.entries, ...fresh]),
    cidrTables: new Map([...table.cidrTables, ...more.cidrTables]),
    userSpace: table.userSpace ?? more.userSpace,
  };
}

function same(a: readonly Authorization[], b: readonly Authorization[]): boolean {
  return a.length === b.length && a.every((policy, index) => equal(policy, b[index]));
}
