/**
 * Inbound listeners as part of the mesh: the class in the pods' messages, what stands behind the listeners, what is sent again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMeshConfig } from '../../../../src/control/mesh-config.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import { createCodec } from '../../../../src/xds/codec.ts';
import { workloadFromWire, workloadToWire } from '../../../../src/xds/resources/workload.ts';
import { pod, resource, service, translate, Translated } from '../l7/translated.ts';
import { policyResource } from './policy-arbitraries.ts';

const GET = { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };
const POST = { rules: [{ to: [{ operation: { methods: ['POST'] } }] }] };
const WEB = [
  service('shop/web', '10.1.0.1', { http: 8080 }),
  pod('shop/a', '10.0.0.1', { app: 'web' }),
  pod('shop/b', '10.0.0.2', { app: 'other' }),
];
const added = (...resources: readonly Resource[]) =>
  resources.map((after) => ({ before: undefined, after }));

test('a policy on requests: a listener, its cluster, and the class in the pod’s message, on the wire too', () => {
  const policy = policyResource('shop', 'p', GET);
  const mesh = translate(...WEB);
  assert.equal(mesh.workload('shop/a')?.inboundClass, '');
  const sent = mesh.apply(added(policy));
  const found = mesh.workload('shop/a')?.inboundClass ?? '';
  assert.match(found, /^shop\/[0-9a-f]{12}$/);
  assert.deepEqual(sent.sort(), [`inbound|8080|${found}`, 'inbound|8080||']);
  assert.equal(mesh.workload('shop/b')?.inboundClass, '', 'has no port');

  const codec = createCodec();
  const workload = { ...mesh.workload('shop/a')!, scope: 'shop~1' };
  const { address } = codec;
  const wire = address.decode(address.encode({ workload: workloadToWire(workload, codec) }));
  assert.deepEqual(workloadFromWire(wire.workload!, codec, assert.fail), workload);

  const edited = policyResource('shop', 'p', POST);
  assert.deepEqual(mesh.apply([{ before: policy, after: edited }]), [`inbound|8080|${found}`]);
  const gone = mesh.apply([{ before: edited, after: undefined }]);
  assert.deepEqual(gone.sort(), [`-inbound|8080|${found}`, '-inbound|8080||']);
  assert.equal(mesh.workload('shop/a')?.inboundClass, '');
});

test('a pod that goes takes its class along, one that comes joins it', () => {
  const mesh = translate(...WEB, policyResource('shop', 'p', GET));
  const name = [...mesh.listeners.keys()].find((key) => key.startsWith('inbound|'))!;
  const more = pod('shop/c', '10.0.0.3', { app: 'web' });
  assert.deepEqual(mesh.apply(added(more)), []);
  assert.equal(`inbound|8080|${mesh.workload('shop/c')?.inboundClass}`, name);
  mesh.apply([{ before: WEB[1], after: undefined }]);
  assert.ok(mesh.listeners.has(name));
  mesh.apply([{ before: more, after: undefined }]);
  assert.equal(mesh.listeners.has(name), false);
  assert.equal(mesh.clusters.has('inbound|8080||'), false);
});

test('a provider’s cluster: endpoints of its Service whatever DestinationRules say, or its name', () => {
  const mesh = new Translated();
  const text = `
extensionProviders:
- name: gate
  envoyExtAuthzGrpc: { service: gate.gate.svc.cluster.local, port: 9000 }
- name: far
  envoyExtAuthzHttp: { service: auth.example.com, port: 80 }`;
  mesh.translator.setMeshConfig(readMeshConfig(text, 'mesh.yaml').config);
  const ask = (name: string) =>
    policyResource('shop', name, { action: 'CUSTOM', provider: { name }, ...GET });
  const asksGate = ask('gate');
  const gate = [
    service('gate/gate', '10.1.0.2', { grpc: 9000 }),
    pod('gate/g', '10.0.0.9', { app: 'gate' }),
    resource('DestinationRule', 'gate/gate', {
      host: 'gate.gate.svc.cluster.local',
      trafficPolicy: { tls: { mode: 'SIMPLE' }, loadBalancer: { simple: 'PASSTHROUGH' } },
    } as never),
  ];
  mesh.apply(added(...WEB, ...gate, asksGate, ask('far')));
  const near = 'extension|9000|http2|gate.gate.svc.cluster.local';
  assert.deepEqual(mesh.endpoints(near), ['0 : 10.0.0.9:9000']);
  const { discovery, tls, protocol } = mesh.clusters.get(near)!;
  assert.deepEqual([discovery.type, tls, protocol], ['eds', undefined, 'http2']);
  assert.equal(
    mesh.clusters.get('extension|80|http1|auth.example.com')?.discovery.type,
    'strict-dns',
  );
  mesh.apply(added(pod('gate/h', '10.0.0.10', { app: 'gate' })));
  assert.deepEqual(mesh.endpoints(near), ['0 : 10.0.0.9:9000 10.0.0.10:9000']);
  mesh.apply([{ before: asksGate, after: undefined }]);
  assert.equal(mesh.clusters.has(near), false);
  assert.equal(mesh.loadAssignments.has(near), false);
});
