/**
 * ServiceEntry and WorkloadEntry as what the kernel's tables know: Services, EndpointSlices, Pods.
 *
 * A host with addresses and known endpoints (resolution STATIC, or a workloadSelector) is balanced like any Service; one
 * that is resolved by DNS or not at all is not, and has no Service here.  A WorkloadEntry is a pod on no node.
 */
import { parseIp, type Ip } from '../../model/ip.ts';
import type {
  EndpointSliceResource,
  PodResource,
  Resource,
  ServiceResource,
} from '../../model/resource.ts';
import type {
  ServiceEntryResource,
  WorkloadEntryResource,
  WorkloadEntrySpec,
} from '../../model/resource/service-entry.ts';
import { ALL_ENDPOINTS, DEFAULT_LB_POLICY } from '../../model/service.ts';
import { WORKLOAD_ENTRY } from './workload.ts';

/** What goes must be what came: the indexes know resources by identity. */
const expanded = new WeakMap<Resource, readonly Resource[]>();

/** The resource itself where it is neither. */
export function expandEntry(resource: Resource): readonly Resource[] {
  if (resource.kind !== 'ServiceEntry' && resource.kind !== 'WorkloadEntry') return [resource];
  const known = expanded.get(resource);
  if (known !== undefined) return known;
  const made = resource.kind === 'ServiceEntry' ? entryResources(resource) : workloadPod(resource);
  expanded.set(resource, made);
  return made;
}

function entryResources(entry: ServiceEntryResource): Resource[] {
  const { hosts, resolution, workloadSelector } = entry.spec;
  if (resolution !== 'STATIC') return [];
  const selector = new Map(Object.entries(workloadSelector?.labels ?? {}));
  return [...new Set(hosts.map((host) => host.toLowerCase()))].flatMap((host) => [
    entryService(entry, host, selector),
    ...entrySlices(entry, host),
  ]);
}

function entryService(
  entry: ServiceEntryResource,
  host: string,
  selector: ReadonlyMap<string, string>,
): ServiceResource {
  const { spec, ...meta } = entry;
  return {
    ...meta,
    kind: 'Service',
    name: host,
    hostname: host,
    addresses: (spec.addresses ?? []).flatMap((text) => parseIp(text) ?? []),
    ports: (spec.ports ?? []).map(({ name, number, targetPort, protocol }) => ({
      name,
      port: number,
      targetPort: selector.size > 0 ? (targetPort ?? number) : name,
      ...(protocol === undefined ? {} : { appProtocol: protocol }),
    })),
    selector: selector.size > 0 ? selector : undefined,
    publishNotReady: false,
    ...(spec.exportTo === undefined ? {} : { exportTo: spec.exportTo }),
    lbPolicy: DEFAULT_LB_POLICY,
    sessionAffinitySeconds: 0,
    maxConnections: 0,
    localityPreference: ALL_ENDPOINTS,
  };
}

/** One slice per endpoint: each may have ports of its own. */
function entrySlices(entry: ServiceEntryResource, host: string): EndpointSliceResource[] {
  const { spec, ...meta } = entry;
  return (spec.endpoints ?? []).flatMap((endpoint, index) => {
    const addresses = addressOf(endpoint);
    if (addresses.length === 0) return [];
    return [
      {
        ...meta,
        kind: 'EndpointSlice' as const,
        name: `${entry.name}/${index}`,
        service: host,
        ports: (spec.ports ?? []).map(({ name, number, targetPort }) => ({
          name,
          port: endpoint.ports?.[name] ?? targetPort ?? number,
        })),
        endpoints: [
          {
            addresses,
            ready: true,
            pod: undefined,
            node: '',
            zone: (endpoint.locality ?? '').split('/')[1] ?? '',
            weight: endpoint.weight || 1,
          },
        ],
      },
    ];
  });
}

function addressOf({ address = '' }: WorkloadEntrySpec): Ip[] {
  const ip = parseIp(address);
  return ip === undefined ? [] : [ip];
}

/** Nothing where the address is a name: only DNS clusters can use that. */
function workloadPod(entry: WorkloadEntryResource): Resource[] {
  const { spec, ...meta } = entry;
  const addresses = addressOf(spec);
  if (addresses.length === 0) return [];
  const pod: PodResource = {
    ...meta,
    kind: 'Pod',
    name: `${WORKLOAD_ENTRY}${entry.name}`,
    labels: new Map([...entry.labels, ...Object.entries(spec.labels ?? {})]),
    ...(spec.network ? { network: spec.network } : {}),
    addresses,
    hostNetwork: false,
    serviceAccount: spec.serviceAccount || 'default',
    node: '',
    ready: true,
    owner: undefined,
    ports: Object.entries(spec.ports ?? {}).map(([name, port]) => ({ name, port })),
    images: [],
    weight: spec.weight || 1,
    netns: undefined,
    captureProxy: false,
    splice: 'never',
    portModes: new Map(),
  };
  return [pod];
}
