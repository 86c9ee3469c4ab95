/**
 * VirtualService: what its schema does not say.
 */
import type { HttpRouteSpec, VirtualServiceSpec } from '../../../model/resource/virtual-service.ts';
import { describe } from '../fields.ts';
import { isHostOrWildcard } from '../host.ts';
import { parsePrefix } from '../../../model/ip.ts';
import type { SpecReport } from '../spec-report.ts';
import { checkReachable } from './coverage.ts';
import { checkHttpMatch } from './http-match.ts';
import { checkHttpRoute } from './http-route.ts';
import { checkDestinations } from './destination.ts';

export function checkVirtualService(spec: VirtualServiceSpec, report: SpecReport): void {
  const { hosts = [], http = [], tcp = [], tls = [] } = spec;
  checkHosts(spec, report);
  if (http.length + tcp.length + tls.length === 0) {
    report.error('FIELD_MISSING', 'spec.http', 'there is no route', 'set http, tls or tcp');
  }
  if (hosts.length === 0) {
    if (tcp.length + tls.length > 0) report.missing('spec.hosts');
    else if (http.some(({ delegate }) => delegate !== undefined)) {
      report.invalid('spec.http', 'a delegate delegates again', 'set hosts, or remove delegate');
    }
  }
  http.forEach((route, index) => checkHttp(route, `spec.http[${index}]`, report));
  checkReachable(http, report);
  tls.forEach(({ match, route = [] }, index) => {
    const path = `spec.tls[${index}]`;
    if (match.length === 0) report.missing(`${path}.match`);
    if (route.length === 0) report.missing(`${path}.route`);
    checkDestinations(route, `${path}.route`, report);
    match.forEach(({ sniHosts, destinationSubnets }, item) => {
      const at = `${path}.match[${item}]`;
      if (sniHosts.length === 0) report.missing(`${at}.sniHosts`);
      sniHosts.forEach((host, place) => checkHost(host, `${at}.sniHosts[${place}]`, report));
      checkSubnets(destinationSubnets, `${at}.destinationSubnets`, report);
    });
  });
  tcp.forEach(({ match = [], route = [] }, index) => {
    const path = `spec.tcp[${index}]`;
    if (route.length === 0) report.missing(`${path}.route`);
    checkDestinations(route, `${path}.route`, report);
    match.forEach(({ destinationSubnets, port }, item) => {
      checkSubnets(destinationSubnets, `${path}.match[${item}].destinationSubnets`, report);
      report.port(`${path}.match[${item}].port`, port);
    });
  });
}

function checkHosts({ hosts = [], gateways }: VirtualServiceSpec, report: SpecReport): void {
  report.unique(hosts, (index) => `spec.hosts[${index}]`);
  const mesh = gateways === undefined || gateways.length === 0 || gateways.includes('mesh');
  hosts.forEach((host, index) => {
    const path = `spec.hosts[${index}]`;
    checkHost(host, path, report);
    if (host === '*' && mesh) {
      report.invalid(
        path,
        '"*" would take every request of the mesh',
        'name hosts, or set gateways',
      );
    }
  });
  (gateways ?? []).forEach((gateway, index) => {
    if (gateway === 'mesh' || /^([^/]+\/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(gateway)) return;
    const fix = 'use mesh, NAME or NAMESPACE/NAME';
    report.invalid(`spec.gateways[${index}]`, `${describe(gateway)} is no gateway`, fix);
  });
}

function checkHost(host: string, path: string, report: SpecReport): void {
  if (isHostOrWildcard(host) || parsePrefix(host) !== undefined) return;
  report.invalid(path, `${describe(host)} is no host name`, 'use a name, or "*." and a name');
}

function checkSubnets(
  subnets: readonly string[] | undefined,
  path: string,
  report: SpecReport,
): void {
  subnets?.forEach((text, index) => {
    if (parsePrefix(text) !== undefined) return;
    const fix = 'use ADDRESS or ADDRESS/LENGTH';
    report.invalid(`${path}[${index}]`, `${describe(text)} is no address or CIDR block`, fix);
  });
}

function checkHttp(route: HttpRouteSpec, path: string, report: SpecReport): void {
  route.match?.forEach((match, index) => checkHttpMatch(match, `${path}.match[${index}]`, report));
  checkHttpRoute(route, path, report);
}
