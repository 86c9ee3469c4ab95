/**
 * Resources of which a namespace has one: of several for all its pods the oldest is used.
 */
import type { Finding } from '../../../model/finding.ts';
import type { PeerAuthenticationResource } from '../../../model/resource/security.ts';
import type { SidecarResource } from '../../../model/resource/sidecar.ts';
import { isBefore } from './age.ts';
import { hasLabels, scopeKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { View } from './reference-graph.ts';

export function checkAlone(
  resource: SidecarResource | PeerAuthenticationResource,
  view: View,
): Finding[] {
  const report = new MeshReport(resource);
  const labels =
    resource.kind === 'Sidecar'
      ? resource.spec.workloadSelector?.labels
      : resource.spec.selector?.matchLabels;
  if (hasLabels(labels)) return [];
  for (const other of view.find(scopeKey(resource.kind, resource.namespace))) {
    if (other.id === resource.id || !isBefore(other, resource)) continue;
    const message = `all pods of ${resource.namespace} have ${other.id} already; this one is not used`;
    report.warn(
      'SCOPE_CONFLICT',
      'spec',
      message,
      'put both into one, or give this one a selector',
    );
    break;
  }
  return report.findings;
}
