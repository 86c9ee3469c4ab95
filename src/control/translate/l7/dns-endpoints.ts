/**
 * Endpoints that are names, to be resolved by whoever uses them.
 */
import { parseIp, type Ip } from '../../../model/ip.ts';
import { NO_LOCALITY, type Endpoint } from '../../../model/load-assignment.ts';
import type { ResourceOf } from './catalog.ts';
import { parseLocality, type PlacedEndpoint } from './locality.ts';
import type { HostPort } from './registry.ts';

type EntryEndpoints = NonNullable<ResourceOf<'ServiceEntry'>['spec']['endpoints']>;

/** What is to be resolved: the endpoints that a ServiceEntry lists (`labels`: of a subset), or else the host. */
export function dnsEndpoints(
  endpoints: EntryEndpoints,
  host: string,
  port: HostPort,
  labels: Readonly<Record<string, string>>,
): PlacedEndpoint[] {
  const wanted = Object.entries(labels);
  if (endpoints.length === 0) {
    return [dnsEndpoint(host, port.targetPort, 1, NO_LOCALITY, new Map())];
  }
  return endpoints.flatMap(({ address = '', ports, labels: own = {}, locality, weight }) => {
    if (!wanted.every(([name, value]) => own[name] === value)) return [];
    const number = ports?.[port.name] ?? port.targetPort;
    const place = locality === undefined ? NO_LOCALITY : parseLocality(locality);
    return [dnsEndpoint(address, number, weight || 1, place, new Map(Object.entries(own)))];
  });
}

function dnsEndpoint(
  address: string,
  port: number,
  weight: number,
  locality: PlacedEndpoint['locality'],
  labels: PlacedEndpoint['labels'],
): PlacedEndpoint {
  const ip: Ip | undefined = parseIp(address);
  const endpoint: Endpoint = {
    address: ip ?? { host: address },
    port,
    healthy: true,
    weight,
    workload: undefined,
  };
  return { locality, labels, endpoint };
}
