/**
 * ServiceEntry, WorkloadEntry and WorkloadGroup: what their schemas do not say.
 */
import { parseIp, parsePrefix } from '../../../model/ip.ts';
import type {
  ServiceEntrySpec,
  WorkloadEntrySpec,
  WorkloadGroupSpec,
} from '../../../model/resource/service-entry.ts';
import { describe } from '../fields.ts';
import { isHost, isHostOrWildcard } from '../host.ts';
import type { SpecReport } from '../spec-report.ts';
import { isProtocol } from './protocol.ts';

export function checkServiceEntry(spec: ServiceEntrySpec, report: SpecReport): void {
  const { hosts, addresses = [], ports = [], resolution = 'NONE', endpoints = [] } = spec;
  if (hosts.length === 0) report.missing('spec.hosts');
  hosts.forEach((host, index) => {
    if (host !== '*' && isHostOrWildcard(host)) return;
    report.invalid(`spec.hosts[${index}]`, `${describe(host)} is no host name`, 'use a DNS name');
  });
  addresses.forEach((text, index) => {
    if (parsePrefix(text) !== undefined) return;
    const fix = 'use ADDRESS or ADDRESS/LENGTH';
    report.invalid(`spec.addresses[${index}]`, `${describe(text)} is no address`, fix);
  });
  report.unique(
    ports.map(({ name }) => name),
    (index) => `spec.ports[${index}].name`,
  );
  ports.forEach(({ protocol }, index) => {
    if (protocol === undefined || protocol === '' || isProtocol(protocol)) return;
    const message = `${describe(protocol)} is no protocol`;
    report.invalid(`spec.ports[${index}].protocol`, message, 'use HTTP, HTTPS, TCP or TLS');
  });
  const dns = resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN';
  if (dns && endpoints.length === 0) {
    hosts.forEach((host, index) => {
      if (!host.includes('*')) return;
      const fix = 'name the host, or give endpoints';
      report.invalid(`spec.hosts[${index}]`, 'a wildcard cannot be resolved by DNS', fix);
    });
  }
  endpoints.forEach((endpoint, index) => {
    const path = `spec.endpoints[${index}]`;
    checkWorkload(endpoint, path, dns, report);
    for (const name of Object.keys(endpoint.ports ?? {})) {
      if (ports.some((port) => port.name === name)) continue;
      const message = `${describe(name)} is no port of the entry`;
      report.error('PORT_UNKNOWN', `${path}.ports['${name}']`, message, 'use a name of spec.ports');
    }
  });
}

export function checkWorkloadEntry(spec: WorkloadEntrySpec, report: SpecReport): void {
  checkWorkload(spec, 'spec', true, report);
}

export function checkWorkloadGroup({ template }: WorkloadGroupSpec, report: SpecReport): void {
  if (template.address) {
    const message = 'is that of each workload';
    report.warn('FIELD_UNUSED', 'spec.template.address', message, 'remove it');
  }
}

function checkWorkload(
  { address, network }: WorkloadEntrySpec,
  path: string,
  dns: boolean,
  report: SpecReport,
): void {
  if (address === undefined || address === '') {
    if (network === undefined) report.missing(`${path}.address`);
    return;
  }
  if (address.startsWith('unix://') || parseIp(address) !== undefined) return;
  if (dns && isHost(address)) return;
  const fix = dns ? 'use an IP address or a DNS name' : 'use an IP address, or resolution: DNS';
  report.invalid(`${path}.address`, `${describe(address)} is no address`, fix);
}
