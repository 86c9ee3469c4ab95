/**
 * Rules of policies as one line of text each, for people.
 */
import type { Authorization, Match, Rule, StringMatch } from './authorization.ts';
import type { Permission, Principal, RbacPolicy } from './http-filter.ts';
import { formatPrefix, type Prefix } from './ip.ts';
import type { HeaderMatcher, StringMatcher } from './matcher.ts';

/** "namespace a or b, port 80"; "anything" where a rule asks for nothing */
export function ruleTexts({ rules }: Pick<Authorization, 'rules'>): string[] {
  return rules.map(ruleText);
}

function ruleText({ clauses }: Rule): string {
  const texts = clauses.map(({ matches }) =>
    matches.length === 0 ? 'nothing' : matches.map(matchText).join(' or '),
  );
  return texts.length === 0 ? 'anything' : texts.join(', ');
}

/** All conditions of one match hold together; a list is fulfilled by any of its values. */
function matchText(match: Match): string {
  const accounts = (list: Match['serviceAccounts']): string[] =>
    list.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`);
  const parts = [
    ...condition(
      'namespace',
      match.namespaces.map(stringText),
      match.notNamespaces.map(stringText),
    ),
    ...condition('account', accounts(match.serviceAccounts), accounts(match.notServiceAccounts)),
    ...condition(
      'principal',
      match.principals.map(stringText),
      match.notPrincipals.map(stringText),
    ),
    ...condition('source', prefixTexts(match.sourceIps), prefixTexts(match.notSourceIps)),
    ...condition('to', prefixTexts(match.destinationIps), prefixTexts(match.notDestinationIps)),
    ...condition('port', match.destinationPorts.map(String), match.notDestinationPorts.map(String)),
  ];
  return parts.length === 0 ? 'anything' : parts.join(' and ');
}

function condition(name: string, values: readonly string[], not: readonly string[]): string[] {
  return [
    ...(values.length === 0 ? [] : [`${name} ${values.join('|')}`]),
    ...(not.length === 0 ? [] : [`not ${name} ${not.join('|')}`]),
  ];
}

function stringText(match: StringMatch): string {
  switch (match.type) {
    case 'presence':
      return '*';
    case 'prefix':
      return `${match.value}*`;
    case 'suffix':
      return `*${match.value}`;
    case 'exact':
      return match.value;
  }
}

function prefixTexts(prefixes: readonly Prefix[]): string[] {
  return prefixes.map(formatPrefix);
}

/** Of a policy that is enforced in user space. */
export function rbacText({ permissions, principals }: RbacPolicy): string {
  const from = principals.map(principalText).join(' or ');
  const to = permissions.map(permissionText).join(' or ');
  return `from ${from}; to ${to}`;
}

function principalText(principal: Principal): string {
  switch (principal.type) {
    case 'any':
      return 'anyone';
    case 'and':
    case 'or':
      return joined(principal.type, principal.of.map(principalText));
    case 'not':
      return `not ${principalText(principal.of)}`;
    case 'authenticated':
      return principal.name === undefined ? 'any identity' : matcherText(principal.name);
    case 'direct-ip':
    case 'remote-ip':
      return formatPrefix(principal.prefix);
    case 'header':
      return headerText(principal.header);
    case 'claim':
      return `claim ${principal.path.join('.')} ${valueText(principal.match)}`;
  }
}

function permissionText(permission: Permission): string {
  switch (permission.type) {
    case 'any':
      return 'anything';
    case 'and':
    case 'or':
      return joined(permission.type, permission.of.map(permissionText));
    case 'not':
      return `not ${permissionText(permission.of)}`;
    case 'header':
      return headerText(permission.header);
    case 'path':
      return `path ${permission.path.type === 'template' ? permission.path.value : matcherText(permission.path)}`;
    case 'destination-ip':
      return formatPrefix(permission.prefix);
    case 'destination-port':
      return `port ${permission.port}`;
    case 'sni':
      return `server name ${matcherText(permission.name)}`;
  }
}

function joined(word: 'and' | 'or', texts: readonly string[]): string {
  return texts.length === 1 ? texts[0]! : `(${texts.join(` ${word} `)})`;
}

function headerText({ name, match, invert }: HeaderMatcher): string {
  const value = match.type === 'range' ? `${match.start}-${match.end - 1}` : valueText(match);
  return `${invert ? 'not ' : ''}${name} ${value}`;
}

function valueText(match: StringMatcher | { readonly type: 'present' }): string {
  return match.type === 'present' ? 'present' : matcherText(match);
}

export function matcherText({ type, value }: StringMatcher): string {
  switch (type) {
    case 'exact':
      return value;
    case 'prefix':
      return `${value}*`;
    case 'suffix':
      return `*${value}`;
    case 'contains':
      return `*${value}*`;
    case 'regex':
      return `~${value}`;
  }
}
