/**
 * A mesh for two control planes: every kind of object a node mesh reads, as users and Kubernetes' controllers write them.
 *
 * There are no controllers here, so owners are named without existing and EndpointSlices are written out.
 */
import { parseAllDocuments } from 'yaml';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { createNamespace, merge } from './objects.ts';

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly status?: unknown;
}

export const MESH = `
apiVersion: v1
kind: Node
metadata:
  name: n1
  labels:
    topology.kubernetes.io/region: north
    topology.kubernetes.io/zone: north-a
    topology.istio.io/subzone: rack-7
---
apiVersion: v1
kind: Node
metadata:
  name: n2
  labels: { topology.kubernetes.io/region: north, topology.kubernetes.io/zone: north-b }
---
apiVersion: v1
kind: Node
metadata: { name: n3 }
---
${pod('web-7d4b9c-abcde', ['10.1.0.1', 'fd00::1'], {
  labels: { app: 'web', version: 'v1', 'pod-template-hash': '7d4b9c' },
  owner: { kind: 'ReplicaSet', name: 'web-7d4b9c' },
  ports: [{ name: 'http', containerPort: 8080 }],
  serviceAccount: 'web',
})}
---
${pod('web-7d4b9c-fghij', ['10.1.0.2'], {
  labels: { app: 'web', version: 'v2', 'pod-template-hash': '7d4b9c' },
  owner: { kind: 'ReplicaSet', name: 'web-7d4b9c' },
  ports: [{ name: 'http', containerPort: 8081 }],
  serviceAccount: 'web',
  node: 'n2',
})}
---
${pod('web-not-ready', ['10.1.0.3'], { labels: { app: 'web' }, ready: false, node: 'n3', ports: [{ name: 'http', containerPort: 8080 }] })}
---
${pod('db-0', ['10.1.0.4'], {
  labels: { 'app.kubernetes.io/name': 'database', 'app.kubernetes.io/version': '16', app: 'db' },
  owner: { kind: 'StatefulSet', name: 'db' },
})}
---
${pod('report-29012345-x', ['10.1.0.5'], { labels: { app: 'report' }, owner: { kind: 'Job', name: 'report-29012345' } })}
---
${pod('migrate-x', ['10.1.0.6'], { labels: { 'batch.kubernetes.io/job-name': 'migrate' }, owner: { kind: 'Job', name: 'migrate' } })}
---
${pod('lone', ['10.1.0.7'], { labels: {} })}
---
${pod('named-by-label', ['10.1.0.8'], {
  labels: {
    'service.istio.io/canonical-name': 'storefront',
    'service.istio.io/canonical-revision': 'blue',
    app: 'other',
  },
  owner: { kind: 'DaemonSet', name: 'named-by-label' },
})}
---
${pod('opted-out', ['10.1.0.9'], { labels: { app: 'opted-out', 'istio.io/dataplane-mode': 'none' }, captured: false })}
---
${pod('on-the-node', ['10.250.0.11'], { labels: { app: 'exporter' }, hostNetwork: true, captured: false })}
---
${pod('over', ['10.1.0.10'], { labels: { app: 'web' }, phase: 'Succeeded' })}
---
${pod('elsewhere', ['10.1.0.11'], { labels: { app: 'elsewhere', 'topology.istio.io/network': 'west' } })}
---
${pod('safe', ['10.1.1.1'], { namespace: 'vault', labels: { app: 'safe' }, ports: [{ name: 'api', containerPort: 7000 }] })}
---
${service('web', '10.96.1.1', { selector: { app: 'web' } }, [
  { name: 'http', port: 80, targetPort: 'http' },
  { name: 'metrics', port: 9090 },
])}
---
${service('by-selector', '10.96.1.2', { selector: { app: 'web' } }, [
  { name: 'http', port: 80, targetPort: 'http' },
])}
---
${service('headless', 'None', { selector: { app: 'db' } }, [{ name: 'sql', port: 5432 }])}
---
${service('unready', '10.96.1.3', { selector: { app: 'web' }, publishNotReadyAddresses: true }, [
  { port: 80, targetPort: 8080 },
])}
---
${service('same-node', '10.96.1.4', { selector: { app: 'web' }, internalTrafficPolicy: 'Local' }, [
  { port: 80, targetPort: 8080 },
])}
---
${service(
  'same-zone',
  '10.96.1.5',
  { selector: { app: 'web' }, trafficDistribution: 'PreferClose' },
  [{ port: 80, targetPort: 8080 }],
)}
---
${service('sticky', '10.96.1.6', { selector: { app: 'db' }, sessionAffinity: 'ClientIP' }, [
  { port: 5432 },
])}
---
${service('mixed', '10.96.1.7', { selector: { app: 'db' } }, [
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns-tcp', port: 53, protocol: 'TCP' },
])}
---
${service('outside', '10.96.1.8', {}, [{ name: 'smtp', port: 25 }])}
---
${service('exporter', '10.96.1.9', { selector: { app: 'exporter' } }, [{ port: 9100 }])}
---
${service('nobody', '10.96.1.10', { selector: { app: 'nobody' } }, [{ port: 80 }])}
---
apiVersion: v1
kind: Service
metadata: { name: alias, namespace: shop }
spec: { type: ExternalName, externalName: example.com }
---
${slice(
  'web',
  [
    { name: 'http', port: 8080 },
    { name: 'metrics', port: 9090 },
  ],
  [
    { ip: '10.1.0.1', pod: 'web-7d4b9c-abcde', node: 'n1' },
    { ip: '10.1.0.3', pod: 'web-not-ready', node: 'n3', ready: false },
  ],
)}
---
${slice(
  'web',
  [
    { name: 'http', port: 8081 },
    { name: 'metrics', port: 9090 },
  ],
  [{ ip: '10.1.0.2', pod: 'web-7d4b9c-fghij', node: 'n2' }],
)}
---
${slice(
  'outside',
  [{ name: 'smtp', port: 2525 }],
  [
    { ip: '192.0.2.25', zone: 'north-b' },
    { ip: '192.0.2.26', ready: false },
  ],
)}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: billing, namespace: shop }
spec:
  hosts: [billing.example.com]
  addresses: [198.51.100.1]
  ports: [{ number: 443, name: https, protocol: TLS, targetPort: 8443 }]
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints:
    - { address: 192.0.2.40, labels: { app: billing }, serviceAccount: bills }
    - { address: 192.0.2.41, ports: { https: 9443 } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: legacy, namespace: shop }
spec:
  hosts: [legacy.shop.internal]
  addresses: [198.51.100.2]
  ports:
    - { number: 80, name: http, protocol: HTTP }
    - { number: 443, name: https, protocol: TLS, targetPort: 8443 }
    - { number: 25, name: smtp, protocol: TCP }
  location: MESH_INTERNAL
  resolution: STATIC
  workloadSelector: { labels: { app: legacy } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: vm-1, namespace: shop }
spec: { address: 192.0.2.50, labels: { app: legacy }, serviceAccount: legacy, locality: south/south-a, weight: 3, ports: { http: 9080, https: 9443 } }
---
${service('legacy', '10.96.1.11', { selector: { app: 'legacy' } }, [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'other', port: 81, targetPort: 'https' },
])}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: anywhere, namespace: shop }
spec:
  hosts: [anywhere.example.com]
  addresses: [203.0.113.7]
  ports: [{ number: 443, name: tls, protocol: TLS }]
  resolution: NONE
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: strict, namespace: vault }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: ports, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  mtls: { mode: STRICT }
  portLevelMtls: { '9090': { mode: PERMISSIVE } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: one-port, namespace: shop }
spec:
  selector: { matchLabels: { app: db } }
  mtls: { mode: PERMISSIVE }
  portLevelMtls: { '5432': { mode: STRICT } }
---
${policy('mesh-wide', { action: 'DENY', rules: [{ from: [{ source: { namespaces: ['evil'] } }] }] }, { namespace: 'istio-system' })}
---
${policy(
  'mesh-selected',
  {
    selector: { matchLabels: { app: 'db' } },
    action: 'DENY',
    rules: [{ to: [{ operation: { ports: ['1'] } }] }],
  },
  { namespace: 'istio-system' },
)}
---
${policy('nothing', {}, { namespace: 'vault' })}
---
${policy('everything', { rules: [{}] })}
---
${policy('selected', {
  selector: { matchLabels: { app: 'web' } },
  action: 'DENY',
  rules: [{ from: [{ source: { principals: ['cluster.local/ns/shop/sa/bob'] } }] }],
})}
---
${policy('sources', {
  selector: { matchLabels: { app: 'web' } },
  action: 'DENY',
  rules: [
    {
      from: [
        {
          source: {
            principals: ['*/sa/a', 'b/*', '*'],
            notPrincipals: ['cluster.local/ns/x/sa/y'],
          },
        },
        { source: { namespaces: ['blue', 'green-*', '*-red'], notNamespaces: ['grey'] } },
        {
          source: {
            ipBlocks: ['10.0.0.0/8', '192.0.2.1', 'fd00::/8'],
            notIpBlocks: ['10.1.0.0/16'],
          },
        },
      ],
      to: [{ operation: { ports: ['8080', '8081'], notPorts: ['9090'] } }],
      when: [
        { key: 'destination.port', values: ['80'], notValues: ['81'] },
        { key: 'source.namespace', values: ['a'] },
      ],
    },
    { from: [{ source: { ipBlocks: ['203.0.113.0/24'] } }] },
  ],
})}
---
${policy('conditions', {
  selector: { matchLabels: { app: 'web' } },
  action: 'DENY',
  rules: [
    {
      when: [
        { key: 'source.ip', values: ['10.0.0.0/8'], notValues: ['10.2.0.0/16'] },
        { key: 'destination.ip', values: ['10.1.0.1'] },
        { key: 'source.principal', notValues: ['*'] },
      ],
    },
  ],
})}
---
${policy('accounts', {
  selector: { matchLabels: { app: 'web' } },
  action: 'DENY',
  rules: [
    {
      from: [
        { source: { serviceAccounts: ['bob', 'vault/eve'], notServiceAccounts: ['shop/root'] } },
      ],
    },
  ],
})}
---
${policy('trial', { action: 'DENY', rules: [{ to: [{ operation: { ports: ['22'] } }] }] }, { annotations: { 'istio.io/dry-run': 'true' } })}
---
${policy('http-allow', {
  selector: { matchLabels: { app: 'db' } },
  action: 'ALLOW',
  rules: [
    { to: [{ operation: { methods: ['GET'], ports: ['8080'] } }] },
    { from: [{ source: { namespaces: ['shop'] } }] },
  ],
})}
---
${policy('http-deny', {
  selector: { matchLabels: { app: 'db' } },
  action: 'DENY',
  rules: [
    {
      from: [{ source: { namespaces: ['evil'] } }],
      to: [{ operation: { methods: ['PUT'], ports: ['8080'] } }],
    },
  ],
})}
---
${policy('http-deny-only', {
  selector: { matchLabels: { app: 'report' } },
  action: 'DENY',
  rules: [
    { from: [{ source: { namespaces: ['evil'] } }], to: [{ operation: { paths: ['/admin'] } }] },
    { when: [{ key: 'request.headers[x]', values: ['1'] }] },
  ],
})}
---
${policy('audit', { action: 'AUDIT', rules: [{}] })}
---
${policy('custom', { selector: { matchLabels: { app: 'opted-out' } }, action: 'CUSTOM', provider: { name: 'ext' }, rules: [{}] })}
---
${policy('for-service', { targetRefs: [{ kind: 'Service', group: '', name: 'web' }], action: 'DENY', rules: [{ to: [{ operation: { ports: ['8080'] } }] }] })}
`;

interface PodShape {
  readonly namespace?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner?: { readonly kind: string; readonly name: string };
  readonly ports?: readonly object[];
  readonly serviceAccount?: string;
  readonly node?: string;
  readonly ready?: boolean;
  readonly hostNetwork?: boolean;
  /** by a node agent, which says so in an annotation */
  readonly captured?: boolean;
  readonly phase?: string;
}

/** JSON is YAML. */
function pod(name: string, ips: readonly string[], shape: PodShape): string {
  const { namespace = 'shop', labels, owner, captured = true, ready = true } = shape;
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      // Istio asks for it before it believes an owner.
      generateName: owner && name.slice(0, name.lastIndexOf('-') + 1),
      namespace,
      labels,
      annotations: captured ? { 'ambient.istio.io/redirection': 'enabled' } : {},
      ownerReferences: owner && [{ ...owner, apiVersion: 'apps/v1', uid: 'u', controller: true }],
    },
    spec: {
      nodeName: shape.node ?? 'n1',
      serviceAccountName: shape.serviceAccount ?? 'default',
      hostNetwork: shape.hostNetwork,
      containers: [{ name: 'main', image: 'example.com/main:1', ports: shape.ports }],
    },
    status: {
      phase: shape.phase ?? 'Running',
      podIP: ips[0],
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  });
}

function service(name: string, clusterIP: string, spec: object, ports: readonly object[]): string {
  const metadata = { name, namespace: 'shop' };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { clusterIP, ports, ...spec },
  });
}

interface EndpointShape {
  readonly ip: string;
  readonly pod?: string;
  readonly node?: string;
  readonly zone?: string;
  readonly ready?: boolean;
}

function slice(of: string, ports: readonly object[], endpoints: readonly EndpointShape[]): string {
  return JSON.stringify({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${of}-${endpoints[0]!.ip.split('.').at(-1)!}`,
      namespace: 'shop',
      labels: { 'kubernetes.io/service-name': of },
    },
    addressType: 'IPv4',
    ports,
    endpoints: endpoints.map(({ ip, node, zone, pod: name, ready = true }) => ({
      addresses: [ip],
      conditions: { ready },
      nodeName: node,
      zone,
      targetRef: name && { kind: 'Pod', name, namespace: 'shop' },
    })),
  });
}

function policy(
  name: string,
  spec: object,
  { namespace = 'shop', annotations = {} }: { namespace?: string; annotations?: object } = {},
): string {
  const metadata = { name, namespace, annotations };
  return JSON.stringify({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata,
    spec,
  });
}

/** As kubectl apply of a new file, and what the kubelet would write of a pod. */
export async function createObjects(client: KubernetesClient, yaml: string): Promise<void> {
  for (const document of parseAllDocuments(yaml)) {
    const { status, ...body } = document.toJS() as KubernetesObject;
    const path = pathOf(body);
    await client.call(path.slice(0, path.lastIndexOf('/')), { method: 'POST', body });
    if (status !== undefined) await client.call(`${path}/status`, merge({ status }));
  }
}

/** Of the object itself. */
export function pathOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { name, namespace } = metadata;
  const plural = kind.toLowerCase().replace(/y$/, 'ie') + 's';
  return `${root}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}/${name}`;
}

export async function createMeshNamespaces(client: KubernetesClient): Promise<void> {
  for (const name of ['shop', 'vault']) {
    await createNamespace(client, name, { 'istio.io/dataplane-mode': 'ambient' });
  }
}
