/**
 * Random AuthorizationPolicies and requests from small pools, so that they often meet.
 */
import fc from 'fast-check';
import type { AuthorizationPolicyResource } from '../../../../src/model/resource.ts';
import { validateDocument } from '../../../../src/control/validate/document.ts';
import type { WrittenPolicy } from './policy-reference.ts';
import type { TestRequest } from './request.ts';

const ISSUER = 'https://a.example/x';
const some = (pool: readonly string[]) =>
  fc.uniqueArray(fc.constantFrom(...pool), { minLength: 1, maxLength: 2 });

const POOLS = {
  principals: ['cluster.local/ns/shop/sa/a', 'cluster.local/ns/*', '*/sa/b', '*'],
  namespaces: ['shop', 'sh*', '*op', 'oth*', '*', 'other'],
  serviceAccounts: ['a', 'shop/b', 'other/a'],
  ipBlocks: ['10.0.0.1', '10.0.0.0/24', '10.0.1.0/30'],
  requestPrincipals: ['*', `${ISSUER}/alice`, `${ISSUER}/*`, '*/alice', '*ice', `${ISSUER}/al*`],
  hosts: ['Shop.example', '*.example', 'shop.*', '*', 'api.other:8080'],
  ports: ['80', '8080', '9090'],
  methods: ['GET', 'POST', 'P*', '*T', '*'],
  paths: ['/', '/a', '/a*', '*.png', '*', '/a/{*}', '/{*}/b', '/a/{**}', '/{**}/b', '/x.y+'],
} as const;

const fields = <N extends keyof typeof POOLS>(names: readonly N[], extra: readonly string[] = []) =>
  fc
    .record(
      Object.fromEntries(
        [...names, ...extra].flatMap((name) => {
          const pool = name === 'remoteIpBlocks' ? POOLS.ipBlocks : POOLS[name as N];
          const not = `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
          return [name, not].map((key) => [key, some(pool)]);
        }),
      ),
      { requiredKeys: [] },
    )
    .filter((spec) => Object.keys(spec).length > 0)
    .map(thinned);

/** Many conditions at once never match. */
function thinned(spec: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(spec).slice(0, 2));
}

const account = fields(['serviceAccounts', 'ipBlocks']);
const source = fc.oneof(
  fields(['principals', 'namespaces', 'ipBlocks']),
  fields(['requestPrincipals', 'principals'], ['remoteIpBlocks']),
  account,
);
const l4Source = fc.oneof(fields(['principals', 'namespaces', 'ipBlocks']), account);
const operation = fc.oneof(
  fields(['ports']),
  fields(['paths', 'methods']),
  fields(['hosts', 'ports', 'paths']),
);

const key = (name: string, pool: readonly string[]) =>
  fc
    .record({ values: some(pool), notValues: some(pool) }, { requiredKeys: [] })
    .filter((found) => Object.keys(found).length > 0)
    .map((found) => ({ key: name, ...found }));
const l4Condition = fc.oneof(
  key('source.ip', POOLS.ipBlocks),
  key('source.namespace', POOLS.namespaces),
  key('source.principal', POOLS.principals),
  key('destination.ip', ['10.9.0.1', '10.9.0.0/16', '10.8.0.0/16']),
  key('destination.port', POOLS.ports),
);
const condition = fc.oneof(
  l4Condition,
  key('remote.ip', POOLS.ipBlocks),
  key('request.headers[X-Team]', ['red', 'r*', '*d', '*']),
  key('request.auth.principal', POOLS.requestPrincipals),
  key('request.auth.audiences', ['web', 'w*', '*']),
  key('request.auth.presenter', ['cli', '*']),
  key('request.auth.claims[groups]', ['admin', 'dev*', '*']),
  key('request.auth.claims[realm][roles]', ['root', '*']),
  key('connection.sni', ['shop.example', '*.example', '*']),
);

interface Parts {
  readonly source: fc.Arbitrary<unknown>;
  readonly operation: fc.Arbitrary<unknown>;
  readonly condition: fc.Arbitrary<unknown>;
}

const list = (item: fc.Arbitrary<unknown>, maxLength = 2) =>
  fc.array(item, { minLength: 1, maxLength });
const rule = ({ source: from, operation: to, condition: when }: Parts) =>
  fc.record(
    {
      from: list(from.map((found) => ({ source: found }))),
      to: list(to.map((found) => ({ operation: found }))),
      when: list(when),
    },
    { requiredKeys: [] },
  );

export interface TestPolicy extends WrittenPolicy {
  readonly resource: AuthorizationPolicyResource;
}

const policyOf = (parts: Parts, actions: readonly string[]): fc.Arbitrary<TestPolicy> =>
  fc
    .record({
      name: fc.stringMatching(/^[a-z]{6}$/),
      namespace: fc.constantFrom('shop', 'istio-system'),
      action: fc.constantFrom(...actions),
      isDry: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
      rules: fc.array(rule(parts), { maxLength: 3 }),
    })
    .map(({ name, namespace, action, isDry, rules }) => {
      const dryRun = isDry && (action === 'ALLOW' || action === 'DENY');
      const spec = {
        action: action as 'ALLOW',
        ...(action === 'CUSTOM' ? { provider: { name: 'gate' } } : {}),
        rules: rules as object[],
      };
      return { name, namespace, dryRun, spec };
    })
    .map(({ name, namespace, dryRun, spec }) => ({
      namespace,
      dryRun,
      spec,
      resource: policyResource(namespace, name, spec, dryRun),
    }));

export const policy = policyOf({ source, operation, condition }, [
  'ALLOW',
  'ALLOW',
  'DENY',
  'AUDIT',
  'CUSTOM',
]);
export const enforcedPolicy = policyOf({ source, operation, condition }, ['ALLOW', 'DENY']);
export const l4Policy = policyOf(
  { source: l4Source, operation: fields(['ports']), condition: l4Condition },
  ['ALLOW', 'DENY'],
);

export const request: fc.Arbitrary<TestRequest> = fc.record({
  principal: fc.constantFrom(
    undefined,
    'cluster.local/ns/shop/sa/a',
    'cluster.local/ns/shop/sa/b',
    'cluster.local/ns/other/sa/a',
    'td.example/ns/shopping/sa/sa',
  ),
  ip: fc.constantFrom('10.0.0.1', '10.0.0.9', '10.0.1.2', '192.168.0.1'),
  remoteIp: fc.constantFrom('10.0.0.1', '10.0.1.2', '1.2.3.4'),
  destinationIp: fc.constantFrom('10.9.0.1', '10.8.0.1'),
  port: fc.constantFrom(80, 8080, 9090),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
  path: fc.constantFrom('/', '/a', '/a/b', '/a/b/c', '/ab', '/x.y+', '/xxy', '/i.png?x=/a', '/c/b'),
  host: fc.constantFrom('shop.example', 'SHOP.EXAMPLE', 'api.other:8080', 'shop.test'),
  headers: fc.constantFrom({}, { 'x-team': 'red' }, { 'x-team': 'blue' }, { 'x-team': '' }),
  claims: fc.constantFrom(
    undefined,
    { iss: ISSUER, sub: 'alice', aud: 'web', groups: ['admin', 'dev-1'] },
    { iss: ISSUER, sub: 'bob', aud: ['api', 'web'], azp: 'cli', realm: { roles: ['root'] } },
    { iss: 'https://b.example', sub: 'alice', groups: 'developer' },
  ),
  sni: fc.constantFrom('', 'shop.example', 'other.test'),
});

export function policyResource(
  namespace: string,
  name: string,
  spec: object,
  dryRun = false,
): AuthorizationPolicyResource {
  const { resources, findings } = validateDocument(
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: {
        name,
        namespace,
        ...(dryRun ? { annotations: { 'istio.io/dry-run': 'true' } } : {}),
      },
      spec,
    },
    'p.yaml',
  );
  const [found] = resources;
  if (found?.kind !== 'AuthorizationPolicy') throw new Error(JSON.stringify(findings));
  return found;
}
