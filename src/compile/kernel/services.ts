/**
 * One Service port at one virtual address → its kernel entry: the backends a connect there is spread over.
 */
import { ipFamily, type Ip } from '../../model/ip.ts';
import { serviceKey, type LbPolicy, type Service } from '../../model/service.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { Workload } from '../../model/workload.ts';
import type { Allocators } from './numbers.ts';
import { fillSlots } from './slots.ts';

export interface Backend {
  /** stable number of (address, port): the key of its active count */
  readonly id: number;
  readonly addr: Ip;
  readonly port: number;
}

export interface ServiceEntry {
  /** "address|port" */
  readonly key: string;
  readonly addr: Ip;
  readonly port: number;
  /** stable number of (address, port) */
  readonly id: number;
  readonly policy: LbPolicy;
  /** one backend per slot, weights expanded; empty: no ready endpoint */
  readonly slots: readonly Backend[];
  /** the weights did not fit in the slots and were rounded */
  readonly rounded: boolean;
  /** for telemetry */
  readonly service: Pick<Service, 'namespace' | 'name' | 'hostname'>;
}

export function serviceEntryKeys(service: Service | undefined): string[] {
  return (service?.addresses ?? []).flatMap((addr) =>
    service!.ports.map(({ servicePort }) => entryKey(addr, servicePort)),
  );
}

/** undefined when the Service has no such address and port */
export function compileService(
  snapshot: Snapshot,
  service: Service,
  key: string,
  numbers: Allocators,
): ServiceEntry | undefined {
  const addr = service.addresses.find((ip) => key.startsWith(`${ip}|`));
  const port = service.ports.find(({ servicePort }) => key === `${addr}|${servicePort}`);
  if (addr === undefined || port === undefined) return undefined;
  const endpoints = [...(snapshot.endpoints.get(serviceKey(service))?.values() ?? [])]
    .filter((workload) => workload.healthy || service.allowUnhealthy)
    .sort((a, b) => (a.uid < b.uid ? -1 : 1))
    .flatMap((workload) => {
      const target = targetOf(workload, service, port);
      const ip = workload.addresses.find((address) => ipFamily(address) === ipFamily(addr));
      if (ip === undefined || target === undefined) return [];
      const id = numbers.backends.number(entryKey(ip, target));
      return [{ backend: { id, addr: ip, port: target }, weight: workload.capacity }];
    });
  const { order, rounded } = fillSlots(endpoints.map(({ weight }) => weight));
  return {
    key,
    addr,
    port: port.servicePort,
    id: numbers.services.number(key),
    policy: service.lbPolicy,
    slots: order.map((index) => endpoints[index]!.backend),
    rounded,
    service: { namespace: service.namespace, name: service.name, hostname: service.hostname },
  };
}

function entryKey(addr: Ip, port: number): string {
  return `${addr}|${port}`;
}

/** The endpoint's own word first (named ports differ from pod to pod), then the Service's. */
function targetOf(
  workload: Workload,
  service: Service,
  port: Service['ports'][number],
): number | undefined {
  const own = workload.services
    .get(serviceKey(service))
    ?.find(({ servicePort }) => servicePort === port.servicePort);
  if (own === undefined) return undefined;
  return own.targetPort || port.targetPort || undefined;
}
