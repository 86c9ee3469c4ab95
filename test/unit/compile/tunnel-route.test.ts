/**
 * Where a captured connection goes: straight, over HBONE to its workload, or through a waypoint.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tunnelRoute, type TunnelRoute } from '../../../src/compile/tunnel-route.ts';
import { initialPlanState, nextPlan } from '../../../src/compile/kernel/plan.ts';
import { parseIp } from '../../../src/model/ip.ts';
import type { Address } from '../../../src/model/messages.ts';
import type { Service } from '../../../src/model/service.ts';
import { emptySnapshot } from '../../../src/model/snapshot.ts';
import type { Workload } from '../../../src/model/workload.ts';
import { buildSnapshot } from '../../../src/store/builder.ts';
import { service as services, workload as workloads } from './plan-arbitraries.ts';

const ip = (text: string) => parseIp(text)!;
const [blankWorkload] = fc.sample(workloads, { numRuns: 1, seed: 1 });
const [blankService] = fc.sample(services, { numRuns: 1, seed: 1 });

function workload(name: string, address: string, more: Partial<Workload> = {}): Address {
  const { waypoint: _, ...blank } = blankWorkload!;
  return {
    kind: 'workload',
    workload: {
      ...blank,
      uid: `Kubernetes//Pod/a/${name}`,
      name,
      namespace: 'a',
      serviceAccount: name,
      addresses: [ip(address)],
      tunnelProtocol: 'HBONE',
      healthy: true,
      capacity: 1,
      services: new Map(),
      authorizationPolicies: [],
      ...more,
    },
  };
}

function service(name: string, address: string, more: Partial<Service> = {}): Address {
  const { waypoint: _, ...blank } = blankService!;
  return {
    kind: 'service',
    service: {
      ...blank,
      name,
      namespace: 'a',
      hostname: `${name}.a.svc.cluster.local`,
      addresses: [ip(address)],
      ports: [{ servicePort: 80, targetPort: 8080 }],
      loadBalancing: { mode: 'UNSPECIFIED', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' },
      ...more,
    },
  };
}

const GATE = { service: 'a/gate.a.svc.cluster.local', port: 15008 };
const gateEndpoint = (name: string, address: string, more: Partial<Workload> = {}): Address =>
  workload(name, address, {
    serviceAccount: 'gate',
    services: new Map([[GATE.service, [{ servicePort: 15008, targetPort: 15009 }]]]),
    ...more,
  });
const gate = service('gate', '10.96.0.9', { ports: [{ servicePort: 15008, targetPort: 15008 }] });

function ask(
  addresses: readonly Address[],
  { to, via = to, from = 'client' }: { to: string; via?: string; from?: string },
): TunnelRoute {
  const client = workload('client', '10.0.0.1');
  const snapshot = buildSnapshot(emptySnapshot(), {
    addresses: { upserts: [client, ...addresses], removals: [] },
  });
  const { claims, place } = nextPlan(initialPlanState(), snapshot, []);
  const point = (text: string) => {
    const at = text.lastIndexOf('|');
    return { address: ip(text.slice(0, at)), port: Number(text.slice(at + 1)) };
  };
  return tunnelRoute(
    { snapshot, claims, place },
    {
      source: snapshot.workloads.get(`Kubernetes//Pod/a/${from}`)!,
      dialled: point(via),
      target: point(to),
    },
    () => 0.5,
  );
}

const ID = 'spiffe://cluster.local/ns/a/sa';

test('what nobody knows, and what does not speak HBONE, is reached straight', () => {
  assert.deepEqual(ask([], { to: '192.0.2.1|80' }), { kind: 'direct' });
  const plain = workload('b', '10.0.0.2', { tunnelProtocol: 'NONE' });
  assert.deepEqual(ask([plain], { to: '10.0.0.2|80' }), { kind: 'direct' });
});

test('a workload by its own address: its own identity, its port in the authority', () => {
  assert.deepEqual(ask([workload('b', 'fd00::2')], { to: 'fd00::2|80' }), {
    kind: 'hbone',
    gateway: { address: 'fd00::2', port: 15008 },
    authority: '[fd00::2]:80',
    acceptedIds: [`${ID}/b`],
    hostname: '',
    lasting: true,
  });
});

test('through a Service its alternative names are accepted too', () => {
  const addresses = [
    workload('b', '10.0.0.2'),
    service('web', '10.96.0.1', { subjectAltNames: [`${ID}/legacy`, `${ID}/b`] }),
  ];
  const route = ask(addresses, { via: '10.96.0.1|80', to: '10.0.0.2|8080' });
  assert.ok(route.kind === 'hbone');
  assert.deepEqual(route.acceptedIds, [`${ID}/b`, `${ID}/legacy`]);
  assert.equal(route.authority, '10.0.0.2:8080');
  assert.equal(route.hostname, 'web.a.svc.cluster.local');
});

test('a Service behind a waypoint: the authority is what was dialled, the port the waypoint’s', () => {
  const addresses = [
    workload('b', '10.0.0.2'),
    service('web', '10.96.0.1', { waypoint: GATE }),
    gate,
    gateEndpoint('g1', '10.0.0.9'),
  ];
  assert.deepEqual(ask(addresses, { to: '10.96.0.1|80' }), {
    kind: 'hbone',
    gateway: { address: '10.0.0.9', port: 15009 },
    authority: '10.96.0.1:80',
    acceptedIds: [`${ID}/gate`],
    hostname: 'web.a.svc.cluster.local',
    lasting: false,
  });
});

test('a workload’s waypoint counts when its address was dialled, not through a Service', () => {
  const b = workload('b', '10.0.0.2', { waypoint: GATE });
  const addresses = [b, service('web', '10.96.0.1'), gate, gateEndpoint('g1', '10.0.0.9')];
  const own = ask(addresses, { to: '10.0.0.2|8080' });
  assert.ok(own.kind === 'hbone' && own.gateway.address === '10.0.0.9');
  const balanced = ask(addresses, { via: '10.96.0.1|80', to: '10.0.0.2|8080' });
  assert.ok(balanced.kind === 'hbone' && balanced.gateway.address === '10.0.0.2');
});

test('the waypoint itself goes past itself', () => {
  const b = workload('b', '10.0.0.2', { waypoint: GATE });
  const addresses = [b, gate, gateEndpoint('g1', '10.0.0.9')];
  const route = ask(addresses, { from: 'g1', to: '10.0.0.2|8080' });
  assert.ok(route.kind === 'hbone' && route.gateway.address === '10.0.0.2');
});

test('no endpoint of the waypoint, or no waypoint: nothing goes past it', () => {
  const b = workload('b', '10.0.0.2', { waypoint: GATE });
  const sick = gateEndpoint('g1', '10.0.0.9', { healthy: false });
  for (const addresses of [[b], [b, gate], [b, gate, sick]]) {
    const route = ask(addresses, { to: '10.0.0.2|8080' });
    assert.equal(route.kind, 'none');
  }
});

test('a waypoint by address: a workload’s own, or its Service’s', () => {
  const web = (address: string): Address =>
    service('web', '10.96.0.1', { waypoint: { address: ip(address), port: 15008 } });
  const endpoint = gateEndpoint('g1', '10.0.0.9');
  const straight = ask([web('10.0.0.9'), endpoint], { to: '10.96.0.1|80' });
  assert.ok(straight.kind === 'hbone');
  assert.deepEqual(straight.gateway, { address: '10.0.0.9', port: 15008 });
  assert.deepEqual(straight.acceptedIds, [`${ID}/gate`]);
  const balanced = ask([web('10.96.0.9'), gate, endpoint], { to: '10.96.0.1|80' });
  assert.ok(balanced.kind === 'hbone');
  assert.deepEqual(balanced.gateway, { address: '10.0.0.9', port: 15009 });
  assert.equal(ask([web('10.0.0.77')], { to: '10.96.0.1|80' }).kind, 'none');
});
