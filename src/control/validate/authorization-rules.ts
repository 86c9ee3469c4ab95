/**
 * spec.rules of an AuthorizationPolicy → rules of clauses of matches, in istiod's shape: one clause for `to`, one for
 * `from`, one for every `when`.
 */
import {
  EMPTY_MATCH,
  type Authorization,
  type Clause,
  type Match,
  type Rule,
  type ServiceAccountMatch,
  type StringMatch,
} from '../../model/authorization.ts';
import { parsePrefix, type Prefix } from '../../model/ip.ts';
import { describe, isPort, type Fields } from './fields.ts';

export interface RuleReading {
  readonly rules: readonly Rule[];
  /** names of the HTTP conditions that were met */
  readonly httpFields: readonly string[];
}

const L4_SOURCES = [
  'principals',
  'notPrincipals',
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'ipBlocks',
  'notIpBlocks',
];
const HTTP_SOURCES = [
  'requestPrincipals',
  'notRequestPrincipals',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
  'trustDomains',
  'notTrustDomains',
];
const L4_OPERATIONS = ['ports', 'notPorts'];
const HTTP_OPERATIONS = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'];
/** Condition keys of Istio that need HTTP or TLS to be read. */
const HTTP_CONDITION =
  /^(request\.(headers\[.+\]|auth\.(principal|audiences|presenter|claims\[.+\]))|remote\.ip|source\.trustDomain|connection\.sni)$/;

/** One match, and the HTTP conditions that stood beside it. */
interface MatchReading {
  readonly match: Match;
  readonly http: readonly string[];
}

export function readRules(
  spec: Fields,
  action: Authorization['action'],
  namespace: string,
): RuleReading {
  const rules: Rule[] = [];
  const httpFields: string[] = [];
  for (const fields of spec.mappings('rules')) {
    fields.only(['from', 'to', 'when']);
    const groups = [
      fields.mappings('to').map((to) => readOperation(to)),
      fields.mappings('from').map((from) => readSource(from, namespace)),
      ...fields.mappings('when').map((when) => [readCondition(when)]),
    ].filter((group) => group.length > 0);
    const http = groups.flat().flatMap((reading) => reading.http);
    httpFields.push(...http);
    if (http.length > 0 && action === 'ALLOW') continue;
    rules.push({ clauses: groups.map(toClause).filter((clause) => clause !== undefined) });
  }
  return { rules, httpFields };
}

/**
 * Matches are OR.  One that asked only for HTTP conditions has none left, that is, it now matches everything, and with it
 * the clause (istiod sends the empty match, which never matches: its DENY then denies nothing).
 */
function toClause(group: readonly MatchReading[]): Clause | undefined {
  if (group.some(({ match, http }) => http.length > 0 && isEmptyMatch(match))) return undefined;
  return { matches: group.map(({ match }) => match) };
}

function isEmptyMatch(match: Match): boolean {
  return Object.values(match).every((list) => (list as readonly unknown[]).length === 0);
}

function readSource(from: Fields, namespace: string): MatchReading {
  from.only(['source']);
  const source = from.mapping('source');
  source.only([...L4_SOURCES, ...HTTP_SOURCES]);
  const match: Match = {
    ...EMPTY_MATCH,
    principals: readPrincipals(source, 'principals'),
    notPrincipals: readPrincipals(source, 'notPrincipals'),
    namespaces: readStrings(source, 'namespaces'),
    notNamespaces: readStrings(source, 'notNamespaces'),
    serviceAccounts: readAccounts(source, 'serviceAccounts', namespace),
    notServiceAccounts: readAccounts(source, 'notServiceAccounts', namespace),
    sourceIps: readPrefixes(source, 'ipBlocks'),
    notSourceIps: readPrefixes(source, 'notIpBlocks'),
  };
  requireOne(from, 'source', source);
  const accounts = match.serviceAccounts.length + match.notServiceAccounts.length > 0;
  const names = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'];
  if (accounts && names.some((name) => source.has(name))) {
    const fix = 'use two sources';
    source.invalid('serviceAccounts', 'excludes principals and namespaces', fix);
  }
  return { match, http: present(source, HTTP_SOURCES) };
}

function readOperation(to: Fields): MatchReading {
  to.only(['operation']);
  const operation = to.mapping('operation');
  operation.only([...L4_OPERATIONS, ...HTTP_OPERATIONS]);
  const match: Match = {
    ...EMPTY_MATCH,
    destinationPorts: readPorts(operation, 'ports'),
    notDestinationPorts: readPorts(operation, 'notPorts'),
  };
  requireOne(to, 'operation', operation);
  return { match, http: present(operation, HTTP_OPERATIONS) };
}

function readCondition(when: Fields): MatchReading {
  when.only(['key', 'values', 'notValues']);
  const key = when.required('key') ?? '';
  switch (key) {
    case 'source.ip':
      return condition(when, {
        sourceIps: readPrefixes(when, 'values'),
        notSourceIps: readPrefixes(when, 'notValues'),
      });
    case 'source.namespace':
      return condition(when, {
        namespaces: readStrings(when, 'values'),
        notNamespaces: readStrings(when, 'notValues'),
      });
    case 'source.principal':
      return condition(when, {
        principals: readPrincipals(when, 'values'),
        notPrincipals: readPrincipals(when, 'notValues'),
      });
    case 'destination.ip':
      return condition(when, {
        destinationIps: readPrefixes(when, 'values'),
        notDestinationIps: readPrefixes(when, 'notValues'),
      });
    case 'destination.port':
      return condition(when, {
        destinationPorts: readPorts(when, 'values'),
        notDestinationPorts: readPorts(when, 'notValues'),
      });
    default:
      if (HTTP_CONDITION.test(key)) return { match: EMPTY_MATCH, http: [key] };
      when.invalid(
        'key',
        `${describe(key)} is no known condition`,
        'use source.ip, source.namespace, source.principal, destination.ip or destination.port',
      );
      return { match: EMPTY_MATCH, http: [] };
  }
}

function condition(when: Fields, fields: Partial<Match>): MatchReading {
  requireOne(when, 'values', when, ['values', 'notValues']);
  return { match: { ...EMPTY_MATCH, ...fields }, http: [] };
}

/** An empty condition matches nothing, which is never what a DENY with it meant. */
function requireOne(owner: Fields, key: string, body: Fields, names = body.keys()): void {
  const set = (value: unknown): boolean =>
    value !== undefined && !(Array.isArray(value) && value.length === 0);
  if (names.some((name) => set(body.raw(name)))) return;
  owner.invalid(key, 'sets no condition', 'set one, or remove the entry to match everything');
}

function present(fields: Fields, keys: readonly string[]): string[] {
  return keys.filter((key) => fields.strings(key).length > 0);
}

function readPrincipals(fields: Fields, key: string): StringMatch[] {
  fields.strings(key).forEach((text, index) => {
    if (text.startsWith('spiffe:')) {
      const fix = 'write it without spiffe://: cluster.local/ns/NAMESPACE/sa/ACCOUNT';
      fields.invalid(`${key}[${index}]`, `${describe(text)} never matches`, fix);
    }
  });
  return readStrings(fields, key);
}

/** "*" = any that is there, "*x" = suffix, "x*" = prefix */
function readStrings(fields: Fields, key: string): StringMatch[] {
  return fields.strings(key).map((text, index) => {
    if (text === '*') return { type: 'presence' };
    const stars = text.split('*').length - 1;
    if (stars === 0) return { type: 'exact', value: text };
    if (stars === 1 && text.startsWith('*')) return { type: 'suffix', value: text.slice(1) };
    if (stars === 1 && text.endsWith('*')) return { type: 'prefix', value: text.slice(0, -1) };
    const fix = 'put one "*" at the start or at the end';
    fields.invalid(`${key}[${index}]`, `${describe(text)} has a "*" in the middle`, fix);
    return { type: 'exact', value: text };
  });
}

function readAccounts(fields: Fields, key: string, namespace: string): ServiceAccountMatch[] {
  return fields.strings(key).map((text, index) => {
    const parts = text.split('/');
    const [left = '', right] = parts;
    if (parts.length > 2 || left === '' || right === '' || text.includes('*')) {
      const fix = 'use ACCOUNT or NAMESPACE/ACCOUNT, without "*"';
      fields.invalid(`${key}[${index}]`, `${describe(text)} is no service account`, fix);
    }
    return right === undefined
      ? { namespace, serviceAccount: left }
      : { namespace: left, serviceAccount: right };
  });
}

function readPrefixes(fields: Fields, key: string): Prefix[] {
  return fields.strings(key).flatMap((text, index) => {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) return [prefix];
    const fix = 'use ADDRESS or ADDRESS/LENGTH';
    fields.invalid(`${key}[${index}]`, `${describe(text)} is no address or CIDR block`, fix);
    return [];
  });
}

/** Istio writes ports as texts; plain numbers are understood too. */
function readPorts(fields: Fields, key: string): number[] {
  const list = fields.raw(key) ?? [];
  if (!Array.isArray(list)) {
    fields.invalid(key, `is ${describe(list)}, not a list`, 'write ["8080"]');
    return [];
  }
  return list.flatMap((item: unknown, index) => {
    const port = typeof item === 'string' && /^[0-9]{1,5}$/.test(item) ? Number(item) : item;
    if (isPort(port)) return [port];
    const fix = 'use a number from 1 to 65535';
    fields.invalid(`${key}[${index}]`, `${describe(item)} is no port`, fix);
    return [];
  });
}
