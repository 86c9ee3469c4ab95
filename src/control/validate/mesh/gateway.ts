/**
 * Gateways of the Gateway API among others: GatewayClasses, and what ReferenceGrants allow.  Of their Secrets the translation
 * speaks: which of them is meant, and whether it is there, shows when they are read, and no earlier.
 */
import type { Finding } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';
import type {
  GatewayApiGatewayResource,
  ObjectReference,
} from '../../../model/resource/gateway-api.ts';
import { ANY_CLASS, classKey, grantsKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { View } from './reference-graph.ts';

const GROUP = 'gateway.networking.k8s.io';

export function checkListeners(resource: GatewayApiGatewayResource, view: View): Finding[] {
  const report = new MeshReport(resource);
  const { gatewayClassName, listeners } = resource.spec;
  if (view.some(ANY_CLASS) && !view.some(classKey(gatewayClassName))) {
    const message = `names the GatewayClass ${gatewayClassName}, which does not exist`;
    report.warn('REFERENCE_UNKNOWN', 'spec.gatewayClassName', message, 'correct the name');
  }
  listeners.forEach(({ tls }, index) => {
    (tls?.certificateRefs ?? []).forEach((ref, item) => {
      const path = `spec.listeners[${index}].tls.certificateRefs[${item}]`;
      checkGrant(resource, ref, path, view, report);
    });
  });
  return report.findings;
}

/** A reference into another namespace needs that namespace's leave. */
export function checkGrant(
  from: Resource,
  { group, kind, name, namespace = from.namespace }: ObjectReference,
  path: string,
  view: View,
  report: MeshReport,
): void {
  if (namespace === from.namespace) return;
  const fromKind = from.kind === 'GatewayApiGateway' ? 'Gateway' : from.kind;
  for (const grant of view.find(grantsKey(namespace))) {
    if (grant.kind !== 'ReferenceGrant') continue;
    const { spec } = grant;
    const allowed =
      spec.from.some(
        (one) => one.group === GROUP && one.kind === fromKind && one.namespace === from.namespace,
      ) &&
      spec.to.some(
        (one) => one.group === group && one.kind === kind && (one.name ?? name) === name,
      );
    if (allowed) return;
  }
  const message = `no ReferenceGrant of ${namespace} allows ${fromKind}s of ${from.namespace} to refer to ${kind} ${name}`;
  report.warn('REFERENCE_NOT_GRANTED', path, message, `add a ReferenceGrant to ${namespace}`);
}
