/**
 * ServiceEntries → messages, as istiod makes them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read } from './temporary-folder.ts';

const ENTRY = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: billing, namespace: shop, labels: { app: bills, version: v2 } }
spec:
  hosts: [billing.example.com, Bills.example.com]
  addresses: [198.51.100.1]
  ports:
    - { number: 443, name: https, protocol: TLS, targetPort: 8443 }
    - { number: 80, name: http, protocol: HTTP }
  resolution: STATIC
  endpoints: [{ address: 192.0.2.40 }, { address: 192.0.2.41, ports: { https: 9443 } }]
`;
const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: billing, namespace: shop }
spec: { clusterIP: 10.96.0.1, ports: [{ name: http, port: 80 }] }
`;

test('every host of a ServiceEntry is a Service with its name, next to a Service of that name', async (t) => {
  const watched = await read(t, { 'e.yaml': ENTRY, 's.yaml': SERVICE });
  const hosts = ['billing.example.com', 'bills.example.com', 'billing.shop.svc.cluster.local'];
  const ports = [
    { servicePort: 443, targetPort: 8443 },
    { servicePort: 80, targetPort: 80 },
  ];
  assert.deepEqual(
    hosts.map((host) => {
      const address = watched.addresses.get(`shop/${host}`);
      assert.ok(address?.kind === 'service', host);
      const { name, hostname, ports: own } = address.service;
      return [name, hostname, own];
    }),
    [
      ['billing', hosts[0], ports],
      ['billing', hosts[1], ports],
      ['billing', hosts[2], ports.slice(1)],
    ],
  );
});

test('an endpoint of a ServiceEntry is known by its address, and has ports of its own', async (t) => {
  const watched = await read(t, { 'e.yaml': ENTRY });
  const workload = (ip: string) => {
    const uid = `Kubernetes/networking.istio.io/ServiceEntry/shop/billing/${ip}`;
    const address = watched.addresses.get(uid);
    assert.ok(address?.kind === 'workload');
    return address.workload;
  };
  const { name, workloadName, canonicalName, canonicalRevision } = workload('192.0.2.40');
  assert.deepEqual(
    [name, workloadName, canonicalName, canonicalRevision],
    ['billing', 'billing', 'bills', 'v2'],
  );
  const httpsOf = (ip: string) => workload(ip).services.get('shop/billing.example.com')?.[0];
  assert.deepEqual(httpsOf('192.0.2.40'), { servicePort: 443, targetPort: 8443 });
  assert.deepEqual(httpsOf('192.0.2.41'), { servicePort: 443, targetPort: 9443 });
});
