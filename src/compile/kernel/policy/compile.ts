/**
 * The policies of one pod → the table the kernel looks up at connect and at accept.
 *
 * The kernel asks (identity, port), then (identity, 0) for "any port that is not mentioned", then denies: a number it does
 * not know.  Identity 0 is a connection without one.  An entry whose answer depends on the source address points to a
 * table of prefixes instead.  Every answer is the evaluator's own, for one representative of all connections it stands for:
 * identities that no condition tells apart are evaluated once.
 */
import type { Authorization, Match } from '../../../model/authorization.ts';
import { parseSpiffe, SPIFFE_SCHEME } from '../../../model/identity.ts';
import {
  formatPrefix,
  ipFamily,
  parsePrefix,
  prefixContains,
  type Ip,
  type Prefix,
} from '../../../model/ip.ts';
import {
  decide,
  hostPrefix,
  matchesAccount,
  matchesPrincipal,
  matchesString,
  principalOf,
  type Decision,
} from './evaluate.ts';

export interface CidrRule {
  readonly prefix: Prefix;
  readonly verdict: 'allow' | 'deny';
  /** number of the policy that decided, 0: the default */
  readonly policy: number;
}

export interface PolicyEntry {
  readonly identity: number;
  readonly port: number;
  readonly verdict: 'allow' | 'deny' | 'cidr';
  readonly policy: number;
  /** verdict cidr: number of the table, else 0 */
  readonly cidrTable: number;
}

/** of a connection without one */
export const NO_IDENTITY = 0;

export interface PolicyTable {
  /** by identity: a table that only got new identities starts like the one before, entry for entry */
  readonly entries: readonly PolicyEntry[];
  /** the tables the entries point to, by number */
  readonly cidrTables: ReadonlyMap<number, readonly CidrRule[]>;
}

export interface PolicyInput {
  readonly policies: readonly Authorization[];
  /** the pod's own addresses */
  readonly addresses: readonly Ip[];
  /** every identity of the mesh with its number */
  readonly identities: Iterable<readonly [string, number]>;
  /** parseSpiffe, or one that remembers */
  readonly parse?: typeof parseSpiffe;
  readonly policyNumber: (key: string) => number;
  /** number of a CIDR table, by its content: equal tables are one, and a table never changes under its number */
  readonly cidrTableNumber: (content: string) => number;
}

/** Entry of a table for all ports that no policy mentions; no connection has such a port, so no condition names it. */
const OTHER_PORT = 0;
const UNMENTIONED = -1;
const ANY_ADDRESS = ['0.0.0.0/0', '::/0'].map((text) => parsePrefix(text)!);

/** What the kernel can tell about a pod's policies; undefined when none is enforced: everything is allowed. */
export function compilePolicy(input: PolicyInput): PolicyTable | undefined {
  const policies = input.policies.filter((policy) => !policy.dryRun);
  if (policies.length === 0) return undefined;
  const matches = policies.flatMap((policy) =>
    policy.rules.flatMap((rule) => rule.clauses.flatMap((clause) => clause.matches)),
  );
  const prefixes = mentionedPrefixes(matches, input.addresses);
  const ports = mentionedPorts(matches);
  const classOf = identityClassifier(matches, input.parse ?? parseSpiffe);

  const cidrTables = new Map<number, readonly CidrRule[]>();
  const answers = new Map<string, readonly PolicyAnswer[]>();
  const answersFor = (spiffe: string | undefined): readonly PolicyAnswer[] => {
    const key = classOf(spiffe);
    let known = answers.get(key);
    if (known === undefined) {
      known = compactPorts(
        [OTHER_PORT, ...ports].map((port) => {
          const asked = port === OTHER_PORT ? UNMENTIONED : port;
          const rules = rulesFor(policies, spiffe, asked, prefixes, input);
          return { port, ...answerOf(rules, input, cidrTables) };
        }),
      );
      answers.set(key, known);
    }
    return known;
  };

  const entries: PolicyEntry[] = [];
  for (const answer of answersFor(undefined)) entries.push(entryOf(NO_IDENTITY, answer));
  for (const [spiffe, identity] of input.identities) {
    for (const answer of answersFor(spiffe)) entries.push(entryOf(identity, answer));
  }
  return { entries: byIdentity(entries), cidrTables };
}

/** Sorts in place; stable, so an identity's ports keep their order. */
export function byIdentity(entries: PolicyEntry[]): PolicyEntry[] {
  return entries.sort((a, b) => a.identity - b.identity);
}

type PolicyAnswer = Omit<PolicyEntry, 'identity'>;

/** Field by field: there is one per identity of the mesh and pod of the node, and a spread costs ten times as much. */
function entryOf(
  identity: number,
  { port, verdict, policy, cidrTable }: PolicyAnswer,
): PolicyEntry {
  return { identity, port, verdict, policy, cidrTable };
}

/** One answer per prefix; a prefix that says what the next shorter one says is left out. */
function rulesFor(
  policies: readonly Authorization[],
  spiffe: string | undefined,
  port: number,
  prefixes: readonly Prefix[],
  input: PolicyInput,
): CidrRule[] {
  const rules: CidrRule[] = [];
  for (const prefix of prefixes) {
    const rule = ruleFor(policies, spiffe, port, prefix, input);
    // Shorter prefixes come first, so the last one that holds this is the longest.
    const outer = rules.findLast((other) => prefixContains(other.prefix, prefix));
    if (outer?.verdict !== rule.verdict || outer.policy !== rule.policy) rules.push(rule);
  }
  return rules;
}

function ruleFor(
  policies: readonly Authorization[],
  spiffe: string | undefined,
  port: number,
  source: Prefix,
  input: PolicyInput,
): CidrRule {
  let decision: Decision | undefined;
  for (const address of input.addresses) {
    // A connection has one family, so the source's says which of the pod's addresses was dialled.
    if (ipFamily(address) !== ipFamily(source.address)) continue;
    const destination = hostPrefix(address);
    decision = decide(policies, { ...principalOf(spiffe), source, destination, port });
    if (!decision.allowed) break;
  }
  const policy = decision?.policy === undefined ? 0 : input.policyNumber(decision.policy);
  return { prefix: source, verdict: decision?.allowed === true ? 'allow' : 'deny', policy };
}

function answerOf(
  rules: readonly CidrRule[],
  input: PolicyInput,
  cidrTables: Map<number, readonly CidrRule[]>,
): Omit<PolicyAnswer, 'port'> {
  const [first] = rules;
  if (first === undefined) return { verdict: 'deny', policy: 0, cidrTable: 0 };
  const { verdict, policy } = first;
  if (rules.every((rule) => rule.verdict === verdict && rule.policy === policy)) {
    return { verdict, policy, cidrTable: 0 };
  }
  const content = rules
    .map((rule) => `${formatPrefix(rule.prefix)}=${rule.verdict}:${rule.policy}`)
    .join(' ');
  const cidrTable = input.cidrTableNumber(content);
  cidrTables.set(cidrTable, rules);
  return { verdict: 'cidr', policy: 0, cidrTable };
}

/** Ports that answer like "any other port" need no entry. */
function compactPorts(answers: readonly PolicyAnswer[]): PolicyAnswer[] {
  const [other] = answers;
  return answers.filter(
    (answer) =>
      answer === other ||
      answer.verdict !== other?.verdict ||
      answer.policy !== other.policy ||
      answer.cidrTable !== other.cidrTable,
  );
}

/** All source prefixes of the pod's families, shortest first. */
function mentionedPrefixes(matches: readonly Match[], addresses: readonly Ip[]): Prefix[] {
  const families = new Set(addresses.map(ipFamily));
  const prefixes = new Map<string, Prefix>();
  for (const prefix of [
    ...ANY_ADDRESS,
    ...matches.flatMap((match) => [...match.sourceIps, ...match.notSourceIps]),
  ]) {
    if (families.has(ipFamily(prefix.address))) prefixes.set(formatPrefix(prefix), prefix);
  }
  return [...prefixes.values()].sort(
    (a, b) => a.length - b.length || (a.address < b.address ? -1 : 1),
  );
}

function mentionedPorts(matches: readonly Match[]): number[] {
  const ports = matches.flatMap((match) => [
    ...match.destinationPorts,
    ...match.notDestinationPorts,
  ]);
  return [...new Set(ports)].filter((port) => port !== OTHER_PORT).sort((a, b) => a - b);
}

/** Identities for which every condition gives the same answer get the same text. */
function identityClassifier(
  matches: readonly Match[],
  parse: typeof parseSpiffe,
): (spiffe: string | undefined) => string {
  const principals = matches.flatMap((match) => [...match.principals, ...match.notPrincipals]);
  const namespaces = matches.flatMap((match) => [...match.namespaces, ...match.notNamespaces]);
  const accounts = matches.flatMap((match) => [
    ...match.serviceAccounts,
    ...match.notServiceAccounts,
  ]);
  const parsed = namespaces.length + accounts.length > 0;
  return (spiffe) => {
    const identity = spiffe === undefined || !parsed ? undefined : parse(spiffe);
    const namespace = identity?.namespace ?? '';
    let bits = '';
    if (principals.length > 0) {
      const principal = spiffe?.slice(SPIFFE_SCHEME.length) ?? '';
      for (const match of principals) bits += matchesPrincipal(match, principal) ? '1' : '0';
    }
    for (const match of namespaces) bits += matchesString(match, namespace) ? '1' : '0';
    for (const match of accounts) bits += matchesAccount(match, identity) ? '1' : '0';
    return bits;
  };
}
