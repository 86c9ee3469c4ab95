/**
 * Sidecar: what its schema does not say.
 */
import type { SidecarSpec } from '../../../model/resource/sidecar.ts';
import { describe } from '../fields.ts';
import { isHostOrWildcard } from '../host.ts';
import type { SpecReport } from '../spec-report.ts';
import { checkDestination } from './destination.ts';

const NAMESPACE = /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?|\*|\.|~)$/;

export function checkSidecar(spec: SidecarSpec, report: SpecReport): void {
  const { egress, ingress = [], outboundTrafficPolicy } = spec;
  if (egress === undefined && ingress.length === 0 && outboundTrafficPolicy === undefined) {
    if (spec.inboundConnectionPool === undefined) report.missing('spec.egress');
  }
  egress?.forEach(({ hosts, port }, index) => {
    const path = `spec.egress[${index}]`;
    if (hosts.length === 0) report.missing(`${path}.hosts`);
    hosts.forEach((text, item) => checkScopedHost(text, `${path}.hosts[${item}]`, report));
    report.port(`${path}.port.number`, port?.number);
  });
  ingress.forEach(({ port }, index) => {
    const path = `spec.ingress[${index}].port.number`;
    if (port.number === undefined) report.missing(path);
    report.port(path, port.number);
  });
  report.unique(
    ingress.map(({ port, bind }) => `${bind ?? ''}:${port.number}`),
    (index) => `spec.ingress[${index}].port.number`,
  );
  const proxy = outboundTrafficPolicy?.egressProxy;
  if (proxy) checkDestination(proxy, 'spec.outboundTrafficPolicy.egressProxy', report);
}

function checkScopedHost(text: string, path: string, report: SpecReport): void {
  const [namespace = '', host, ...rest] = text.split('/');
  const good = host !== undefined && rest.length === 0 && NAMESPACE.test(namespace);
  if (good && isHostOrWildcard(host)) return;
  const fix = 'use NAMESPACE/HOST; NAMESPACE may be ".", "*" or "~"';
  report.invalid(path, `${describe(text)} names no hosts`, fix);
}
