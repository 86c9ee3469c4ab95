/** istio.io/use-waypoint → the waypoint of Services and pods, and which messages a change concerns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayApiGatewaySpec } from '../../../src/model/resource/gateway-api.ts';
import type { Resource } from '../../../src/model/resource.ts';
import { pod, resource, service, translate, type Translated } from './l7/translated.ts';

type Labels = Readonly<Record<string, string>>;

const USE = 'istio.io/use-waypoint';
const FROM_ALL = { namespaces: { from: 'All' } } as const;

function labelled<R extends Resource>(made: R, labels: Labels): R {
  return { ...made, labels: new Map([...made.labels, ...Object.entries(labels)]) };
}

function namespace(name: string, labels: Labels = {}): Resource {
  const id = `Namespace ${name}`;
  const meta = { id, file: '', namespace: '', name, labels: new Map(Object.entries(labels)) };
  return { ...meta, kind: 'Namespace' };
}

function gateway(
  path: string,
  labels: Labels = {},
  allowedRoutes: GatewayApiGatewaySpec['listeners'][number]['allowedRoutes'] = {
    namespaces: { from: 'Same' },
  },
  gatewayClassName = 'istio-waypoint',
): Resource {
  const listeners = [{ name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes }];
  return labelled(resource('GatewayApiGateway', path, { gatewayClassName, listeners }), labels);
}

/** Of the Service web and the pod web-1 in namespace shop. */
function waypoints(translated: Translated): readonly [string, string] {
  const found = translated.addresses.get('shop/web.shop.svc.cluster.local');
  assert.equal(found?.kind, 'service');
  const text = (address: object | undefined): string =>
    address === undefined ? '' : JSON.stringify(Object.values(address));
  return [
    text(found?.kind === 'service' ? found.service.waypoint : undefined),
    text(translated.workload('shop/web-1')?.waypoint),
  ];
}

const GATE = '["shop/gate.shop.svc.cluster.local",15008]';
const EDGE = '["infra/edge.infra.svc.cluster.local",15008]';

const web = (labels: Labels = {}): Resource =>
  labelled(service('shop/web', '10.96.0.1', { http: 80 }), labels);
const one = (labels: Labels = {}): Resource =>
  pod('shop/web-1', '10.0.0.1', { app: 'web', ...labels });
const shop = namespace('shop', { [USE]: 'gate' });
const viaInfra = { [USE]: 'edge', 'istio.io/use-waypoint-namespace': 'infra' };

for (const [what, resources, expected] of [
  ['nothing said', [gateway('shop/gate'), web(), one()], ['', '']],
  ['the namespace', [shop, gateway('shop/gate'), web(), one()], [GATE, '']],
  [
    'for all',
    [shop, gateway('shop/gate', { 'istio.io/waypoint-for': 'all' }), web(), one()],
    [GATE, GATE],
  ],
  [
    'for workloads',
    [shop, gateway('shop/gate', { 'istio.io/waypoint-for': 'workload' }), web(), one()],
    ['', GATE],
  ],
  [
    'for none',
    [shop, gateway('shop/gate', { 'istio.io/waypoint-for': 'none' }), web(), one()],
    ['', ''],
  ],
  [
    'its own label',
    [gateway('shop/gate'), web({ [USE]: 'gate' }), one({ [USE]: 'gate' })],
    [GATE, ''],
  ],
  [
    'its own label says none',
    [shop, gateway('shop/gate'), web({ [USE]: 'none' }), one()],
    ['', ''],
  ],
  ['a Gateway that is not there', [shop, web(), one()], ['', '']],
  [
    'its own names none that is there, the namespace’s is not taken',
    [shop, gateway('shop/gate'), web({ [USE]: 'other' }), one()],
    ['', ''],
  ],
  [
    'a Gateway of another class',
    [shop, gateway('shop/gate', {}, FROM_ALL, 'podwire'), web(), one()],
    ['', ''],
  ],
  [
    'another namespace’s, which allows it',
    [namespace('shop', viaInfra), gateway('infra/edge', {}, FROM_ALL), web(), one()],
    [EDGE, ''],
  ],
  [
    'another namespace’s, which does not',
    [namespace('shop', viaInfra), gateway('infra/edge'), web(), one()],
    ['', ''],
  ],
  [
    'by a selector of namespaces',
    [
      namespace('shop', { ...viaInfra, team: 'a' }),
      gateway(
        'infra/edge',
        {},
        { namespaces: { from: 'Selector', selector: { matchLabels: { team: 'a' } } } },
      ),
      web(),
      one(),
    ],
    [EDGE, ''],
  ],
  [
    'by one that does not match',
    [
      namespace('shop', viaInfra),
      gateway(
        'infra/edge',
        {},
        { namespaces: { from: 'Selector', selector: { matchLabels: { team: 'a' } } } },
      ),
      web(),
      one(),
    ],
    ['', ''],
  ],
  [
    'the waypoint itself',
    [
      shop,
      gateway('shop/gate', { 'istio.io/waypoint-for': 'all' }),
      web({ 'gateway.istio.io/managed': 'istio.io-mesh-controller' }),
      one({ 'gateway.networking.k8s.io/gateway-name': 'gate' }),
    ],
    ['', ''],
  ],
  [
    'for what the class says',
    [
      shop,
      gateway('shop/gate', {}, FROM_ALL, 'own'),
      labelled(resource('GatewayClass', '/own', { controllerName: 'istio.io/mesh-controller' }), {
        'istio.io/waypoint-for': 'all',
      }),
      web(),
      one(),
    ],
    [GATE, GATE],
  ],
] as const) {
  test(`a waypoint: ${what}`, () => {
    assert.deepEqual(waypoints(translate(...resources)), expected);
    assert.deepEqual(waypoints(translate(...resources.toReversed())), expected, 'in any order');
  });
}

test('a waypoint comes and goes with what names it', () => {
  const translated = translate(web(), one());
  const all = gateway('shop/gate', { 'istio.io/waypoint-for': 'all' });
  const steps: readonly [Resource | undefined, Resource | undefined, readonly [string, string]][] =
    [
      [undefined, shop, ['', '']],
      [undefined, gateway('shop/gate'), [GATE, '']],
      [gateway('shop/gate'), all, [GATE, GATE]],
      [shop, namespace('shop'), ['', '']],
      [namespace('shop'), shop, [GATE, GATE]],
      [all, undefined, ['', '']],
    ];
  let gone = new Map<string, Resource>();
  for (const [before, after, expected] of steps) {
    const known = before && (gone.get(before.id) ?? before);
    translated.apply([{ before: known, after }]);
    if (after) gone = gone.set(after.id, after);
    assert.deepEqual(waypoints(translated), expected);
  }
});

test('a namespace’s other labels send nothing', () => {
  const translated = translate(shop, gateway('shop/gate'), web(), one());
  const after = namespace('shop', { [USE]: 'gate', colour: 'green' });
  const update = translated.translator.apply([{ before: shop, after }]);
  assert.deepEqual(update.addresses, { upserts: [], removals: [] });
});
