/**
 * Endpoints that are names, to be resolved by whoever uses them.
 */
import { parseIp, type Ip } from '../../../model/ip.ts';
import { NO_LOCALITY, type Endpoint } from '../../../model/load-assignment.ts';
import type { RulesInForce } from './destination-rules.ts';
import { parseLocality, type PlacedEndpoint } from './locality.ts';
import type { Host, HostPort } from './registry.ts';

interface DnsTarget {
  readonly host: Host;
  readonly port: HostPort;
  readonly subset: string;
  readonly rules: RulesInForce;
}

/** What is to be resolved: the endpoints of the ServiceEntry, or its host. */
export function dnsEndpoints({ host, port, rules, subset }: DnsTarget): PlacedEndpoint[] {
  if (host.resolution === 'NONE') return [];
  const wanted = Object.entries(rules.subsets.get(subset)?.labels ?? {});
  const endpoints = host.entry?.spec.endpoints ?? [];
  if (endpoints.length === 0) {
    return [dnsEndpoint(host.host, port.targetPort, 1, NO_LOCALITY, new Map())];
  }
  return endpoints.flatMap(({ address = '', ports, labels = {}, locality, weight }) => {
    if (!wanted.every(([name, value]) => labels[name] === value)) return [];
    const number = ports?.[port.name] ?? port.targetPort;
    const place = locality === undefined ? NO_LOCALITY : parseLocality(locality);
    return [dnsEndpoint(address, number, weight || 1, place, new Map(Object.entries(labels)))];
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
