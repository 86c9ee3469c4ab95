/**
 * Random meshes as updates of the store, over a small world, so that changes often meet.
 */
import fc from 'fast-check';
import { parseIp, type Ip } from '../../../src/model/ip.ts';
import type { GatewayAddress } from '../../../src/model/gateway-address.ts';
import type { EnrolledPod, SpliceMode } from '../../../src/model/enrolment.ts';
import type { Address, Delta, L4Update } from '../../../src/model/messages.ts';
import {
  LB_POLICIES,
  type LoadBalancing,
  type RoutingScope,
  type Service,
} from '../../../src/model/service.ts';
import type { Workload } from '../../../src/model/workload.ts';
import { policy, record } from './policy-arbitraries.ts';

export const WORKLOAD_NAMES = ['w1', 'w2', 'w3', 'w4', 'w5'];
const SERVICE_NAMES = ['s1', 's2', 's3'];
const SPLICE_MODES: readonly SpliceMode[] = ['default', 'always', 'never', 'observe'];

export function uidOf(name: string): string {
  return `Kubernetes//Pod/a/${name}`;
}

export function serviceKeyOf(name: string): string {
  return `a/${name}.a.svc.cluster.local`;
}

const ip = (text: string): Ip => parseIp(text)!;
const addresses = WORKLOAD_NAMES.flatMap((_, index) => [
  [ip(`10.0.0.${index + 1}`)],
  [ip(`10.0.0.${index + 1}`), ip(`fd00::${index + 1}`)],
]);

const port = fc.constantFrom(80, 81);
const targets = fc.uniqueArray(
  record({ servicePort: port, targetPort: fc.constantFrom(0, 8080, 9090) }),
  { selector: ({ servicePort }) => servicePort, maxLength: 2 },
);

const gateway: fc.Arbitrary<GatewayAddress | undefined> = fc.constantFrom(undefined, undefined, {
  service: serviceKeyOf('s1'),
  port: 15008,
});

export const workload: fc.Arbitrary<Workload> = record({
  name: fc.constantFrom(...WORKLOAD_NAMES),
  addresses: fc.constantFrom(...addresses),
  serviceAccount: fc.constantFrom('', 'x', 'y'),
  node: fc.constantFrom('', 'n1', 'n2'),
  locality: record({
    region: fc.constantFrom('', 'r1'),
    zone: fc.constantFrom('', 'z1', 'z2'),
    subzone: fc.constant(''),
  }),
  healthy: fc.boolean(),
  tunnelProtocol: fc.constantFrom('NONE', 'HBONE'),
  gateway,
  capacity: fc.constantFrom(0, 1, 1, 2, 3),
  scope: fc.constantFrom('', 'shop~0123456789ab'),
  inboundClass: fc.constantFrom('', 'shop/0123456789ab'),
  services: fc.dictionary(fc.constantFrom(...SERVICE_NAMES), targets, { noNullPrototype: true }),
  policies: fc.subarray(['a/p1', 'a/p2', 'root/p3']),
}).map(({ name, services, policies, gateway: waypoint, ...rest }) => ({
  ...rest,
  ...(waypoint && { waypoint }),
  uid: uidOf(name),
  name,
  namespace: 'a',
  hostname: '',
  network: '',
  trustDomain: '',
  canonicalName: name,
  canonicalRevision: 'latest',
  workloadType: 'POD',
  workloadName: name,
  nativeTunnel: false,
  services: new Map(Object.entries(services).map(([key, list]) => [serviceKeyOf(key), list])),
  authorizationPolicies: policies,
  clusterId: 'Kubernetes',
  hostNetwork: false,
}));

export const service: fc.Arbitrary<Service> = record({
  name: fc.constantFrom(...SERVICE_NAMES),
  // shared by several Services now and then, as ServiceEntries do
  addresses: fc.subarray([ip('10.96.0.1'), ip('10.96.0.2'), ip('fd96::1')]),
  ports: fc.uniqueArray(record({ servicePort: port, targetPort: fc.constantFrom(0, 80) }), {
    selector: ({ servicePort }) => servicePort,
    maxLength: 2,
  }),
  loadBalancing: record({
    mode: fc.constantFrom('UNSPECIFIED', 'STRICT', 'FAILOVER', 'PASSTHROUGH'),
    routingPreference: fc.subarray<RoutingScope>(['NETWORK', 'REGION', 'ZONE', 'SUBZONE', 'NODE']),
    healthPolicy: fc.constantFrom('ONLY_HEALTHY', 'ALLOW_ALL'),
  }).map((lb): LoadBalancing =>
    lb.mode === 'UNSPECIFIED' ? { ...lb, routingPreference: [] } : lb,
  ),
  lbPolicy: fc.constantFrom(...LB_POLICIES),
  sessionAffinitySeconds: fc.constantFrom(0, 0, 60),
  maxConnections: fc.constantFrom(0, 0, 5),
  gateway,
}).map(({ gateway: waypoint, ...fields }) => ({
  ...fields,
  ...(waypoint && { waypoint }),
  namespace: 'a',
  hostname: `${fields.name}.a.svc.cluster.local`,
}));

const address: fc.Arbitrary<Address> = fc.oneof(
  workload.map((value): Address => ({ kind: 'workload', workload: value })),
  service.map((value): Address => ({ kind: 'service', service: value })),
);

const addressNames = fc.constantFrom(
  ...WORKLOAD_NAMES.map(uidOf),
  ...SERVICE_NAMES.map(serviceKeyOf),
);

export const update: fc.Arbitrary<L4Update> = record({
  addresses: delta(address, addressNames),
  authorizations: delta(policy, fc.constantFrom('a/p1', 'a/p2', 'root/p3', 'root/p4')),
});

export const enrolled: fc.Arbitrary<EnrolledPod[]> = fc.uniqueArray(
  record({
    name: fc.constantFrom(...WORKLOAD_NAMES),
    captureProxy: fc.boolean(),
    sameNodeTunnel: fc.boolean(),
    splice: fc.constantFrom(...SPLICE_MODES),
    portModes: fc
      .uniqueArray(fc.tuple(port, fc.constantFrom(...SPLICE_MODES)), { selector: ([p]) => p })
      .map((modes) => new Map(modes)),
    images: fc.subarray(['i1', 'i2']),
    probePorts: fc.subarray([80, 8080]),
    labels: fc.constant(new Map()),
    namespaceLabels: fc.constant(new Map()),
    ports: fc.constant([]),
  }).map((fields) => ({
    ...fields,
    uid: uidOf(fields.name),
    namespace: 'a',
    netns: fields.name,
    netnsPath: `/run/netns/${fields.name}`,
    origin: { file: 'f.yaml', resource: `Pod a/${fields.name}`, path: '' },
  })),
  { selector: ({ uid }) => uid },
);

function delta<T>(upsert: fc.Arbitrary<T>, names: fc.Arbitrary<string>): fc.Arbitrary<Delta<T>> {
  return record({
    upserts: fc.array(upsert, { maxLength: 6 }),
    removals: fc.array(names, { maxLength: 2 }),
  });
}
