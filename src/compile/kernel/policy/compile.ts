/**
 * The policies of one pod → the table the kernel looks up at connect and at accept.
 *
 * The kernel asks (identity, port), then (identity, 0) for "any port that is not mentioned", then denies: a number it does
 * not know.  Identity 0 is a connection without one.  An entry whose answer depends on the source address points to a
 * table of prefixes instead.  Every answer is the evaluator's own, for one representative of all connections it stands for:
 * identities that no condition tells apart are evaluated once.
 *
 * What these tables cannot say, or only at a size the kernel has no room for, is not cut short: the verdict is "ask", and
 * the agent decides with the same evaluator before the application accepts.
 */
import type { Authorization, Match } from '../../../model/authorization.ts';
import { parseSpiffe } from '../../../model/identity.ts';
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
  principalOf,
  type Candidates,
  type Decision,
  type Subject,
} from './evaluate.ts';
import { identityClassifier } from './identity-classes.ts';
import { RuleIndex } from './rule-index.ts';
import {
  askTable,
  byIdentity,
  NO_IDENTITY,
  OTHER_PORT,
  POLICY_LIMITS,
  ruleKey,
  TOO_MANY_ENTRIES,
  type CidrRule,
  type PolicyEntry,
  type PolicyTable,
} from './policy-table.ts';

export interface PolicyInput {
  readonly policies: readonly Authorization[];
  /** the pod's own addresses */
  readonly addresses: readonly Ip[];
  /** every identity of the mesh with its number */
  readonly identities: Iterable<readonly [string, number]>;
  /** parseSpiffe, or one that remembers */
  readonly parse?: typeof parseSpiffe;
  /** by rule, see ruleKey() */
  readonly policyNumber: (key: string) => number;
  /** number of a CIDR table, by its content: equal tables are one, and a table never changes under its number */
  readonly cidrTableNumber: (content: string) => number;
}

const UNMENTIONED = -1;
const ANY_ADDRESS = ['0.0.0.0/0', '::/0'].map((text) => parsePrefix(text)!);

/** What the kernel can tell about a pod's policies; undefined when none is enforced: everything is allowed. */
export function compilePolicy(input: PolicyInput): PolicyTable | undefined {
  const policies = input.policies.filter((policy) => !policy.dryRun);
  if (policies.length === 0) return undefined;
  return new Compilation(policies, input).table();
}

type PolicyAnswer = Omit<PolicyEntry, 'identity'>;

class Compilation {
  readonly #input: PolicyInput;
  readonly #index: RuleIndex;
  readonly #classOf: (spiffe: string | undefined) => string;
  readonly #answers = new Map<string, readonly PolicyAnswer[]>();
  readonly #cidrTables = new Map<number, readonly CidrRule[]>();
  #work = 0;
  #userSpace: string | undefined;

  constructor(policies: readonly Authorization[], input: PolicyInput) {
    this.#input = input;
    this.#index = new RuleIndex(policies);
    const matches = policies.flatMap(({ rules }) => rules.flatMap(matchesOf));
    this.#classOf = identityClassifier(matches, input.parse ?? parseSpiffe);
  }

  table(): PolicyTable {
    const entries: PolicyEntry[] = [];
    const clients: Iterable<readonly [string | undefined, number]> = [
      [undefined, NO_IDENTITY],
      ...this.#input.identities,
    ];
    for (const [spiffe, identity] of clients) {
      for (const answer of this.#answersFor(spiffe)) entries.push(entryOf(identity, answer));
      if (this.#work > POLICY_LIMITS.work)
        return askTable('identities, ports and prefixes of the policies are too many to compile');
      if (entries.length > POLICY_LIMITS.entries) return askTable(TOO_MANY_ENTRIES);
    }
    return {
      entries: byIdentity(entries),
      cidrTables: this.#cidrTables,
      userSpace: this.#userSpace,
    };
  }

  #answersFor(spiffe: string | undefined): readonly PolicyAnswer[] {
    const key = this.#classOf(spiffe);
    let known = this.#answers.get(key);
    if (known === undefined) {
      known = this.#evaluate(principalOf(spiffe));
      this.#answers.set(key, known);
    }
    return known;
  }

  #evaluate(client: Pick<Subject, 'principal' | 'identity'>): PolicyAnswer[] {
    const candidates = this.#index.candidates(client);
    const rules = [...candidates.deny, ...candidates.allow];
    const matches = rules.flatMap(({ rule }) => matchesOf(rule));
    const prefixes = mentionedPrefixes(matches, this.#input.addresses);
    const ports = [...mentionedPorts(matches), OTHER_PORT];
    const compared = matches.reduce((sum, match) => sum + conditionsOn(match), rules.length + 1);
    this.#work += ports.length * prefixes.length * (compared + prefixes.length / 2);
    if (this.#work > POLICY_LIMITS.work) return []; /* table() gives up */
    if (prefixes.length > POLICY_LIMITS.prefixes) {
      return [this.#ask(`an answer depends on more than ${POLICY_LIMITS.prefixes} prefixes`)];
    }
    return compactPorts(
      ports.map((port) => {
        const asked = port === OTHER_PORT ? UNMENTIONED : port;
        return { ...this.#answer(prefixes, { candidates, client, port: asked }), port };
      }),
    );
  }

  #ask(reason: string): PolicyAnswer {
    this.#userSpace = reason;
    return { port: OTHER_PORT, verdict: 'ask', policy: 0, cidrTable: 0 };
  }

  /** One answer per prefix; a prefix that says what the next shorter one says is left out. */
  #answer(prefixes: readonly Prefix[], question: Question): Omit<PolicyAnswer, 'port'> {
    const rules: CidrRule[] = [];
    for (const prefix of prefixes) {
      const rule = this.#ruleFor(prefix, question);
      if (rule === undefined)
        return this.#ask('the pod has several addresses, and policies tell them apart');
      // Shorter prefixes come first, so the last one that holds this is the longest.
      const outer = rules.findLast((other) => prefixContains(other.prefix, prefix));
      if (outer?.verdict !== rule.verdict || outer.policy !== rule.policy) rules.push(rule);
    }
    const [first] = rules;
    if (first === undefined) return { verdict: 'deny', policy: 0, cidrTable: 0 };
    const { verdict, policy } = first;
    if (rules.every((rule) => rule.verdict === verdict && rule.policy === policy)) {
      return { verdict, policy, cidrTable: 0 };
    }
    const content = rules
      .map((rule) => `${formatPrefix(rule.prefix)}=${rule.verdict}:${rule.policy}`)
      .join(' ');
    const cidrTable = this.#input.cidrTableNumber(content);
    this.#cidrTables.set(cidrTable, rules);
    return { verdict: 'cidr', policy: 0, cidrTable };
  }

  /** undefined: the answer depends on which of the pod's addresses was dialled */
  #ruleFor(source: Prefix, { candidates, client, port }: Question): CidrRule | undefined {
    let decision: Decision | undefined;
    for (const address of this.#input.addresses) {
      // A connection has one family, so the source's says which of the pod's addresses was dialled.
      if (ipFamily(address) !== ipFamily(source.address)) continue;
      const destination = hostPrefix(address);
      const next = decide(candidates, { ...client, source, destination, port });
      if (decision !== undefined && decision.allowed !== next.allowed) return undefined;
      decision ??= next;
    }
    if (decision?.allowed === true) return { prefix: source, verdict: 'allow', policy: 0 };
    const { policy, rule } = decision ?? {};
    const named = policy !== undefined && rule !== undefined;
    const number = named ? this.#input.policyNumber(ruleKey(policy, rule)) : 0;
    return { prefix: source, verdict: 'deny', policy: number };
  }
}

interface Question {
  readonly candidates: Candidates;
  readonly client: Pick<Subject, 'principal' | 'identity'>;
  readonly port: number;
}

/** Field by field: there is one per identity of the mesh and pod of the node, and a spread costs ten times as much. */
function entryOf(
  identity: number,
  { port, verdict, policy, cidrTable }: PolicyAnswer,
): PolicyEntry {
  return { identity, port, verdict, policy, cidrTable };
}

/**
 * Ports that answer like "any other port" need no entry. That one is the last: entries of a new identity are added to a
 * table in use, and what is wider than the others must not be there before them.
 */
function compactPorts(answers: readonly PolicyAnswer[]): PolicyAnswer[] {
  const other = answers.at(-1);
  return answers.filter(
    (answer) =>
      answer === other ||
      answer.verdict !== other?.verdict ||
      answer.policy !== other.policy ||
      answer.cidrTable !== other.cidrTable,
  );
}

function matchesOf({ clauses }: Authorization['rules'][number]): readonly Match[] {
  return clauses.flatMap(({ matches }) => matches);
}

function conditionsOn(match: Match): number {
  const { sourceIps, notSourceIps, destinationPorts, notDestinationPorts } = match;
  return (
    sourceIps.length + notSourceIps.length + destinationPorts.length + notDestinationPorts.length
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
