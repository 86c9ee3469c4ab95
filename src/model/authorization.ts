/**
 * istio.security.Authorization, decoded.
 *
 * Rules are OR, the clauses of a rule AND, the matches of a clause OR, the fields of a match AND, the values of a field
 * OR; not* fields must have no match.  compile/kernel/policy/evaluate.ts holds the exact semantics.
 */
import type { Prefix } from './ip.ts';

export type AuthorizationScope = 'GLOBAL' | 'NAMESPACE' | 'WORKLOAD_SELECTOR';
export type AuthorizationAction = 'ALLOW' | 'DENY';

export type StringMatch =
  | { readonly type: 'exact' | 'prefix' | 'suffix'; readonly value: string }
  | { readonly type: 'presence' };

export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly serviceAccount: string;
}

export interface Match {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
  /** compared without "spiffe://" */
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly sourceIps: readonly Prefix[];
  readonly notSourceIps: readonly Prefix[];
  readonly destinationIps: readonly Prefix[];
  readonly notDestinationIps: readonly Prefix[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
}

export interface Clause {
  readonly matches: readonly Match[];
}

export interface Rule {
  readonly clauses: readonly Clause[];
}

export interface Authorization {
  readonly name: string;
  readonly namespace: string;
  readonly scope: AuthorizationScope;
  readonly action: AuthorizationAction;
  readonly rules: readonly Rule[];
  readonly dryRun: boolean;
}

export const EMPTY_MATCH: Match = Object.freeze({
  namespaces: [],
  notNamespaces: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  principals: [],
  notPrincipals: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
});

/** primary key: "namespace/name" */
export function authorizationKey(policy: Pick<Authorization, 'namespace' | 'name'>): string {
  return `${policy.namespace}/${policy.name}`;
}

/** What stands in for a policy that cannot be enforced as written: nothing gets through. */
export function denyAll(namespace: string, name: string, scope: AuthorizationScope): Authorization {
  return { name, namespace, scope, action: 'DENY', rules: [{ clauses: [] }], dryRun: false };
}
