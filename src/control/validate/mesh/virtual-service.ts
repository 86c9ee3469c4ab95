/**
 * VirtualService among others: gateways, hosts, subsets, ports, delegates, and others for the same host.
 */
import type {
  DestinationSpec,
  VirtualServiceResource,
} from '../../../model/resource/virtual-service.ts';
import { parseIp } from '../../../model/ip.ts';
import { fullHost } from '../host.ts';
import { isCatchAll } from '../istio/coverage.ts';
import { isBefore } from './age.ts';
import { namesFor, ownersOf, portsOf } from './host-lookup.ts';
import { delegateKey, gatewayKey, gatewaysOf, MESH_GATEWAY, routesKey, rulesKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { View } from './reference-graph.ts';
import { exportsMeet, isVisible } from './visibility.ts';
import type { MeshNames } from './names.ts';
import type { Finding } from '../../../model/finding.ts';

export function checkRoutes(
  resource: VirtualServiceResource,
  view: View,
  names: MeshNames,
): Finding[] {
  const report = new MeshReport(resource);
  checkGateways(resource, view, report);
  for (const { destination, path } of destinationsOf(resource)) {
    checkDestination(resource.namespace, destination, path, view, names, report);
  }
  resource.spec.http?.forEach(({ delegate }, index) => {
    if (delegate?.name === undefined) return;
    const namespace = delegate.namespace ?? resource.namespace;
    if (view.some(delegateKey(namespace, delegate.name))) return;
    const message = `names the VirtualService ${namespace}/${delegate.name}, which does not exist`;
    const path = `spec.http[${index}].delegate.name`;
    report.warn('REFERENCE_UNKNOWN', path, message, 'add it, or correct the name');
  });
  checkConflicts(resource, view, names, report);
  return report.findings;
}

function checkGateways(
  { namespace, spec }: VirtualServiceResource,
  view: View,
  report: MeshReport,
): void {
  for (const gateway of gatewaysOf(spec.gateways, namespace)) {
    if (gateway === MESH_GATEWAY) continue;
    const [found] = view.find(gatewayKey(gateway));
    if (found?.kind !== 'Gateway') {
      const message = `${gateway} does not exist`;
      report.warn('GATEWAY_UNKNOWN', 'spec.gateways', message, 'add it, or correct the name');
      continue;
    }
    const served = (found.spec.servers ?? []).flatMap(({ hosts }) => hosts);
    (spec.hosts ?? []).forEach((host, index) => {
      if (served.some((text) => serves(text, host, namespace, found.namespace))) return;
      const message = `is not served by ${found.id}`;
      const fix = `add it to spec.servers[].hosts of ${found.id}`;
      report.warn('HOST_UNKNOWN', `spec.hosts[${index}]`, message, fix);
    });
  }
}

/** Whether "ns/host" of a server takes a VirtualService of `namespace` for `host`. */
function serves(text: string, host: string, namespace: string, own: string): boolean {
  const slash = text.indexOf('/');
  const scope = slash < 0 ? '*' : text.slice(0, slash);
  const name = text.slice(slash + 1).toLowerCase();
  if (scope !== '*' && (scope === '.' ? own : scope) !== namespace) return false;
  return wildcardsMeet(name, host.toLowerCase());
}

function wildcardsMeet(a: string, b: string): boolean {
  if (a === b) return true;
  const covers = (pattern: string, host: string): boolean =>
    pattern.startsWith('*') && host.endsWith(pattern.slice(1));
  return covers(a, b) || covers(b, a);
}

interface PlacedDestination {
  readonly destination: DestinationSpec;
  readonly path: string;
}

function* destinationsOf({ spec }: VirtualServiceResource): IterableIterator<PlacedDestination> {
  for (const protocol of ['http', 'tls', 'tcp'] as const) {
    for (const [index, { route = [] }] of (spec[protocol] ?? []).entries()) {
      for (const [item, { destination }] of route.entries()) {
        yield { destination, path: `spec.${protocol}[${index}].route[${item}].destination` };
      }
    }
  }
  for (const [index, { mirror, mirrors = [] }] of (spec.http ?? []).entries()) {
    if (mirror) yield { destination: mirror, path: `spec.http[${index}].mirror` };
    for (const [item, { destination }] of mirrors.entries()) {
      yield { destination, path: `spec.http[${index}].mirrors[${item}].destination` };
    }
  }
}

function checkDestination(
  namespace: string,
  { host, subset, port }: DestinationSpec,
  path: string,
  view: View,
  names: MeshNames,
  report: MeshReport,
): void {
  const full = fullHost(host, namespace, names.domain);
  if (parseIp(full) !== undefined) return;
  const owners = ownersOf(full, namespace, view);
  if (owners.length === 0) {
    const fix = 'add the Service or a ServiceEntry, or correct the name';
    report.warn('HOST_UNKNOWN', `${path}.host`, `${full} is no host of the mesh`, fix);
    return;
  }
  const ports = portsOf(owners);
  if (port?.number !== undefined && ports !== undefined && !ports.has(port.number)) {
    const known = [...ports].sort((a, b) => a - b).join(', ');
    const fix = known === '' ? 'add it to the Service' : `use one of: ${known}`;
    report.warn('PORT_UNKNOWN', `${path}.port.number`, `${full} has no port ${port.number}`, fix);
  }
  if (subset !== undefined) checkSubset(namespace, full, subset, path, view, report);
}

function checkSubset(
  namespace: string,
  host: string,
  subset: string,
  path: string,
  view: View,
  report: MeshReport,
): void {
  const known: string[] = [];
  for (const name of namesFor(host)) {
    for (const rule of view.find(rulesKey(name))) {
      if (rule.kind !== 'DestinationRule') continue;
      if (!isVisible(namespace, rule.namespace, rule.spec.exportTo)) continue;
      for (const one of rule.spec.subsets ?? []) known.push(one.name);
    }
  }
  if (known.includes(subset)) return;
  const fix =
    known.length > 0 ? `use one of: ${known.join(', ')}` : `add a DestinationRule for ${host}`;
  report.warn('SUBSET_UNKNOWN', `${path}.subset`, `${host} has no subset ${subset}`, fix);
}

/**
 * In the mesh one VirtualService answers for a host: the oldest that the client sees.  At a gateway their routes are merged,
 * and the second of two routes for everything is never reached.
 */
function checkConflicts(
  resource: VirtualServiceResource,
  view: View,
  { domain }: MeshNames,
  report: MeshReport,
): void {
  const { namespace, spec } = resource;
  const all = spec.http?.some(isCatchAll) ?? false;
  for (const gateway of gatewaysOf(spec.gateways, namespace)) {
    (spec.hosts ?? []).forEach((host, index) => {
      const key = routesKey(gateway, fullHost(host, namespace, domain));
      for (const other of view.find(key)) {
        if (other.kind !== 'VirtualService' || other.id === resource.id) continue;
        if (!isBefore(other, resource) || !exportsMeet(other, resource)) continue;
        const path = `spec.hosts[${index}]`;
        if (gateway === MESH_GATEWAY) {
          const message = `${host} is routed by ${other.id} already; this one is not used for it`;
          report.warn('HOST_CONFLICT', path, message, 'put the routes into one VirtualService');
        } else if (all && other.spec.http?.some(isCatchAll)) {
          const message = `${host} has a route for every request in ${other.id} already`;
          report.warn('HOST_CONFLICT', path, message, 'give one of the two a match');
        } else {
          continue;
        }
        break;
      }
    });
  }
}
