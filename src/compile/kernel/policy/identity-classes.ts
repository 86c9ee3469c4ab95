/**
 * Identities that no condition of a pod's policies tells apart: they are evaluated once. Exact principals, of which there
 * may be thousands, cost one look-up per identity.
 */
import type { Match, StringMatch } from '../../../model/authorization.ts';
import { SPIFFE_SCHEME, type parseSpiffe } from '../../../model/identity.ts';
import { matchesAccount, matchesPrincipal, matchesString } from './evaluate.ts';

/** Gives identities for which every condition gives the same answer the same text. */
export function identityClassifier(
  matches: readonly Match[],
  parse: typeof parseSpiffe,
): (spiffe: string | undefined) => string {
  const principals = distinct(
    matches.flatMap((match) => [...match.principals, ...match.notPrincipals]),
  );
  const namespaces = distinct(
    matches.flatMap((match) => [...match.namespaces, ...match.notNamespaces]),
  );
  const accounts = [
    ...new Map(
      matches
        .flatMap((match) => [...match.serviceAccounts, ...match.notServiceAccounts])
        .map((account) => [`${account.namespace}/${account.serviceAccount}`, account]),
    ).values(),
  ];
  const exact = new Set(principals.flatMap((match) => (match.type === 'exact' ? match.value : [])));
  const patterns = principals.filter(({ type }) => type !== 'exact');
  const parsed = namespaces.length + accounts.length > 0;
  return (spiffe) => {
    const identity = spiffe === undefined || !parsed ? undefined : parse(spiffe);
    const namespace = identity?.namespace ?? '';
    const principal = spiffe?.startsWith(SPIFFE_SCHEME) ? spiffe.slice(SPIFFE_SCHEME.length) : '';
    let bits = '';
    for (const match of patterns) bits += matchesPrincipal(match, principal) ? '1' : '0';
    for (const match of namespaces) bits += matchesString(match, namespace) ? '1' : '0';
    for (const match of accounts) bits += matchesAccount(match, identity) ? '1' : '0';
    return principal !== '' && exact.has(principal) ? `${bits} ${principal}` : bits;
  };
}

function distinct(matches: readonly StringMatch[]): StringMatch[] {
  const key = (match: StringMatch): string =>
    match.type === 'presence' ? match.type : `${match.type} ${match.value}`;
  return [...new Map(matches.map((match) => [key(match), match])).values()];
}
