/**
 * `podwire workloads`, and Services and their endpoints as control would send them.
 */
import type { Command } from 'commander';
import type { ResourceView } from '../../admin/resource-view.ts';
import { hostPort } from '../../model/host-port.ts';
import { formatSpiffe } from '../../model/identity.ts';
import { serviceKey, type Service } from '../../model/service.ts';
import {
  DEFAULT_TRUST_DOMAIN,
  type ServicePortTarget,
  type Workload,
} from '../../model/workload.ts';
import type { Column } from '../output.ts';
import { inspectCommand, type InspectVerb } from './command.ts';

export interface PlainWorkload extends Omit<Workload, 'services'> {
  readonly services: Readonly<Record<string, readonly ServicePortTarget[]>>;
}

/** As JSON: maps are objects. */
export type PlainAddress =
  | { readonly kind: 'workload'; readonly workload: PlainWorkload }
  | { readonly kind: 'service'; readonly service: Service };

export function workloadsIn(resources: readonly ResourceView<PlainAddress>[]): PlainWorkload[] {
  return resources.flatMap(({ resource }) =>
    resource.kind === 'workload' ? [resource.workload] : [],
  );
}

export function servicesIn(resources: readonly ResourceView<PlainAddress>[]): Service[] {
  return resources.flatMap(({ resource }) =>
    resource.kind === 'service' ? [resource.service] : [],
  );
}

const WORKLOAD_COLUMNS: readonly Column<PlainWorkload>[] = [
  { head: 'NAMESPACE', cell: ({ namespace }) => namespace },
  { head: 'NAME', cell: ({ name }) => name },
  { head: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') },
  { head: 'NODE', cell: ({ node }) => node },
  { head: 'IDENTITY', cell: identityOf },
  { head: 'PROTOCOL', cell: ({ tunnelProtocol }) => (tunnelProtocol === 'NONE' ? 'TCP' : 'HBONE') },
  { head: 'HEALTHY', cell: ({ healthy }) => (healthy ? 'yes' : 'no') },
  { head: 'SERVICES', cell: ({ services }) => Object.keys(services).join(',') },
];

export function workloadsCommand(): Command {
  return inspectCommand<PlainAddress, PlainWorkload>({
    name: 'workloads',
    description: 'List the workloads of the mesh: addresses, nodes, identities.',
    kind: 'addresses',
    wanted: ({ kind }) => kind === 'workload',
    columns: WORKLOAD_COLUMNS,
    rows: workloadsIn,
    empty: 'no workloads',
  });
}

function identityOf({ trustDomain, namespace, serviceAccount }: PlainWorkload): string {
  return formatSpiffe({
    trustDomain: trustDomain || DEFAULT_TRUST_DOMAIN,
    namespace,
    serviceAccount: serviceAccount || 'default',
  });
}

export interface EndpointRow {
  /** "namespace/hostname:port", or the name of a cluster */
  readonly of: string;
  readonly layer: 'L4' | 'L7';
  readonly endpoint: string;
  readonly workload: string;
  readonly healthy: boolean;
  readonly weight: number;
}

/** One row per Service port, workload and address. */
export function endpointRows(resources: readonly ResourceView<PlainAddress>[]): EndpointRow[] {
  const services = new Map(servicesIn(resources).map((service) => [serviceKey(service), service]));
  return workloadsIn(resources).flatMap((workload) =>
    Object.entries(workload.services).flatMap(([key, ports]) =>
      ports.flatMap(({ servicePort, targetPort }) => {
        const own = services.get(key)?.ports.find((port) => port.servicePort === servicePort);
        return workload.addresses.map((address): EndpointRow => ({
          of: `${key}:${servicePort}`,
          layer: 'L4',
          endpoint: hostPort(address, targetPort || own?.targetPort || 0),
          workload: `${workload.namespace}/${workload.name}`,
          healthy: workload.healthy,
          weight: workload.capacity,
        }));
      }),
    ),
  );
}

/** `podwire services --from control`, and its --diff: the kernel's counts are the agent's alone. */
export const SENT_SERVICES: InspectVerb<PlainAddress, Service> = {
  name: 'services',
  description: '',
  kind: 'addresses',
  wanted: ({ kind }) => kind === 'service',
  columns: [
    { head: 'SERVICE', cell: ({ namespace, name }) => `${namespace}/${name}` },
    { head: 'HOSTNAME', cell: ({ hostname }) => hostname },
    { head: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') || 'headless' },
    { head: 'PORTS', cell: ({ ports }) => ports.map(({ servicePort }) => servicePort).join(',') },
    { head: 'BALANCING', cell: ({ lbPolicy }) => lbPolicy },
  ],
  rows: servicesIn,
  empty: 'no Services',
};
