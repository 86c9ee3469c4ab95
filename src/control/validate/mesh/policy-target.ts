/**
 * Gateways that a policy is attached to: without them it protects nothing.
 */
import type { Finding } from '../../../model/finding.ts';
import type { AuthorizationPolicyResource } from '../../../model/resource.ts';
import type { RequestAuthenticationResource } from '../../../model/resource/security.ts';
import { apiGatewayKey, gatewayKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { View } from './reference-graph.ts';

export function checkTargets(
  resource: AuthorizationPolicyResource | RequestAuthenticationResource,
  view: View,
): Finding[] {
  const report = new MeshReport(resource);
  const spec = resource.kind === 'AuthorizationPolicy' ? resource.l7 : resource.spec;
  const { targetRef, targetRefs = [] } = spec ?? {};
  const references = [
    ...(targetRef ? [{ ...targetRef, path: 'spec.targetRef' }] : []),
    ...targetRefs.map((one, index) => ({ ...one, path: `spec.targetRefs[${index}]` })),
  ];
  for (const { kind, name, path } of references) {
    const { namespace } = resource;
    if (kind !== 'Gateway' || view.some(apiGatewayKey(namespace, name))) continue;
    if (view.some(gatewayKey(`${namespace}/${name}`))) continue;
    const message = `names the Gateway ${namespace}/${name}, which does not exist`;
    report.warn('GATEWAY_UNKNOWN', path, message, 'add it, or correct the name');
  }
  return report.findings;
}
