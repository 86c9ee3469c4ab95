/**
 * The policies of one pod, arranged by who they speak about: thousands of rules that name a few principals each cost one
 * look-up per connection. It only leaves out rules that cannot match; what remains is decided by the one evaluator.
 */
import type { Authorization, Match, Rule } from '../../../model/authorization.ts';
import {
  candidatesOf,
  decide,
  isEmpty,
  matchesClient,
  subjectOf,
  type Candidate,
  type Candidates,
  type Connection,
  type Decision,
  type Subject,
} from './evaluate.ts';

type Client = Pick<Subject, 'principal' | 'identity'>;

interface Placed {
  readonly candidate: Candidate;
  readonly order: number;
}

/** The rules of one action. */
class RuleList {
  /** those for exactly these principals, and nobody else */
  readonly #byPrincipal = new Map<string, Placed[]>();
  readonly #others: Placed[] = [];

  constructor(candidates: readonly Candidate[]) {
    candidates.forEach((candidate, order) => {
      const placed = { candidate, order };
      const principals = onlyPrincipals(candidate.rule);
      if (principals === undefined) this.#others.push(placed);
      for (const principal of principals ?? []) {
        const list = this.#byPrincipal.get(principal);
        if (list) list.push(placed);
        else this.#byPrincipal.set(principal, [placed]);
      }
    });
  }

  /** In the order of the policies. */
  for(client: Client): Candidate[] {
    const own = this.#byPrincipal.get(client.principal) ?? [];
    return [...own, ...this.#others]
      .filter(({ candidate }) => mayMatch(candidate.rule, client))
      .sort((a, b) => a.order - b.order)
      .map(({ candidate }) => candidate);
  }
}

export class RuleIndex {
  readonly #deny: RuleList;
  readonly #allow: RuleList;
  readonly #closed: boolean;

  /** `policies`: those in force; dry-run ones are left out unless `withDryRun` */
  constructor(policies: readonly Authorization[], { withDryRun = false } = {}) {
    const { deny, allow, closed } = candidatesOf(
      policies.filter(({ dryRun }) => withDryRun || !dryRun),
    );
    this.#deny = new RuleList(deny);
    this.#allow = new RuleList(allow);
    this.#closed = closed;
  }

  candidates(client: Client): Candidates {
    return {
      deny: this.#deny.for(client),
      allow: this.#allow.for(client),
      closed: this.#closed,
    };
  }

  /** The same as evaluate() says. */
  evaluate(connection: Connection): Decision {
    const subject = subjectOf(connection);
    return decide(this.candidates(subject), subject);
  }
}

/** Whether the rule may match a connection of this client, whatever its addresses and port. */
function mayMatch(rule: Rule, client: Client): boolean {
  return rule.clauses.every(
    ({ matches }) =>
      matches.length === 0 ||
      matches.some((match) => !isEmpty(match) && matchesClient(match, client)),
  );
}

/** The principals without which one of the clauses cannot match; undefined: no clause is about exact principals alone. */
function onlyPrincipals(rule: Rule): Set<string> | undefined {
  for (const { matches } of rule.clauses) {
    if (matches.length > 0 && matches.every(isExact))
      return new Set(matches.flatMap(({ principals }) => principals.map(valueOf)));
  }
  return undefined;
}

function isExact({ principals }: Match): boolean {
  return principals.length > 0 && principals.every(({ type }) => type === 'exact');
}

function valueOf(principal: Match['principals'][number]): string {
  return principal.type === 'presence' ? '' : principal.value;
}
