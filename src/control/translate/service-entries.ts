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
import type { Locality } from '../../model/workload.ts';
import { ALL_ENDPOINTS, DEFAULT_LB_POLICY } from '../../model/service.ts';
import { byAge } from './l7/catalog.ts';
import { WORKLOAD_ENTRY } from './workload.ts';

interface Change {
  readonly resource: Resource;
  readonly present: boolean;
}

export class EntryExpansion {
  /** by namespace and host, oldest first: the first is in force */
  readonly #entries = new Map<string, readonly ServiceEntryResource[]>();
  /** What goes must be what came: the indexes know resources by identity. */
  readonly #made = new WeakMap<Resource, Map<string, readonly Resource[]>>();

  /** What a change of a resource is for the kernel's tables: itself, where it is neither. */
  change(resource: Resource, present: boolean): readonly Change[] {
    switch (resource.kind) {
      case 'ServiceEntry':
        return this.#changeEntry(resource, present);
      case 'WorkloadEntry':
        return changes(
          this.#make(resource, '', () => workloadPod(resource)),
          present,
        );
      default:
        return [{ resource, present }];
    }
  }

  #changeEntry(entry: ServiceEntryResource, present: boolean): Change[] {
    const { hosts, resolution } = entry.spec;
    if (resolution !== 'STATIC') return [];
    return [...new Set(hosts.map((host) => host.toLowerCase()))].flatMap((host) => {
      const key = `${entry.cluster ?? ''} ${entry.namespace}/${host}`;
      const before = this.#entries.get(key) ?? [];
      const others = before.filter((other) => other !== entry);
      const after = present ? [...others, entry].sort(byAge) : others;
      if (after.length > 0) this.#entries.set(key, after);
      else this.#entries.delete(key);
      if (before[0] === after[0]) return [];
      return [
        ...changes(this.#hostOf(before[0], host), false),
        ...changes(this.#hostOf(after[0], host), true),
      ];
    });
  }

  #hostOf(entry: ServiceEntryResource | undefined, host: string): readonly Resource[] {
    return entry === undefined ? [] : this.#make(entry, host, () => entryResources(entry, host));
  }

  #make(from: Resource, part: string, make: () => readonly Resource[]): readonly Resource[] {
    const parts = this.#made.get(from) ?? new Map<string, readonly Resource[]>();
    this.#made.set(from, parts);
    const made = parts.get(part) ?? make();
    parts.set(part, made);
    return made;
  }
}

function changes(resources: readonly Resource[], present: boolean): Change[] {
  return resources.map((resource) => ({ resource, present }));
}

function entryResources(entry: ServiceEntryResource, host: string): Resource[] {
  const selector = new Map(Object.entries(entry.spec.workloadSelector?.labels ?? {}));
  return [entryService(entry, host, selector), ...entrySlices(entry, host)];
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
    entry: entry.name,
    addresses: (spec.addresses ?? []).flatMap((text) => parseIp(text) ?? []),
    ports: (spec.ports ?? []).map(({ name, number, targetPort, protocol }) => ({
      name,
      port: number,
      targetPort: targetPort ?? number,
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

/** One slice per endpoint: each may have ports of its own.  "/" is illegal in the names of EndpointSlices. */
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
        entry: entry.name,
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
            zone: '',
            ...localityOf(endpoint),
            weight: endpoint.weight || 1,
            ...(endpoint.serviceAccount ? { serviceAccount: endpoint.serviceAccount } : {}),
          },
        ],
      },
    ];
  });
}

function localityOf({ locality }: WorkloadEntrySpec): { readonly locality?: Locality } {
  if (locality === undefined || locality === '') return {};
  const [region = '', zone = '', subzone = ''] = locality.split('/');
  return { locality: { region, zone, subzone } };
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
    ...localityOf(spec),
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
