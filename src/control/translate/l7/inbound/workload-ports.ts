/**
 * The ports of a pod that requests may come to: those that Services lead to, with what the Service says is spoken there,
 * and those of its containers that no Service knows.
 */
import type { PodResource, ServiceResource } from '../../../../model/resource.ts';
import type { ServicePortTarget } from '../../../../model/workload.ts';
import { protocolOf, type PortProtocol } from '../port-protocol.ts';

export interface InboundPort {
  readonly protocol: PortProtocol;
  /** names of the Services of its namespace that lead here, sorted */
  readonly services: readonly string[];
}

export interface InboundWorkload {
  readonly uid: string;
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly ports: ReadonlyMap<number, InboundPort>;
}

export interface ServiceTargets {
  readonly service: ServiceResource;
  readonly targets: readonly ServicePortTarget[];
}

/** Where Services disagree about a port the first by name that says anything is believed. */
export function inboundPorts(
  pod: PodResource,
  services: readonly ServiceTargets[],
): Map<number, InboundPort> {
  const ports = new Map<number, InboundPort>();
  for (const { port } of pod.ports) ports.set(port, { protocol: 'auto', services: [] });
  const sorted = [...services].sort((a, b) => (a.service.name < b.service.name ? -1 : 1));
  for (const { service, targets } of sorted) {
    for (const { servicePort, targetPort } of targets) {
      const found = service.ports.find(({ port }) => port === servicePort);
      if (found === undefined) continue;
      const known = ports.get(targetPort);
      const said = known?.protocol ?? 'auto';
      ports.set(targetPort, {
        protocol: said === 'auto' ? protocolOf(found.name, found.appProtocol) : said,
        services: [...new Set([...(known?.services ?? []), service.name])],
      });
    }
  }
  return ports;
}

/** Whether requests can be told apart there: said to be HTTP, or nothing said at all. */
export function mayBeHttp({ protocol }: InboundPort): boolean {
  return protocol === 'http' || protocol === 'http2' || protocol === 'auto';
}
