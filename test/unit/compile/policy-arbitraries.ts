/**
 * Random authorization policies and connections over a small world, so that conditions often meet.
 */
import fc from 'fast-check';
import {
  EMPTY_MATCH,
  type Authorization,
  type Match,
  type StringMatch,
} from '../../../src/model/authorization.ts';
import { parseIp, parsePrefix, type Ip } from '../../../src/model/ip.ts';
import { formatSpiffe } from '../../../src/model/identity.ts';

const NAMESPACES = ['a', 'ab', 'b'];
const ACCOUNTS = ['x', 'y'];
const PORTS = [80, 81, 443];

export const SPIFFE_IDS = ['td', 'td2'].flatMap((trustDomain) =>
  NAMESPACES.flatMap((namespace) =>
    ACCOUNTS.map((serviceAccount) => formatSpiffe({ trustDomain, namespace, serviceAccount })),
  ),
);
/** one more than any policy mentions */
export const CONNECTION_PORTS = [...PORTS, 8080];
export const SOURCES = ips(
  '10.0.0.1',
  '10.0.1.1',
  '10.1.0.1',
  '192.168.0.1',
  'fd00::1',
  'fd01::1',
  '::1',
);
export const POD_ADDRESSES = [
  ips('10.9.0.1'),
  ips('fd09::1'),
  ips('10.9.0.1', 'fd09::1'),
  ips('10.9.0.1', '10.9.0.2'),
];

const prefixes = fc.constantFrom(
  ...[
    '10.0.0.0/8',
    '10.0.0.0/16',
    '10.0.0.0/31',
    '10.0.0.0/15',
    '10.0.0.1/32',
    '10.0.1.0/24',
    '0.0.0.0/0',
    '0.0.0.0/1',
    '::/0',
    'fd00::/8',
    'fd00::/16',
    'fd00::1/128',
    '10.9.0.1/32',
    'fd09::/16',
  ].map((text) => parsePrefix(text)!),
);

const ports = fc.constantFrom(...PORTS);
const namespaces = stringMatch(fc.constantFrom(...NAMESPACES, ''));
const principals = stringMatch(
  fc.constantFrom('td/ns/a/sa/x', 'td/ns/a', 'sa/x', 'td', 'td2/ns/b/sa/y', '/sa/y', ''),
);
const accounts = record({
  namespace: fc.constantFrom(...NAMESPACES),
  serviceAccount: fc.constantFrom(...ACCOUNTS),
});

/** Each field is set rarely, or nothing would ever match. */
const match: fc.Arbitrary<Match> = record({
  namespaces: few(namespaces),
  notNamespaces: few(namespaces),
  serviceAccounts: few(accounts),
  notServiceAccounts: few(accounts),
  principals: few(principals),
  notPrincipals: few(principals),
  sourceIps: few(prefixes),
  notSourceIps: few(prefixes),
  destinationIps: few(prefixes),
  notDestinationIps: few(prefixes),
  destinationPorts: few(ports),
  notDestinationPorts: few(ports),
}).map((fields) => ({ ...EMPTY_MATCH, ...fields }));

const rule = record({
  clauses: fc.array(record({ matches: fc.array(match, { maxLength: 2 }) }), { maxLength: 2 }),
});

export const policy: fc.Arbitrary<Authorization> = record({
  name: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
  namespace: fc.constantFrom('a', 'root'),
  scope: fc.constantFrom('GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR'),
  action: fc.constantFrom('ALLOW', 'DENY'),
  rules: fc.array(rule, { maxLength: 2 }),
  dryRun: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
});

export const connection = record({
  sourceIdentity: fc.option(fc.constantFrom(...SPIFFE_IDS), { nil: undefined }),
  sourceAddr: fc.constantFrom(...SOURCES),
  destPort: fc.constantFrom(...CONNECTION_PORTS),
});

function few<T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant<T[]>([]) },
    fc.array(item, { minLength: 1, maxLength: 2 }),
  );
}

function stringMatch(text: fc.Arbitrary<string>): fc.Arbitrary<StringMatch> {
  return fc.oneof(
    fc.constant<StringMatch>({ type: 'presence' }),
    record({ type: fc.constantFrom('exact', 'prefix', 'suffix'), value: text }),
  );
}

function ips(...texts: string[]): Ip[] {
  return texts.map((text) => parseIp(text)!);
}

/** Plain objects, as the program's own are. */
export function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}
