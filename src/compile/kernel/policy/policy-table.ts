/**
 * The policy of one pod as the kernel looks it up, and how large that may be.
 */
import type { Prefix } from '../../../model/ip.ts';

export interface CidrRule {
  readonly prefix: Prefix;
  readonly verdict: 'allow' | 'deny';
  /** of a refusal: number of the rule that decided, 0: no ALLOW matched */
  readonly policy: number;
}

export interface PolicyEntry {
  readonly identity: number;
  readonly port: number;
  readonly verdict: 'allow' | 'deny' | 'cidr' | 'ask';
  readonly policy: number;
  /** verdict cidr: number of the table, else 0 */
  readonly cidrTable: number;
}

/** of a connection without one */
export const NO_IDENTITY = 0;
/** in a table: whoever has no entry of his own */
export const ANY_IDENTITY = 0xffffffff;

/** More is decided in user space. */
export const POLICY_LIMITS = {
  /** of one pod's table: 5 MiB of kernel memory */
  entries: 65_536,
  /** prefixes that one entry's answer depends on */
  prefixes: 1024,
  /** prefixes of all tables of a node; twice as many fit (MAX_CIDR_RULES): new ones are written beside the old */
  nodePrefixes: 131_072,
  /** comparisons while one table is compiled: about a second */
  work: 2_000_000,
} as const;

export interface PolicyTable {
  /** by identity: a table that only got new identities starts like the one before, entry for entry */
  readonly entries: readonly PolicyEntry[];
  /** the tables the entries point to, by number */
  readonly cidrTables: ReadonlyMap<number, readonly CidrRule[]>;
  /** why some or all connections are decided in user space; undefined: none is */
  readonly userSpace: string | undefined;
}

/** Entry of a table for all ports that no policy mentions; no connection has such a port, so no condition names it. */
export const OTHER_PORT = 0;

export const TOO_MANY_ENTRIES = `identities and ports need more than ${POLICY_LIMITS.entries} entries`;

/** Everything is decided in user space. */
export function askTable(reason: string): PolicyTable {
  const entry = { identity: ANY_IDENTITY, port: OTHER_PORT, policy: 0, cidrTable: 0 };
  return { entries: [{ ...entry, verdict: 'ask' }], cidrTables: new Map(), userSpace: reason };
}

export function isAskTable({ entries }: PolicyTable): boolean {
  return entries[0]?.identity === ANY_IDENTITY;
}

/** "#" is illegal in Kubernetes names. */
export function ruleKey(policy: string, rule: number): string {
  return `${policy}#${rule}`;
}

/** `rule` is undefined in keys of earlier versions, which numbered whole policies. */
export function parseRuleKey(key: string): {
  readonly policy: string;
  readonly rule: number | undefined;
} {
  const at = key.lastIndexOf('#');
  if (at < 0) return { policy: key, rule: undefined };
  return { policy: key.slice(0, at), rule: Number(key.slice(at + 1)) };
}

/** Sorts in place; stable, so an identity's ports keep their order. */
export function byIdentity(entries: PolicyEntry[]): PolicyEntry[] {
  return entries.sort((a, b) => a.identity - b.identity);
}
