/**
 * One Service port at one virtual address → its kernel entry: the backends a connect there is spread over.
 */
import { ipFamily, type Ip } from '../../model/ip.ts';
import { serviceKey, type LbPolicy, type Service } from '../../model/service.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { Place, Workload } from '../../model/workload.ts';
import { preferred } from './locality.ts';
import type { Allocators } from './numbers.ts';
import { fillSlots } from './slots.ts';

export interface Backend {
  /** stable number of (address, port): the key of its load */
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
  /** 0: no session affinity */
  readonly affinitySeconds: number;
  /** 0: any number */
  readonly maxConnections: number;
  /** stable number of (Service, port), which counts what maxConnections limits; 0: no limit */
  readonly limit: number;
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

/** undefined when the Service has no such address and port, or none of its endpoints is to be chosen here */
export function compileService(
  snapshot: Snapshot,
  service: Service,
  key: string,
  from: Place,
  numbers: Allocators,
): ServiceEntry | undefined {
  const { loadBalancing } = service;
  if (loadBalancing.mode === 'PASSTHROUGH') return undefined;
  const addr = service.addresses.find((ip) => key.startsWith(`${ip}|`));
  const port = service.ports.find(({ servicePort }) => key === `${addr}|${servicePort}`);
  if (addr === undefined || port === undefined) return undefined;
  const reachable = [...(snapshot.endpoints.get(serviceKey(service))?.values() ?? [])]
    .filter((workload) => workload.healthy || loadBalancing.healthPolicy === 'ALLOW_ALL')
    .sort((a, b) => (a.uid < b.uid ? -1 : 1))
    .flatMap((workload) => {
      const target = targetOf(workload, service, port);
      const ip = workload.addresses.find((address) => ipFamily(address) === ipFamily(addr));
      // Who has no weight is as good as gone: the next rank takes over, which ztunnel does not do.
      if (ip === undefined || target === undefined || workload.capacity === 0) return [];
      const { network, locality, node, clusterId, capacity } = workload;
      return [{ ip, target, weight: capacity, network, locality, node, clusterId }];
    });
  const endpoints = preferred(reachable, loadBalancing, from).map(({ ip, target, weight }) => {
    const id = numbers.backends.number(entryKey(ip, target));
    return { backend: { id, addr: ip, port: target }, weight };
  });
  const { order, rounded } = fillSlots(endpoints.map(({ weight }) => weight));
  const { maxConnections } = service;
  return {
    key,
    addr,
    port: port.servicePort,
    id: numbers.services.number(key),
    policy: service.lbPolicy,
    affinitySeconds: service.sessionAffinitySeconds,
    maxConnections,
    limit: maxConnections > 0 ? numbers.limits.number(limitKey(service, port)) : 0,
    slots: order.map((index) => endpoints[index]!.backend),
    rounded,
    service: { namespace: service.namespace, name: service.name, hostname: service.hostname },
  };
}

/** Both addresses of a dual-stack Service count together, its ports do not: as Envoy's clusters. */
function limitKey(service: Service, port: Service['ports'][number]): string {
  return `${serviceKey(service)}|${port.servicePort}`;
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
