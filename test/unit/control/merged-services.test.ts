/**
 * A Service of two clusters: which endpoints it prefers, and who may say otherwise.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrafficPolicySpec } from '../../../src/model/resource/destination-rule.ts';
import { resource, service, translate, type Translated } from './l7/translated.ts';

const KEY = 'shop/web.shop.svc.cluster.local';
const here = service('shop/web', '10.96.0.1', { http: 80 });
const there = service('shop/web', '10.97.0.1', { http: 80 }, { cluster: 'west' });

const OWN_FIRST = { mode: 'FAILOVER', routingPreference: ['CLUSTER'] };
const ALL = { mode: 'UNSPECIFIED', routingPreference: [] };
const SAID = { mode: 'FAILOVER', routingPreference: ['NETWORK', 'REGION', 'ZONE'] } as const;

function preference(translated: Translated): object {
  const address = translated.addresses.get(KEY);
  assert.ok(address?.kind === 'service');
  const { mode, routingPreference } = address.service.loadBalancing;
  return { mode, routingPreference };
}

test('the own cluster comes first as soon as there is another', () => {
  const translated = translate(here);
  assert.deepEqual(preference(translated), ALL);
  translated.apply([{ before: undefined, after: there }]);
  assert.deepEqual(preference(translated), OWN_FIRST);
  translated.apply([{ before: there, after: undefined }]);
  assert.deepEqual(preference(translated), ALL);
  assert.deepEqual(preference(translate(there)), ALL);
});

test('what the Service itself says counts', () => {
  const said = service('shop/web', '10.96.0.1', { http: 80 }, { localityPreference: SAID });
  assert.deepEqual(preference(translate(said, there)), SAID);
});

const failover = (...failoverPriority: string[]): TrafficPolicySpec => ({
  outlierDetection: {},
  loadBalancer: { localityLbSetting: { failoverPriority } },
});
const rules: readonly [string, TrafficPolicySpec, object][] = [
  ['nothing', { loadBalancer: { simple: 'RANDOM' } }, OWN_FIRST],
  ['no locality', { loadBalancer: { localityLbSetting: { enabled: false } } }, ALL],
  [
    'places',
    { outlierDetection: {}, loadBalancer: { localityLbSetting: { enabled: true } } },
    { mode: 'FAILOVER', routingPreference: ['NETWORK', 'REGION', 'ZONE', 'SUBZONE'] },
  ],
  [
    'labels',
    failover(
      'topology.istio.io/network',
      'topology.istio.io/cluster',
      'topology.kubernetes.io/region',
      'topology.kubernetes.io/zone',
      'topology.istio.io/subzone',
      'kubernetes.io/hostname',
    ),
    {
      mode: 'FAILOVER',
      routingPreference: ['NETWORK', 'CLUSTER', 'REGION', 'ZONE', 'SUBZONE', 'NODE'],
    },
  ],
  [
    'labels, one of them of pods',
    failover('topology.istio.io/cluster', 'version=v2', 'topology.kubernetes.io/zone'),
    OWN_FIRST,
  ],
];

for (const [name, trafficPolicy, expected] of rules) {
  test(`a DestinationRule says ${name}`, () => {
    const rule = resource('DestinationRule', 'shop/web', { host: 'web', trafficPolicy });
    assert.deepEqual(preference(translate(here, there, rule)), expected);
  });
}
