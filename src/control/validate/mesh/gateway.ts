/**
 * Istio's Gateways among others: Secrets.
 */
import type { Finding } from '../../../model/finding.ts';
import type { GatewayResource } from '../../../model/resource/gateway.ts';
import { ANY_SECRET, secretKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { MeshNames } from './names.ts';
import type { View } from './reference-graph.ts';

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
