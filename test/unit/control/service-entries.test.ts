/**
 * ServiceEntries → messages, as istiod makes them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pod, read } from './temporary-folder.ts';

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
  endpoints: [{ address: 192.0.2.40, serviceAccount: bills }, { address: 192.0.2.41, ports: { https: 9443 } }]
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
  assert.equal(workload('192.0.2.40').serviceAccount, 'bills');
  assert.equal(workload('192.0.2.41').serviceAccount, '', 'nobody says which');
  const httpsOf = (ip: string) => workload(ip).services.get('shop/billing.example.com')?.[0];
  assert.deepEqual(httpsOf('192.0.2.40'), { servicePort: 443, targetPort: 8443 });
  assert.deepEqual(httpsOf('192.0.2.41'), { servicePort: 443, targetPort: 9443 });
});

test('a WorkloadEntry has ports by the names of the ServiceEntry, and by the target ports of a Service', async (t) => {
  const watched = await read(t, {
    'e.yaml': `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: legacy, namespace: shop }
spec:
  hosts: [legacy.example.com]
  addresses: [198.51.100.2]
  ports:
    - { number: 80, name: http, protocol: HTTP, targetPort: 8080 }
    - { number: 443, name: https, protocol: TLS, targetPort: 8443 }
    - { number: 25, name: smtp, protocol: TCP }
  resolution: STATIC
  workloadSelector: { labels: { app: legacy } }
`,
    's.yaml': `
apiVersion: v1
kind: Service
metadata: { name: legacy, namespace: shop }
spec:
  clusterIP: 10.96.0.1
  selector: { app: legacy }
  ports:
    - { name: http, port: 80, targetPort: 8080 }
    - { name: other, port: 81, targetPort: https }
    - { name: nowhere, port: 82, targetPort: unknown }
`,
    'w.yaml': `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: vm, namespace: shop }
spec: { address: 192.0.2.50, labels: { app: legacy }, ports: { http: 9080, https: 9443 } }
`,
    'p.yaml': pod('pod', '10.0.0.1', { metadata: 'labels: { app: legacy }' }),
  });
  const targetsOf = (uid: string, key: string) => {
    const address = watched.addresses.get(uid);
    assert.ok(address?.kind === 'workload');
    return address.workload.services
      .get(key)
      ?.map(({ servicePort, targetPort }) => `${servicePort}→${targetPort}`);
  };
  const vm = 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm';
  const host = 'shop/legacy.example.com';
  assert.deepEqual(targetsOf(vm, host), ['80→9080', '443→9443', '25→25']);
  assert.deepEqual(targetsOf('Kubernetes//Pod/shop/pod', host), ['80→8080', '443→8443', '25→25']);
  const service = 'shop/legacy.shop.svc.cluster.local';
  assert.deepEqual(targetsOf(vm, service), ['80→8080', '81→9443']);
});
