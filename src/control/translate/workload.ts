/**
 * Pod → istio.workload.Workload, with the names telemetry uses derived as Istio derives them.
 */
import type { EndpointSliceResource, PodResource, ResourceMeta } from '../../model/resource.ts';
import type { GatewayAddress } from '../../model/gateway-address.ts';
import type { SliceEndpoint } from './endpoint-index.ts';
import type { Ip } from '../../model/ip.ts';
import {
  NO_LOCALITY,
  podUid,
  type Locality,
  type ServicePortTarget,
  type Workload,
  type WorkloadType,
} from '../../model/workload.ts';
import type { MeshView } from './mesh-view.ts';
import type { TranslateOptions } from './options.ts';

type Labels = ReadonlyMap<string, string>;
const NO_LABELS: Labels = new Map();
const NETWORK_LABEL = 'topology.istio.io/network';

export interface Attachments {
  readonly services: ReadonlyMap<string, readonly ServicePortTarget[]>;
  readonly policies: readonly string[];
  readonly locality: Locality | undefined;
  /** see Workload.scope */
  readonly scope: string;
  /** see Workload.inboundClass */
  readonly inboundClass: string;
  readonly waypoint: GatewayAddress | undefined;
}

/** Before the name of what a WorkloadEntry becomes; "/" is illegal in the names of pods. */
export const WORKLOAD_ENTRY = 'WorkloadEntry/';

export function isWorkloadEntry({ name }: Pick<PodResource, 'name'>): boolean {
  return name.startsWith(WORKLOAD_ENTRY);
}

/** Of a pod, or of a WorkloadEntry, which is one to all but its name. */
export function podMessageUid(
  clusterId: string,
  { namespace, name }: Pick<PodResource, 'namespace' | 'name'>,
): string {
  if (!isWorkloadEntry({ name })) return podUid(clusterId, namespace, name);
  return `${clusterId}/networking.istio.io/${WORKLOAD_ENTRY}${namespace}/${plainName(name)}`;
}

function plainName(name: string): string {
  return name.startsWith(WORKLOAD_ENTRY) ? name.slice(WORKLOAD_ENTRY.length) : name;
}

export function podWorkload(
  pod: PodResource,
  { services, policies, locality, scope, inboundClass, waypoint }: Attachments,
  options: TranslateOptions,
): Workload {
  const { name: workloadName, type: workloadType } = ownerOf(pod);
  return {
    uid: podMessageUid(options.clusterId, pod),
    name: plainName(pod.name),
    namespace: pod.namespace,
    addresses: pod.addresses,
    hostname: '',
    network: pod.labels.get(NETWORK_LABEL) ?? pod.network ?? '',
    tunnelProtocol: pod.hbone ? 'HBONE' : 'NONE',
    trustDomain: options.trustDomain,
    serviceAccount: pod.serviceAccount,
    node: pod.node,
    locality: pod.locality ?? locality ?? NO_LOCALITY,
    ...canonicalNames(pod.labels, workloadName),
    workloadType,
    workloadName,
    nativeTunnel: pod.nativeTunnel ?? false,
    services,
    authorizationPolicies: policies,
    healthy: pod.ready,
    clusterId: options.clusterId,
    hostNetwork: pod.hostNetwork,
    capacity: pod.weight,
    scope,
    inboundClass,
    ...(waypoint && { waypoint }),
  };
}

export function bareUid(
  clusterId: string,
  { namespace, name, entry }: Pick<EndpointSliceResource, 'namespace' | 'name' | 'entry'>,
  address: string,
): string {
  if (entry !== undefined) return entryEndpointUid(clusterId, { namespace, name: entry }, address);
  return `${clusterId}/discovery.k8s.io/EndpointSlice/${namespace}/${name}/${address}`;
}

/** Of an endpoint that a ServiceEntry lists itself. */
export function entryEndpointUid(
  clusterId: string,
  { namespace, name }: Pick<ResourceMeta, 'namespace' | 'name'>,
  address: string,
): string {
  return `${clusterId}/networking.istio.io/ServiceEntry/${namespace}/${name}/${address}`;
}

/**
 * An endpoint that is no pod of the mesh: an address an EndpointSlice or a ServiceEntry lists.
 *
 * Whoever may write one of these may write any address into it, so the message claims none, like one of the node's network.
 */
export function bareWorkload(
  { slice, endpoint }: SliceEndpoint,
  address: Ip,
  services: ReadonlyMap<string, readonly ServicePortTarget[]>,
  localityOf: MeshView['localityOf'],
  options: TranslateOptions,
): Workload {
  const { clusterId } = options;
  const name = slice.entry ?? slice.name;
  // The labels of an EndpointSlice are those of its Service.
  const labels = slice.entry === undefined ? NO_LABELS : slice.labels;
  return {
    uid: bareUid(clusterId, slice, address),
    name,
    namespace: slice.namespace,
    addresses: [address],
    hostname: '',
    network: slice.network ?? '',
    tunnelProtocol: 'NONE',
    trustDomain: options.trustDomain,
    serviceAccount: endpoint.serviceAccount ?? '',
    node: endpoint.node,
    locality: endpoint.locality ??
      localityOf(endpoint.node) ?? { ...NO_LOCALITY, zone: endpoint.zone },
    ...canonicalNames(labels, name),
    workloadType: 'POD',
    workloadName: name,
    nativeTunnel: false,
    services,
    authorizationPolicies: [],
    healthy: true,
    clusterId,
    hostNetwork: true,
    capacity: endpoint.weight ?? 1,
    scope: '',
    inboundClass: '',
  };
}

function canonicalNames(
  labels: Labels,
  workloadName: string,
): Pick<Workload, 'canonicalName' | 'canonicalRevision'> {
  return {
    canonicalName:
      firstLabel(labels, ['service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app']) ??
      workloadName,
    canonicalRevision:
      firstLabel(labels, [
        'service.istio.io/canonical-revision',
        'app.kubernetes.io/version',
        'version',
      ]) ?? 'latest',
  };
}

function firstLabel(labels: Labels, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = labels.get(name);
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}

function ownerOf(pod: PodResource): { name: string; type: WorkloadType } {
  const { owner } = pod;
  switch (owner?.kind) {
    case 'ReplicaSet': {
      const hash = pod.labels.get('pod-template-hash') ?? '';
      const suffix = `-${hash}`;
      const named = hash !== '' && owner.name.endsWith(suffix);
      return {
        name: named ? owner.name.slice(0, -suffix.length) : owner.name,
        type: 'DEPLOYMENT',
      };
    }
    case 'Deployment':
      return { name: owner.name, type: 'DEPLOYMENT' };
    case 'Job': {
      // CronJobs name their Jobs with the minute they run at.
      const [, cronJob] = /^(.+)-[0-9]{8,10}$/.exec(owner.name) ?? [];
      return cronJob === undefined
        ? { name: owner.name, type: 'JOB' }
        : { name: cronJob, type: 'CRONJOB' };
    }
    case undefined:
    case 'Node': // of a static pod
      return { name: plainName(pod.name), type: 'POD' };
    default: // StatefulSet, DaemonSet, or what somebody's operator calls it
      return { name: owner!.name, type: 'POD' };
  }
}
