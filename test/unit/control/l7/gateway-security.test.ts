/**
 * Which policies stand in a gateway's listener, and that they stand nowhere else.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMeshConfig } from '../../../../src/control/mesh-config.ts';
import type { Rbac } from '../../../../src/model/http-filter.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import { policyResource } from '../inbound/policy-arbitraries.ts';
import { pod, resource, secret, service, translate, type Translated } from './translated.ts';

const LABELS = { istio: 'gateway' };
const SELECTOR = { selector: { matchLabels: LABELS } };
const GET = { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };
const PUT = { rules: [{ to: [{ operation: { methods: ['PUT'] } }] }] };
const attachedTo = (name: string) => ({
  targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name }],
});

const gateway = (path = 'edge/gw', protocol = 'HTTP') =>
  resource('Gateway', path, {
    selector: LABELS,
    servers: [{ port: { number: 80, name: 'a', protocol }, hosts: ['*'] }],
  });
const apiGateway = (path: string, protocol = 'HTTP') =>
  resource('GatewayApiGateway', path, {
    gatewayClassName: 'podwire',
    listeners: [{ name: 'a', port: 80, protocol, allowedRoutes: { namespaces: { from: 'Same' } } }],
  } as never);
const tcpRoute = resource('VirtualService', 'edge/tcp', {
  hosts: ['*'],
  gateways: ['gw'],
  tcp: [{ route: [{ destination: { host: 'web.edge.svc.cluster.local' } }] }],
});
const edgePod = pod('edge/gw-1', '10.0.0.1', LABELS);

/** "jwt", "DENY edge/p+root/q", … without what every listener has */
function guard(translated: Translated, name = 'gateway|80|edge/gw'): string[] {
  const listener = translated.listeners.get(name);
  const handler = (listener?.defaultChain ?? listener?.chains[0])?.handler;
  assert.ok(handler?.type === 'http', name);
  return handler.filters.flatMap((filter) => {
    if (filter.type === 'rbac') return [rbacText(filter.rbac)];
    return ['jwt', 'ext-authz'].includes(filter.type) ? [filter.type] : [];
  });
}

function rbacText({ rules }: Rbac): string {
  const names = [...(rules?.policies.keys() ?? [])].map((key) =>
    key.replace(/^ns\[(.*)\]-policy\[(.*)\]-rule\[\d+\]$/, '$1/$2'),
  );
  return `${rules?.action} ${names.join('+')}`;
}

const change = (before: Resource | undefined, after: Resource | undefined) => ({ before, after });

test('a gateway has the policies of its pods, in Istio’s order', () => {
  const translated = translate(
    gateway(),
    edgePod,
    policyResource('edge', 'allow', { ...SELECTOR, ...GET }),
    policyResource('edge', 'everybody', GET),
    policyResource('edge', 'other', { selector: { matchLabels: { istio: 'x' } }, ...GET }),
    policyResource('shop', 'elsewhere', { ...SELECTOR, ...GET }),
    policyResource('istio-system', 'deny', { ...SELECTOR, action: 'DENY', ...PUT }),
    policyResource('edge', 'audit', { action: 'AUDIT', ...GET }),
    resource('RequestAuthentication', 'edge/tokens', {
      ...SELECTOR,
      jwtRules: [{ issuer: 'https://i.example', jwks: '{"keys":[]}' }],
    }),
    resource('RequestAuthentication', 'edge/no', {
      selector: { matchLabels: { istio: 'x' } },
      jwtRules: [{ issuer: 'https://j.example', jwks: '{"keys":[]}' }],
    }),
  );
  assert.deepEqual(guard(translated), [
    'jwt',
    'DENY istio-system/deny',
    'ALLOW edge/allow+edge/everybody',
    'LOG edge/audit',
  ]);
});

test('a policy that targets a Gateway is at that one, and at no workload', () => {
  const attached = policyResource('edge', 'p', { ...attachedTo('api'), ...GET });
  const tokens = resource('RequestAuthentication', 'edge/t', {
    ...attachedTo('api'),
    jwtRules: [{ issuer: 'https://i.example', jwks: '{"keys":[]}' }],
  } as never);
  const named = { 'gateway.networking.k8s.io/gateway-name': 'api', app: 'web' };
  const translated = translate(
    apiGateway('edge/api'),
    apiGateway('edge/another'),
    apiGateway('shop/api'),
    pod('edge/api-1', '10.0.0.1', named),
    pod('edge/web-1', '10.0.0.2', { app: 'web' }),
    service('edge/web', '10.96.0.1', { http: 80 }),
    attached,
    tokens,
  );
  assert.deepEqual(guard(translated, 'gateway|80|edge/api'), ['jwt', 'ALLOW edge/p']);
  assert.deepEqual(guard(translated, 'gateway|80|edge/another'), []);
  assert.deepEqual(guard(translated, 'gateway|80|shop/api'), []);
  const inbound = [...translated.listeners.keys()].filter((name) => name.startsWith('inbound'));
  assert.deepEqual(inbound, []);
  for (const path of ['edge/api-1', 'edge/web-1']) {
    assert.deepEqual(translated.workload(path)?.authorizationPolicies, [], path);
  }
  assert.deepEqual(
    translated.translator.findings().filter(({ code }) => code === 'POLICY_REFUSED'),
    [],
  );
  translated.apply([change(attached, undefined), change(tokens, undefined)]);
  assert.deepEqual(guard(translated, 'gateway|80|edge/api'), []);
});

test('an invalid policy that targets a Gateway closes it', () => {
  const invalid = policyResource('edge', 'p', { ...attachedTo('api'), rules: [{ form: [] }] });
  const translated = translate(apiGateway('edge/api'), invalid);
  assert.deepEqual(guard(translated, 'gateway|80|edge/api'), ['DENY ns[edge]-policy[p]-refused']);
});

test('what one pod of a gateway allows does not open another', () => {
  const blue = pod('edge/blue', '10.0.0.1', { ...LABELS, v: 'blue' });
  const green = pod('edge/green', '10.0.0.2', { ...LABELS, v: 'green' });
  const translated = translate(
    gateway(),
    blue,
    green,
    policyResource('edge', 'blue', { selector: { matchLabels: { v: 'blue' } }, ...GET }),
    policyResource('edge', 'green', { selector: { matchLabels: { v: 'green' } }, ...PUT }),
  );
  assert.deepEqual(guard(translated), ['ALLOW edge/blue', 'ALLOW edge/green']);
  translated.apply([change(green, undefined)]);
  assert.deepEqual(guard(translated), ['ALLOW edge/blue']);
});

test('a gateway without pods has the policies its pods will have', () => {
  const translated = translate(gateway(), policyResource('edge', 'p', { ...SELECTOR, ...GET }));
  assert.deepEqual(guard(translated), ['ALLOW edge/p']);
});

test('the service that is asked has its cluster, as the MeshConfig says at the time', () => {
  const custom = { action: 'CUSTOM', provider: { name: 'authz' }, ...GET };
  const translated = translate(gateway(), edgePod, policyResource('edge', 'ask', custom));
  assert.deepEqual(guard(translated), ['DENY edge/ask'], 'nobody can be asked');
  const { config } = readMeshConfig(
    `extensionProviders: [{ name: authz, envoyExtAuthzGrpc: { service: authz.edge.svc.cluster.local, port: 9000 } }]
pathNormalization: { normalization: MERGE_SLASHES }`,
    'mesh.yaml',
  );
  translated.translator.setMeshConfig(config);
  translated.apply([]);
  assert.deepEqual(guard(translated), ['ext-authz']);
  assert.ok(translated.clusters.has('extension|9000|http2|authz.edge.svc.cluster.local'));
  const handler = translated.listeners.get('gateway|80|edge/gw')?.defaultChain?.handler;
  assert.equal(handler?.type === 'http' && handler.mergeSlashes, true);
});

test('bytes that no policy could look at are not forwarded', () => {
  const closing = policyResource('edge', 'p', { action: 'DENY', ...GET });
  const translated = translate(
    gateway('edge/gw', 'TCP'),
    tcpRoute,
    service('edge/web', '10.96.0.1', { tcp: 80 }),
    edgePod,
    apiGateway('edge/api', 'TCP'),
  );
  const both = ['gateway|80|edge/api', 'gateway|80|edge/gw'];
  const served = () =>
    [...translated.listeners.keys()].filter((name) => both.includes(name)).sort();
  const told = () =>
    translated.translator.findings().filter(({ code, path }) => {
      return code === 'NOT_SUPPORTED' && /^spec\.(servers|listeners)\[0\]$/.test(path);
    });
  assert.deepEqual([served(), told()], [both, []]);
  translated.apply([change(undefined, closing)]);
  assert.deepEqual(served(), []);
  assert.equal(told().length, 2);
  translated.apply([change(closing, policyResource('edge', 'p', { action: 'AUDIT', ...GET }))]);
  assert.deepEqual([served(), told()], [both, []]);
});

test('secrets and policies of a gateway cost nothing where they are not changed', () => {
  const translated = translate(gateway(), edgePod, secret('edge/a'));
  const before = translated.translator.compiledUnits;
  const more = pod('edge/gw-2', '10.0.0.2', LABELS);
  translated.apply([change(undefined, more), change(undefined, pod('edge/x', '10.0.0.3', {}))]);
  assert.equal(translated.translator.compiledUnits, before, 'a second pod of the same kind');
});
