import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { resourcesView, type ResourceView } from '../../../src/admin/resource-view.ts';
import { policyViews } from '../../../src/agent/policy-views.ts';
import { endpointRows, type PlainAddress } from '../../../src/cli/inspect/addresses.ts';
import { diffResources } from '../../../src/cli/inspect/diff.ts';
import { assignmentRows } from '../../../src/cli/inspect/endpoints.ts';
import { listenerRows, routeRows } from '../../../src/cli/inspect/l7.ts';
import { nodesPage } from '../../../src/cli/inspect/nodes.ts';
import { policyRows } from '../../../src/cli/inspect/policies.ts';
import type { Listener } from '../../../src/model/listener.ts';
import type { LoadAssignment } from '../../../src/model/load-assignment.ts';
import type { RouteConfiguration } from '../../../src/model/route.ts';
import { DB, DB_UID, SAMPLE_SNAPSHOT } from '../../support/sample-resources.ts';

/** As the command line gets it. */
const { types } = JSON.parse(JSON.stringify(resourcesView(SAMPLE_SNAPSHOT))) as {
  types: Record<string, ResourceView<never>[]>;
};
const CLUSTER = 'outbound|80||db.shop.svc.cluster.local';
const ROUTES = 'outbound|80|*|db.shop.svc.cluster.local';

test('endpoints of Services come from the workloads, one per address', () => {
  assert.deepEqual(
    endpointRows(types['addresses'] as readonly ResourceView<PlainAddress>[]),
    ['10.0.0.2:5432', '[fd00::2]:5432'].map((endpoint) => ({
      of: 'shop/db.shop.svc.cluster.local:80',
      layer: 'L4',
      endpoint,
      workload: 'shop/db-1',
      healthy: true,
      weight: 1,
    })),
  );
});

test('endpoints of clusters name hosts and the workloads behind them', () => {
  const rows = assignmentRows(types['loadAssignments'] as ResourceView<LoadAssignment>[]);
  assert.deepEqual(
    rows.map(({ of, endpoint, workload, healthy }) => [of, endpoint, workload, healthy]),
    [
      [CLUSTER, '[fd00::2]:5432', DB_UID, false],
      [CLUSTER, 'db.example:1', '', true],
    ],
  );
});

test('routes are listed in the order they are tried, with weights', () => {
  assert.deepEqual(routeRows(types['routes'] as ResourceView<RouteConfiguration>[]), [
    { name: ROUTES, host: 'db,db.shop', match: '/v2[/*] x-canary', to: 'a (90), b (10)' },
    { name: ROUTES, host: 'db,db.shop', match: '/*', to: 'respond 503' },
  ]);
});

test('listeners say what each chain matches and does', () => {
  const rows = listenerRows(types['listeners'] as ResourceView<Listener>[]);
  assert.deepEqual(
    rows
      .filter(({ direction }) => direction === 'outbound')
      .map(({ address, chain, match, handler }) => [address, chain, match, handler]),
    [
      ['10.1.0.1:80', 'http', 'sni db h2', `http by ${ROUTES}`],
      ['10.1.0.1:80', 'tcp', 'otherwise', `tcp to ${CLUSTER}`],
    ],
  );
  const [inbound] = rows.filter(({ direction }) => direction === 'inbound');
  assert.equal(inbound?.handler, `http by ${ROUTES} (rbac)`);
});

test('policies of a pod: those of the kernel and those of the proxy, rules in words', () => {
  const views = policyViews(SAMPLE_SNAPSHOT, [DB, { ...DB, uid: 'other', name: 'other' }]);
  assert.deepEqual(
    policyRows(views).map(({ pod, policy, action, form, rule }) => [
      pod,
      policy,
      action,
      form,
      rule,
    ]),
    [
      ['shop/db-1', 'shop/no-writes', 'DENY', 'user-space', 'from anyone; to :method POST'],
      [
        'shop/db-1',
        'shop/only-web',
        'ALLOW',
        'kernel',
        'namespace web and not principal */evil or source 10.0.0.0/8, port 5432|5433',
      ],
    ],
  );
});

test('a policy that concerns no pod here is listed last, without one', () => {
  const rows = policyRows(policyViews(SAMPLE_SNAPSHOT, []));
  assert.deepEqual(new Set(rows.map(({ pod }) => pod)), new Set(['']));
});

test('differences are told by name and field', () => {
  const agent: ResourceView[] = [
    { name: 'a', resource: { x: 1, list: [{ y: 1 }] } },
    { name: 'b', resource: {} },
    { name: 'c', resource: { z: { 'odd key': 1 } } },
  ];
  const control: ResourceView[] = [
    { name: 'c', resource: { z: { 'odd key': 2 }, more: true } },
    { name: 'a', resource: { x: 1, list: [{ y: 2 }, 3] } },
    { name: 'd', resource: {} },
  ];
  assert.deepEqual(diffResources(agent, control), [
    {
      name: 'a',
      state: 'differs',
      fields: [
        { path: 'list[0].y', agent: 1, control: 2 },
        { path: 'list[1]', control: 3 },
      ],
    },
    { name: 'b', state: 'only-agent', fields: [] },
    {
      name: 'c',
      state: 'differs',
      fields: [
        { path: 'z."odd key"', agent: 1, control: 2 },
        { path: 'more', control: true },
      ],
    },
    { name: 'd', state: 'only-control', fields: [] },
  ]);
});

test('nothing differs exactly when the values are equal', () => {
  const value = fc.jsonValue();
  fc.assert(
    fc.property(value, value, (a, b) => {
      const [x, y] = [a, b].map((one) => JSON.parse(JSON.stringify(one)) as unknown);
      const found = diffResources([{ name: 'n', resource: x }], [{ name: 'n', resource: y }]);
      let same = true;
      try {
        assert.deepStrictEqual(x, y);
      } catch {
        same = false;
      }
      assert.equal(found.length === 0, same);
    }),
  );
});

test('nodes: synced, stale, nacked with the reason, and types nobody asked for', () => {
  const type = {
    typeUrl: '',
    mode: 'wildcard',
    names: 0,
    sentVersion: '7',
    ackedVersion: '6',
    sentNonce: '',
    ackedNonce: '',
    pushes: 1,
    nacks: 0,
    nacked: null,
  } as const;
  const page = nodesPage({
    nodes: [
      {
        id: '1',
        node: 'n1',
        cluster: 'Kubernetes',
        identity: '',
        nodeId: 'ztunnel~x',
        peer: '10.0.0.9:4000',
        protocol: 'delta',
        connectedSince: '2026-01-01T00:00:00.000Z',
        types: [
          { ...type, type: 'addresses', state: 'synced', resources: 120 },
          { ...type, type: 'authorizations', state: 'stale', resources: 3 },
          {
            ...type,
            type: 'routes',
            state: 'nacked',
            resources: 1,
            nacked: { version: '7', reason: 'virtualHosts[0]: empty', at: '' },
          },
          { ...type, type: 'listeners', state: 'not-sent', resources: 0 },
        ],
      },
    ],
  });
  assert.match(
    page,
    /^n1 +Kubernetes +synced 120 +stale 3 +- +- +- +nacked 1 +- +10\.0\.0\.9:4000 /m,
  );
  assert.match(page, /^n1 refuses routes 7: virtualHosts\[0\]: empty$/m);
  assert.equal(nodesPage({ nodes: [] }), 'no agent is connected');
});
