/**
 * What an agent gets of the mesh.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeScopes } from '../../../src/control/scope/node-scopes.ts';
import { resourceScopeOf } from '../../../src/control/scope/resource-scope.ts';
import type { GatewayPlacement, Visibility } from '../../../src/control/scope/visibility.ts';
import type { Authorization } from '../../../src/model/authorization.ts';
import type { Address } from '../../../src/model/messages.ts';
import type { Secret } from '../../../src/model/secret.ts';
import type { StreamClient } from '../../../src/xds/server/scope.ts';
import { pod, policy } from '../../support/xds-client.ts';

const agent = (node: string | undefined, cluster?: string): StreamClient => ({
  identity: {
    trustDomain: 'cluster.local',
    namespace: 'podwire-system',
    serviceAccount: 'podwire',
  },
  node,
  ...(cluster && { cluster }),
});
const on = (node: string, namespace: string, name: string, more = {}): Address =>
  pod(name, '10.0.0.1', {
    node,
    namespace,
    serviceAccount: 'x',
    uid: `Kubernetes//Pod/${namespace}/${name}`,
    ...more,
  });
const update = (upserts: Address[], removals: string[] = []) => ({
  addresses: { upserts, removals },
});
const scoped = (scope: Authorization['scope'], namespace: string): Authorization => ({
  ...policy('p'),
  scope,
  namespace,
});

test('policies: of the mesh, of namespaces with a pod on the node, and those its pods name', () => {
  const scopes = new NodeScopes({ ownCluster: 'Kubernetes' });
  scopes.apply(
    update([
      on('n1', 'shop', 'a', { authorizationPolicies: ['bank/special'] }),
      on('n2', 'bank', 'b'),
    ]),
  );
  const [one, two] = [scopes.scopeOf(agent('n1')), scopes.scopeOf(agent('n2'))];
  const sees = (scope: typeof one, authorization: Authorization, name = 'x/p'): boolean =>
    scope.has('authorizations', name, authorization);
  assert.deepEqual(
    [one, two].map((s) => sees(s, scoped('GLOBAL', 'istio-system'))),
    [true, true],
  );
  assert.deepEqual(
    [one, two].map((s) => sees(s, scoped('NAMESPACE', 'shop'))),
    [true, false],
  );
  const special = scoped('WORKLOAD_SELECTOR', 'bank');
  assert.deepEqual(
    [one, two].map((s) => sees(s, special, 'bank/special')),
    [true, false],
  );

  assert.deepEqual(one.moved(), []);
  scopes.apply(
    update([on('n1', 'shop', 'a2'), on('n1', 'shop', 'a', { authorizationPolicies: [] })]),
  );
  assert.ok(one.moved().includes('authorizations'));
  assert.equal(sees(one, special, 'bank/special'), false);
  scopes.apply(update([on('n1', 'shop', 'a3')]));
  assert.deepEqual(one.moved(), ['listeners'], 'nothing but a workload more');
  scopes.apply(
    update([], ['Kubernetes//Pod/shop/a', 'Kubernetes//Pod/shop/a2', 'Kubernetes//Pod/shop/a3']),
  );
  assert.ok(one.moved().includes('authorizations'));
  assert.equal(sees(one, scoped('NAMESPACE', 'shop')), false);
});

test('a node is one of a cluster; an agent of another cluster with a node of that name gets its own', () => {
  const scopes = new NodeScopes({ ownCluster: 'Kubernetes' });
  scopes.apply(update([on('n1', 'shop', 'a'), on('n1', 'bank', 'b', { clusterId: 'west' })]));
  const west = scopes.scopeOf(agent('n1', 'west'));
  assert.equal(west.has('authorizations', 'x', scoped('NAMESPACE', 'shop')), false);
  assert.equal(west.has('authorizations', 'x', scoped('NAMESPACE', 'bank')), true);
  assert.equal(west.cluster, 'west');
});

test('hidden Services, and endpoints of nothing else, are not sent', () => {
  const visibility: Visibility = {
    serviceVisible: (namespace, service) =>
      service.startsWith(`${namespace}/`) || service === 'bank/open',
    hidesNothing: false,
    version: 0,
  };
  const scopes = new NodeScopes({ ownCluster: 'Kubernetes', visibility });
  const serves = (...names: string[]) => ({ services: new Map(names.map((name) => [name, []])) });
  const mine = on('n1', 'shop', 'a');
  const closed = on('n2', 'bank', 'closed', serves('bank/closed'));
  const both = on('n2', 'bank', 'both', serves('bank/closed', 'bank/open'));
  scopes.apply(update([mine, closed, both, on('n2', 'bank', 'lonely')]));
  const scope = scopes.scopeOf(agent('n1'));
  const sees = (address: Address): boolean => scope.has('addresses', '', address);
  assert.deepEqual([mine, closed, both, on('n2', 'bank', 'lonely')].map(sees), [
    true,
    false,
    true,
    false,
  ]);
  scopes.apply(update([on('n1', 'bank', 'new')]));
  assert.ok(scope.moved().includes('addresses'));
  assert.deepEqual([closed, both].map(sees), [true, true]);
});

test('Secrets and gateways go to nodes where the gateway runs, and to nobody else', () => {
  const gateways: GatewayPlacement = {
    runsAt: (gateway, cluster, node) =>
      gateway === 'edge/main' && cluster === 'Kubernetes' && node === 'n1',
    isSecretUsedAt: (secret, { cluster, node }) =>
      secret === 'kubernetes://edge/cert' && cluster === 'Kubernetes' && node === 'n1',
    version: 0,
  };
  const scopes = new NodeScopes({ ownCluster: 'Kubernetes', gateways });
  scopes.apply(
    update([
      on('n1', 'edge', 'g', { serviceAccount: 'gw' }),
      on('n2', 'edge', 'x', { serviceAccount: 'other' }),
    ]),
  );
  const secret: Secret = {
    type: 'certificate',
    name: 'kubernetes://edge/cert',
    chain: '',
    key: '',
  };
  const sees = (node: string | undefined, name = secret.name): boolean =>
    scopes.scopeOf(agent(node)).has('secrets', name, secret);
  assert.deepEqual(
    [sees('n1'), sees('n2'), sees('n3'), sees(undefined)],
    [true, false, false, false],
  );
  assert.equal(sees('n1', 'kubernetes://edge/another'), false);
  const listener = { name: 'gateway|443|edge/main' } as never;
  const hosts = (node: string): boolean =>
    scopes.scopeOf(agent(node)).has('listeners', 'gateway|443|edge/main', listener);
  assert.deepEqual([hosts('n1'), hosts('n2')], [true, false]);
});

test('names say whom L7 resources are for', () => {
  const of = (name: string, isListener = true) => resourceScopeOf(name, isListener);
  assert.deepEqual(of('outbound|80|*|web.shop.svc'), { kind: 'everybody' });
  assert.deepEqual(of('outbound|80|shop|web.shop.svc'), { kind: 'namespace', namespace: 'shop' });
  assert.deepEqual(of('outbound|80|shop~v1|*'), { kind: 'namespace', namespace: 'shop' });
  assert.deepEqual(of('outbound|80|v2|web.shop.svc', false), { kind: 'everybody' });
  assert.deepEqual(of('outbound|80||web.shop.svc@bank', false), {
    kind: 'namespace',
    namespace: 'bank',
  });
  assert.deepEqual(of('inbound|80|K//Pod/shop/a'), { kind: 'workload', uid: 'K//Pod/shop/a' });
  assert.deepEqual(of('inbound|80|shop/class'), { kind: 'namespace', namespace: 'shop' });
  assert.deepEqual(of('inbound|80||', false), { kind: 'everybody' });
  assert.deepEqual(of('gateway|443|edge/main'), { kind: 'gateway', gateway: 'edge/main' });
});
