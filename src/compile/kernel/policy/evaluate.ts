/**
 * The one evaluator of istio.security.Authorization: what the kernel's tables are compiled from and tested against.
 *
 * DENY policies first, then ALLOW; without an ALLOW policy everything else is allowed.  A policy without rules matches
 * nothing (an ALLOW one therefore allows nothing); a rule without clauses, and a clause without matches, matches
 * everything; a match without fields matches nothing.  Dry-run policies decide nothing, and an ALLOW that only runs dry
 * does not close the pod.
 */
import type {
  Authorization,
  Match,
  Rule,
  ServiceAccountMatch,
  StringMatch,
} from '../../../model/authorization.ts';
import { authorizationKey } from '../../../model/authorization.ts';
import { parseSpiffe, SPIFFE_SCHEME, type Identity } from '../../../model/identity.ts';
import { ipFamily, prefixContains, type Ip, type Prefix } from '../../../model/ip.ts';

export interface Connection {
  /** SPIFFE id; undefined: a connection without identity */
  readonly sourceIdentity: string | undefined;
  readonly sourceAddr: Ip;
  readonly destAddr: Ip;
  readonly destPort: number;
}

export interface Decision {
  readonly allowed: boolean;
  /** "namespace/name" of the policy that decided; undefined: the default did */
  readonly policy: string | undefined;
  /** index of the rule that matched */
  readonly rule: number | undefined;
}

/** As much of a connection as a compiled entry stands for: a source prefix, and a port or "any port not mentioned". */
export interface Subject {
  readonly principal: string;
  readonly identity: Identity | undefined;
  readonly source: Prefix;
  readonly destination: Prefix;
  /** -1: a port that no policy mentions */
  readonly port: number;
}

const ALLOWED: Decision = { allowed: true, policy: undefined, rule: undefined };

export function evaluate(policies: readonly Authorization[], connection: Connection): Decision {
  if (policies.length === 0) return ALLOWED;
  const enforced = policies.filter((policy) => !policy.dryRun);
  return decide(candidatesOf(enforced), subjectOf(connection));
}

/** A rule that may match, and where it stands. */
export interface Candidate {
  readonly rule: Rule;
  readonly policy: Authorization;
  /** of the policy's rules */
  readonly index: number;
}

/** The rules of a set of policies, in the order of the policies; perhaps without those that cannot match anyway. */
export interface Candidates {
  readonly deny: readonly Candidate[];
  readonly allow: readonly Candidate[];
  /** an ALLOW policy is among the policies, with or without rules */
  readonly closed: boolean;
}

export function candidatesOf(policies: readonly Authorization[]): Candidates {
  const of = (wanted: Authorization['action']): Candidate[] =>
    policies
      .filter(({ action }) => action === wanted)
      .flatMap((policy) => policy.rules.map((rule, index) => ({ rule, policy, index })));
  const closed = policies.some(({ action }) => action === 'ALLOW');
  return { deny: of('DENY'), allow: of('ALLOW'), closed };
}

export function decide({ deny, allow, closed }: Candidates, subject: Subject): Decision {
  const denied = deny.find(({ rule }) => matchesRule(rule, subject));
  if (denied !== undefined) return decisionBy(denied, false);
  if (!closed) return ALLOWED;
  const allowed = allow.find(({ rule }) => matchesRule(rule, subject));
  if (allowed !== undefined) return decisionBy(allowed, true);
  return { allowed: false, policy: undefined, rule: undefined };
}

function decisionBy({ policy, index }: Candidate, allowed: boolean): Decision {
  return { allowed, policy: authorizationKey(policy), rule: index };
}

export function subjectOf(connection: Connection): Subject {
  return {
    ...principalOf(connection.sourceIdentity),
    source: hostPrefix(connection.sourceAddr),
    destination: hostPrefix(connection.destAddr),
    port: connection.destPort,
  };
}

/** Principals are compared without the scheme; without an identity both parts are empty. */
export function principalOf(spiffe: string | undefined): Pick<Subject, 'principal' | 'identity'> {
  if (spiffe === undefined) return { principal: '', identity: undefined };
  const principal = spiffe.startsWith(SPIFFE_SCHEME) ? spiffe.slice(SPIFFE_SCHEME.length) : '';
  return { principal, identity: parseSpiffe(spiffe) };
}

export function hostPrefix(address: Ip): Prefix {
  return { address, length: ipFamily(address) === 4 ? 32 : 128 };
}

export function matchesString(match: StringMatch, text: string): boolean {
  switch (match.type) {
    case 'exact':
      return text === match.value;
    case 'prefix':
      return text.startsWith(match.value);
    case 'suffix':
      return text.endsWith(match.value);
    case 'presence':
      return text !== '';
  }
}

/** Without an identity no principal matches, not even an empty suffix. */
export function matchesPrincipal(match: StringMatch, principal: string): boolean {
  return principal !== '' && matchesString(match, principal);
}

export function matchesAccount(
  match: ServiceAccountMatch,
  identity: Identity | undefined,
): boolean {
  return (
    identity !== undefined &&
    identity.namespace === match.namespace &&
    identity.serviceAccount === match.serviceAccount
  );
}

function matchesRule(rule: Rule, subject: Subject): boolean {
  return rule.clauses.every(
    ({ matches }) => matches.length === 0 || matches.some((match) => matchesAll(match, subject)),
  );
}

function matchesAll(match: Match, subject: Subject): boolean {
  if (isEmpty(match)) return false;
  const { source, destination, port } = subject;
  return (
    field(match.destinationIps, match.notDestinationIps, (p) => prefixContains(p, destination)) &&
    field(match.sourceIps, match.notSourceIps, (p) => prefixContains(p, source)) &&
    field(match.destinationPorts, match.notDestinationPorts, (p) => p === port) &&
    matchesClient(match, subject)
  );
}

/** What the match says of the client's identity; true where it says nothing. */
export function matchesClient(
  match: Match,
  { principal, identity }: Pick<Subject, 'principal' | 'identity'>,
): boolean {
  const namespace = identity?.namespace ?? '';
  return (
    field(match.serviceAccounts, match.notServiceAccounts, (m) => matchesAccount(m, identity)) &&
    field(match.principals, match.notPrincipals, (m) => matchesPrincipal(m, principal)) &&
    field(match.namespaces, match.notNamespaces, (m) => matchesString(m, namespace))
  );
}

function field<T>(
  positive: readonly T[],
  negative: readonly T[],
  test: (value: T) => boolean,
): boolean {
  return (positive.length === 0 || positive.some(test)) && !negative.some(test);
}

export function isEmpty(match: Match): boolean {
  return Object.values(match).every((list) => (list as readonly unknown[]).length === 0);
}
