/**
 * Gateways of both APIs among others: Secrets, GatewayClasses, and what ReferenceGrants allow.
 */
import type { Finding } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';
import type { GatewayResource } from '../../../model/resource/gateway.ts';
import type {
  GatewayApiGatewayResource,
  ObjectReference,
} from '../../../model/resource/gateway-api.ts';
import { ANY_CLASS, ANY_SECRET, classKey, grantsKey, secretKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { MeshNames } from './names.ts';
import type { View } from './reference-graph.ts';

const GROUP = 'gateway.networking.k8s.io';

/** The Secret lives with the pods of the gateway, which as a rule are its own namespace's or the root namespace's. */
export function checkServers(resource: GatewayResource, view: View, names: MeshNames): Finding[] {
  const report = new MeshReport(resource);
  (resource.spec.servers ?? []).forEach(({ tls }, index) => {
    const name = tls?.credentialName;
    // "kubernetes://name" and files are Istio's other spellings.
    if (!name || name.includes('://') || !view.some(ANY_SECRET)) return;
    const places = [resource.namespace, names.rootNamespace];
    if (places.some((namespace) => view.some(secretKey(namespace, name)))) return;
    const message = `names the Secret ${resource.namespace}/${name}, which does not exist`;
    const path = `spec.servers[${index}].tls.credentialName`;
    report.warn('SECRET_UNKNOWN', path, message, 'add it to the namespace of the gateway');
  });
  return report.findings;
}

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
      const namespace = ref.namespace ?? resource.namespace;
      checkGrant(resource, ref, path, view, report);
      if (ref.kind !== 'Secret' || ref.group !== '' || !view.some(ANY_SECRET)) return;
      if (view.some(secretKey(namespace, ref.name))) return;
      const message = `names the Secret ${namespace}/${ref.name}, which does not exist`;
      report.warn('SECRET_UNKNOWN', path, message, 'add it, or correct the name');
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
