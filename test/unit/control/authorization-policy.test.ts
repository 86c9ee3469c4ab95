/**
 * AuthorizationPolicy: what is sent, and that what cannot be enforced as written closes its pods.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { EMPTY_MATCH, type Match } from '../../../src/model/authorization.ts';
import { parsePrefix } from '../../../src/model/ip.ts';
import { evaluate } from '../../../src/compile/kernel/policy/evaluate.ts';
import { pod, policy, read } from './temporary-folder.ts';

const web = pod('web', '10.0.0.1');

async function apply(t: TestContext, text: string) {
  return read(t, { 'p.yaml': text, 'pod.yaml': web });
}

const match = (fields: Partial<Match>): Match => ({ ...EMPTY_MATCH, ...fields });

test('from, to and when become clauses, in istiod’s order', async (t) => {
  const watched = await apply(
    t,
    policy(`
action: DENY
rules:
- from:
  - source: { principals: [cluster.local/ns/shop/sa/a, "*"], notNamespaces: ["test-*"] }
  - source: { ipBlocks: [10.1.0.0/16], serviceAccounts: [a, other/b] }
  to:
  - operation: { ports: ["80", 443], notPorts: ["81"] }
  when:
  - { key: destination.ip, values: ["10.0.0.1"] }
  - { key: source.namespace, notValues: ["*-dev"] }
`),
  );
  assert.deepEqual(watched.codes, []);
  assert.deepEqual(watched.policies.get('shop/p'), {
    name: 'p',
    namespace: 'shop',
    scope: 'NAMESPACE',
    action: 'DENY',
    dryRun: false,
    rules: [
      {
        clauses: [
          { matches: [match({ destinationPorts: [80, 443], notDestinationPorts: [81] })] },
          {
            matches: [
              match({
                principals: [
                  { type: 'exact', value: 'cluster.local/ns/shop/sa/a' },
                  { type: 'presence' },
                ],
                notNamespaces: [{ type: 'prefix', value: 'test-' }],
              }),
              match({
                sourceIps: [parsePrefix('10.1.0.0/16')!],
                serviceAccounts: [
                  { namespace: 'shop', serviceAccount: 'a' },
                  { namespace: 'other', serviceAccount: 'b' },
                ],
              }),
            ],
          },
          { matches: [match({ destinationIps: [parsePrefix('10.0.0.1')!] })] },
          { matches: [match({ notNamespaces: [{ type: 'suffix', value: '-dev' }] })] },
        ],
      },
    ],
  });
});

test('scope: a selector, the namespace, the mesh', async (t) => {
  const rules = 'rules: [{}]';
  const selected = `selector: { matchLabels: { app: web } }\n${rules}`;
  const watched = await read(t, {
    'pod.yaml': web,
    'a.yaml': policy(selected),
    'b.yaml': policy(rules).replace('name: p', 'name: q'),
    'c.yaml': policy(rules).replace('namespace: shop', 'namespace: istio-system'),
    'd.yaml': policy(selected)
      .replace('namespace: shop', 'namespace: istio-system')
      .replace('name: p', 'name: r'),
  });
  const scopes = [...watched.policies].map(([name, { scope }]) => `${name} ${scope}`);
  assert.deepEqual(scopes.sort(), [
    'istio-system/p GLOBAL',
    'istio-system/r WORKLOAD_SELECTOR',
    'shop/p WORKLOAD_SELECTOR',
    'shop/q NAMESPACE',
  ]);
  assert.deepEqual(watched.workload('shop/web')!.authorizationPolicies, [
    'istio-system/r',
    'shop/p',
  ]);
  assert.deepEqual(watched.codes, []);
});

test('a selector that matches nothing is told', async (t) => {
  const watched = await apply(t, policy('selector: { matchLabels: { app: x } }\nrules: [{}]'));
  assert.deepEqual(watched.findings, [
    'SELECTOR_MATCHES_NOTHING | p.yaml | AuthorizationPolicy shop/p | spec.selector.matchLabels',
  ]);
});

test('dry-run is carried', async (t) => {
  const dry = 'annotations: { istio.io/dry-run: "true" }';
  const watched = await apply(t, policy('action: DENY\nrules: [{}]', dry));
  assert.equal(watched.policies.get('shop/p')!.dryRun, true);
});

const refusals: [string, string, string][] = [
  ['an unknown field', 'rulez: []', 'spec.rulez'],
  [
    'an unknown source',
    'rules: [{ from: [{ source: { users: [x] } }] }]',
    'spec.rules[0].from[0].source.users',
  ],
  [
    'an unknown operation',
    'rules: [{ to: [{ operation: { sni: [x] } }] }]',
    'spec.rules[0].to[0].operation.sni',
  ],
  ['an unknown part of a rule', 'rules: [{ where: [] }]', 'spec.rules[0].where'],
  [
    'an unknown condition',
    'rules: [{ when: [{ key: source.cluster, values: [x] }] }]',
    'spec.rules[0].when[0].key',
  ],
  [
    'a port out of range',
    'rules: [{ to: [{ operation: { ports: ["70000"] } }] }]',
    'spec.rules[0].to[0].operation.ports[0]',
  ],
  [
    'an address that is none',
    'rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/40"] } }] }]',
    'spec.rules[0].from[0].source.ipBlocks[0]',
  ],
  [
    'a star in the middle',
    'rules: [{ from: [{ source: { namespaces: ["a*b"] } }] }]',
    'spec.rules[0].from[0].source.namespaces[0]',
  ],
  [
    'a principal with its scheme',
    'rules: [{ from: [{ source: { principals: ["spiffe://a/ns/b/sa/c"] } }] }]',
    'spec.rules[0].from[0].source.principals[0]',
  ],
  [
    'a source without condition',
    'rules: [{ from: [{ source: {} }] }]',
    'spec.rules[0].from[0].source',
  ],
  [
    'a condition without values',
    'rules: [{ when: [{ key: source.ip }] }]',
    'spec.rules[0].when[0].values',
  ],
  ['rules that are no list', 'rules: {}', 'spec.rules'],
  ['an unknown action', 'action: REFUSE', 'spec.action'],
  ['the action CUSTOM', 'action: CUSTOM\nprovider: { name: x }\nrules: [{}]', 'spec.action'],
];

for (const [name, spec, path] of refusals) {
  test(`refused, and closed for the pods it selects: ${name}`, async (t) => {
    const watched = await apply(t, policy(`selector: { matchLabels: { app: web } }\n${spec}`));
    const unknown = 'PROVIDER_UNKNOWN | p.yaml | AuthorizationPolicy shop/p | spec.provider.name';
    assert.deepEqual(watched.findings, [
      `POLICY_REFUSED | p.yaml | AuthorizationPolicy shop/p | ${path}`,
      ...(spec.includes('CUSTOM') ? [unknown] : []),
    ]);
    assert.match(watched.last!.findings[0]!.message, /every connection.*is denied/);
    assert.deepEqual([...watched.policies.keys()], ['shop/podwire_refused_p']);
    assert.deepEqual(watched.workload('shop/web')!.authorizationPolicies, [
      'shop/podwire_refused_p',
    ]);
    assert.equal(decision(watched, 'spiffe://cluster.local/ns/shop/sa/a'), false);
    assert.equal(decision(watched, undefined), false);
  });
}

test('a selector that cannot be read closes the namespace', async (t) => {
  const watched = await apply(t, policy('selector: { matchExpressions: [] }\nrules: [{}]'));
  assert.deepEqual(watched.codes, ['POLICY_REFUSED']);
  assert.equal(watched.policies.get('shop/podwire_refused_p')!.scope, 'NAMESPACE');
});

test('a policy without apiVersion is not skipped', async (t) => {
  const text = policy('action: DENY\nrules: [{}]').replace(/apiVersion.*/, '');
  const watched = await apply(t, text);
  assert.deepEqual(watched.codes, ['FIELD_MISSING']);
  assert.equal(decision(watched, undefined), false);
});

test('a policy for a Service by reference closes the pods behind it', async (t) => {
  const service = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
`;
  const ref = 'targetRefs: [{ kind: Service, group: "", name: web }]\nrules: [{}]';
  const watched = await read(t, {
    'p.yaml': policy(ref),
    's.yaml': service,
    'pod.yaml': web,
    'other.yaml': pod('other', '10.0.0.2'),
  });
  assert.deepEqual(watched.codes, ['POLICY_REFUSED']);
  const attached = ['shop/web', 'shop/other'].map(
    (name) => watched.workload(name)!.authorizationPolicies,
  );
  assert.deepEqual(attached, [['shop/podwire_refused_p'], []]);
});

test('ALLOW: a rule with an HTTP condition never matches', async (t) => {
  const watched = await apply(
    t,
    policy(`
rules:
- to: [{ operation: { methods: [GET] } }]
- from: [{ source: { requestPrincipals: ["*"] } }]
- from: [{ source: { principals: [cluster.local/ns/shop/sa/a] } }]
`),
  );
  assert.deepEqual(watched.findings, [
    'POLICY_L7_IGNORED | p.yaml | AuthorizationPolicy shop/p | spec.rules',
  ]);
  assert.equal(decision(watched, 'spiffe://cluster.local/ns/shop/sa/a'), true);
  assert.equal(decision(watched, 'spiffe://cluster.local/ns/shop/sa/b'), false);
});

test('DENY: an HTTP condition is left out, so that more is denied', async (t) => {
  const watched = await apply(
    t,
    policy(`
action: DENY
rules:
- from: [{ source: { principals: [cluster.local/ns/shop/sa/a] } }]
  to: [{ operation: { paths: [/admin] } }]
- to: [{ operation: { ports: ["81"], methods: [POST] } }]
`),
  );
  assert.deepEqual(watched.codes, ['POLICY_L7_IGNORED']);
  const a = 'spiffe://cluster.local/ns/shop/sa/a';
  const b = 'spiffe://cluster.local/ns/shop/sa/b';
  assert.deepEqual([decision(watched, a), decision(watched, b)], [false, true]);
  assert.deepEqual([decision(watched, b, 81), decision(watched, b, 80)], [false, true]);
});

test('DENY with nothing but HTTP conditions denies everything', async (t) => {
  const watched = await apply(
    t,
    policy('action: DENY\nrules: [{ to: [{ operation: { methods: [POST] } }] }]'),
  );
  assert.deepEqual(watched.codes, ['POLICY_L7_IGNORED']);
  assert.equal(decision(watched, undefined), false);
});

test('AUDIT decides nothing and says so', async (t) => {
  const watched = await apply(t, policy('action: AUDIT\nrules: [{}]'));
  assert.deepEqual(watched.codes, ['NOT_SUPPORTED']);
  assert.equal(watched.policies.size, 0);
});

function decision(
  watched: Awaited<ReturnType<typeof read>>,
  sourceIdentity: string | undefined,
  destPort = 80,
): boolean {
  const [sourceAddr, destAddr] = ['10.0.0.9', '10.0.0.1'].map((ip) => parsePrefix(ip)!.address);
  return evaluate([...watched.policies.values()], {
    sourceIdentity,
    sourceAddr: sourceAddr!,
    destAddr: destAddr!,
    destPort,
  }).allowed;
}
