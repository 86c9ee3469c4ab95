/** Flows between a web and a database pod, for the tests of telemetry. */
import type { Ip } from '../../../src/model/ip.ts';
import type { Service } from '../../../src/model/service.ts';
import type { Workload } from '../../../src/model/workload.ts';
import type { ClosedNumbers, FlowKind } from '../../../src/telemetry/flow-info.ts';

export function workload(name: string, address: string, more: Partial<Workload> = {}): Workload {
  return {
    uid: `Kubernetes//Pod/shop/${name}-1`,
    name: `${name}-1`,
    namespace: 'shop',
    addresses: [address as Ip],
    hostname: '',
    network: '',
    tunnelProtocol: 'NONE',
    trustDomain: '',
    serviceAccount: name,
    node: 'n1',
    locality: { region: '', zone: '', subzone: '' },
    canonicalName: name,
    canonicalRevision: 'v1',
    workloadType: 'DEPLOYMENT',
    workloadName: name,
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    healthy: true,
    clusterId: 'Kubernetes',
    hostNetwork: false,
    capacity: 1,
    scope: '',
    inboundClass: '',
    ...more,
  };
}

export const WEB = workload('web', '10.0.0.1');
export const DB = workload('db', '10.0.0.2');
export const DB_SERVICE: Service = {
  name: 'db',
  namespace: 'shop',
  hostname: 'db.shop.svc.cluster.local',
  addresses: ['10.1.0.1' as Ip],
  ports: [{ servicePort: 5432, targetPort: 5432 }],
  loadBalancing: { mode: 'UNSPECIFIED', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' },
  lbPolicy: 'round-robin',
  sessionAffinitySeconds: 0,
  maxConnections: 0,
};

export type Flow = FlowKind & ClosedNumbers;

export function flow(id: number, more: Partial<Flow> = {}): Flow {
  return {
    id,
    source: {
      address: '10.0.0.1',
      workload: WEB,
      identity: 'spiffe://cluster.local/ns/shop/sa/web',
    },
    destination: {
      address: '10.0.0.2',
      port: 5432,
      workload: DB,
      identity: 'spiffe://cluster.local/ns/shop/sa/db',
    },
    dialled: { address: '10.1.0.1', port: 5432 },
    service: DB_SERVICE,
    reporters: ['source', 'destination'],
    mutualTls: false,
    sourcePort: 40_000,
    bytesSent: 100,
    bytesReceived: 2000,
    path: 'spliced',
    reason: 'none',
    redirectedBytes: 2100,
    durationMs: 12.4,
    policy: '',
    rule: '',
    dryRun: undefined,
    ...more,
  };
}

export function denied(reason: string): Flow {
  return flow(9, { policy: 'shop/only-web', reason });
}
