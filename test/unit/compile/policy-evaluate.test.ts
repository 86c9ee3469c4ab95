/**
 * The evaluator's rules one by one, as ztunnel has them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_MATCH, type Authorization, type Match } from '../../../src/model/authorization.ts';
import { parseIp, parsePrefix } from '../../../src/model/ip.ts';
import { evaluate, type Connection } from '../../../src/compile/kernel/policy/evaluate.ts';

const plaintext: Connection = {
  sourceIdentity: undefined,
  sourceAddr: parseIp('10.0.0.1')!,
  destAddr: parseIp('10.0.0.2')!,
  destPort: 8080,
};
const attested: Connection = { ...plaintext, sourceIdentity: 'spiffe://td/ns/shop/sa/web' };

function policy(
  action: Authorization['action'],
  rules: readonly (readonly (readonly Partial<Match>[])[])[],
  more: Partial<Authorization> = {},
): Authorization {
  return {
    name: action.toLowerCase(),
    namespace: 'shop',
    scope: 'NAMESPACE',
    action,
    dryRun: false,
    rules: rules.map((clauses) => ({
      clauses: clauses.map((matches) => ({
        matches: matches.map((match) => ({ ...EMPTY_MATCH, ...match })),
      })),
    })),
    ...more,
  };
}

/** A policy with one match. */
const when = (action: Authorization['action'], match: Partial<Match>) =>
  policy(action, [[[match]]]);
const allowed = (policies: Authorization[], connection = attested): boolean =>
  evaluate(policies, connection).allowed;

const everything = policy('ALLOW', [[]]);

test('without policies everything is allowed', () => {
  assert.deepEqual(evaluate([], plaintext), { allowed: true, policy: undefined, rule: undefined });
});

test('DENY is asked before ALLOW, and says which rule it was', () => {
  const deny = policy('DENY', [[[{ destinationPorts: [1] }]], [[{ destinationPorts: [8080] }]]]);
  assert.deepEqual(evaluate([everything, deny], attested), {
    allowed: false,
    policy: 'shop/deny',
    rule: 1,
  });
});

test('an ALLOW without rules allows nothing, a DENY without rules denies nothing', () => {
  assert.equal(allowed([policy('ALLOW', [])]), false);
  assert.equal(allowed([policy('DENY', [])]), true);
});

test('no clauses and no matches match everything, a match without fields nothing', () => {
  assert.equal(allowed([policy('ALLOW', [[]])]), true);
  assert.equal(allowed([policy('ALLOW', [[[]]])]), true);
  assert.equal(allowed([policy('ALLOW', [[[{}]]])]), false);
  assert.equal(allowed([policy('DENY', [[[{}]]])]), true);
});

test('clauses are AND, matches are OR, fields are AND, values are OR', () => {
  const port = { destinationPorts: [1, 8080] };
  const other = { destinationPorts: [1] };
  const namespace = { namespaces: [{ type: 'exact', value: 'shop' }] } as const;
  assert.equal(allowed([policy('ALLOW', [[[port], [namespace]]])]), true);
  assert.equal(allowed([policy('ALLOW', [[[other], [namespace]]])]), false);
  assert.equal(allowed([policy('ALLOW', [[[other, port]]])]), true);
  assert.equal(allowed([when('ALLOW', { ...other, ...namespace })]), false);
});

test('dry-run policies decide nothing', () => {
  const dryDeny = policy('DENY', [[]], { dryRun: true });
  const dryAllow = policy('ALLOW', [], { dryRun: true });
  assert.equal(allowed([dryDeny, dryAllow]), true);
});

test('a connection without identity has no principal, and therefore no strict access', () => {
  const strict = when('DENY', { notPrincipals: [{ type: 'presence' }] });
  assert.equal(allowed([strict], plaintext), false);
  assert.equal(allowed([strict], attested), true);
  for (const type of ['exact', 'prefix', 'suffix'] as const) {
    assert.equal(allowed([when('ALLOW', { principals: [{ type, value: '' }] })], plaintext), false);
  }
});

const strings: [string, Partial<Match>, boolean][] = [
  ['exact principal', { principals: [{ type: 'exact', value: 'td/ns/shop/sa/web' }] }, true],
  [
    'principal with scheme',
    { principals: [{ type: 'exact', value: 'spiffe://td/ns/shop/sa/web' }] },
    false,
  ],
  ['principal prefix', { principals: [{ type: 'prefix', value: 'td/ns/' }] }, true],
  ['principal suffix', { principals: [{ type: 'suffix', value: '/sa/web' }] }, true],
  ['any principal', { principals: [{ type: 'presence' }] }, true],
  ['namespace prefix', { namespaces: [{ type: 'prefix', value: 'sh' }] }, true],
  ['other namespace', { namespaces: [{ type: 'exact', value: 'sho' }] }, false],
  ['service account', { serviceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] }, true],
  ['account elsewhere', { serviceAccounts: [{ namespace: 'x', serviceAccount: 'web' }] }, false],
  [
    'not this account',
    { notServiceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] },
    false,
  ],
  ['source in prefix', { sourceIps: [parsePrefix('10.0.0.0/31')!] }, true],
  ['source outside', { sourceIps: [parsePrefix('10.0.0.2/31')!] }, false],
  ['IPv6 any is not IPv4', { sourceIps: [parsePrefix('::/0')!] }, false],
  ['destination', { destinationIps: [parsePrefix('10.0.0.2')!] }, true],
  ['not that destination', { notDestinationIps: [parsePrefix('10.0.0.2')!] }, false],
  ['not that port', { notDestinationPorts: [8080] }, false],
];

for (const [name, match, expected] of strings) {
  test(`match: ${name}`, () => {
    assert.equal(allowed([when('ALLOW', match)]), expected);
  });
}
