/**
 * Services as the admin API shows them: what the mesh says, joined with what the kernel counts.
 */
import type { EndpointView, ServiceView } from '../admin/view.ts';
import type { PlanState } from '../compile/kernel/plan.ts';
import type { Backend } from '../compile/kernel/services.ts';
import type { ServiceTable } from '../kernel/service-table.ts';
import { serviceKey, type Service } from '../model/service.ts';
import type { Workload } from '../model/workload.ts';

type Loads = ReturnType<ServiceTable['loads']>;

export function serviceViews({ snapshot, plan }: PlanState, table: ServiceTable): ServiceView[] {
  const loads = table.loads();
  const limits = table.limits();
  return [...snapshot.services.values()].map((service): ServiceView => ({
    namespace: service.namespace,
    name: service.name,
    hostname: service.hostname,
    addresses: service.addresses,
    policy: service.lbPolicy,
    sessionAffinitySeconds: service.sessionAffinitySeconds,
    locality: {
      mode: service.loadBalancing.mode,
      preference: service.loadBalancing.routingPreference,
    },
    maxConnections: service.maxConnections,
    ports: service.ports.map((port) => {
      const entries = service.addresses.flatMap(
        (addr) => plan.services.get(`${addr}|${port.servicePort}`) ?? [],
      );
      const slots = entries.flatMap((entry) => entry.slots);
      return {
        port: port.servicePort,
        limited: Number(limits.get(entries[0]?.limit ?? 0) ?? 0n),
        endpoints: [...(snapshot.endpoints.get(serviceKey(service))?.values() ?? [])].flatMap(
          (workload) => endpointViews(workload, service, port, slots, loads),
        ),
      };
    }),
  }));
}

function endpointViews(
  workload: Workload,
  service: Service,
  { servicePort, targetPort }: Service['ports'][number],
  slots: readonly Backend[],
  loads: Loads,
): EndpointView[] {
  const own = workload.services
    .get(serviceKey(service))
    ?.find((port) => port.servicePort === servicePort);
  const port = own?.targetPort || targetPort;
  const { region, zone, subzone } = workload.locality;
  return workload.addresses.map((address): EndpointView => {
    const backend = slots.find((slot) => slot.addr === address && slot.port === port);
    const load = backend && loads.get(backend.id);
    return {
      address,
      port,
      workload: `${workload.namespace}/${workload.name}`,
      node: workload.node,
      locality: [region, zone, subzone].join('/').replace(/\/+$/, ''),
      ready: workload.healthy,
      used: backend !== undefined,
      weight: workload.capacity,
      active: Number(load?.active ?? 0n),
      latencyUs: load && load.sampledNs > 0n ? Number(load.latencyNs / 1000n) : null,
    };
  });
}
