/**
 * DestinationRule and Sidecar among others: hosts, and other rules for the same host.
 */
import type { Finding } from '../../../model/finding.ts';
import type { DestinationRuleResource } from '../../../model/resource/destination-rule.ts';
import type { SidecarResource } from '../../../model/resource/sidecar.ts';
import { fullHost } from '../host.ts';
import { isBefore } from './age.ts';
import { ownersOf } from './host-lookup.ts';
import { rulesKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { MeshNames } from './names.ts';
import type { View } from './reference-graph.ts';

export function checkRule(
  resource: DestinationRuleResource,
  view: View,
  { domain }: MeshNames,
): Finding[] {
  const report = new MeshReport(resource);
  const { namespace, spec } = resource;
  const host = fullHost(spec.host, namespace, domain);
  if (!host.includes('*') && ownersOf(host, namespace, view).length === 0) {
    const fix = 'add the Service or a ServiceEntry, or correct the name';
    report.warn('HOST_UNKNOWN', 'spec.host', `${host} is no host of the mesh`, fix);
  }
  checkOthers(resource, host, view, report);
  return report.findings;
}

/** Rules of one namespace for one host are merged: the oldest one's policy, and the subsets of all. */
function checkOthers(
  resource: DestinationRuleResource,
  host: string,
  view: View,
  report: MeshReport,
): void {
  const { namespace, spec, id } = resource;
  for (const other of view.find(rulesKey(host))) {
    if (other.kind !== 'DestinationRule' || other.id === id) continue;
    if (other.namespace !== namespace || !isBefore(other, resource)) continue;
    if (selectorOf(other) !== selectorOf(resource)) continue;
    const fix = 'put both into one DestinationRule';
    if (spec.trafficPolicy !== undefined && other.spec.trafficPolicy !== undefined) {
      const message = `${host} has the policy of ${other.id} already; this one is not used`;
      report.warn('HOST_CONFLICT', 'spec.trafficPolicy', message, fix);
    }
    const taken = new Set((other.spec.subsets ?? []).map(({ name }) => name));
    (spec.subsets ?? []).forEach(({ name }, index) => {
      if (!taken.has(name)) return;
      const message = `${host} has the subset ${name} of ${other.id} already; this one is not used`;
      report.warn('HOST_CONFLICT', `spec.subsets[${index}].name`, message, fix);
    });
  }
}

function selectorOf({ spec }: DestinationRuleResource): string {
  const labels = Object.entries(spec.workloadSelector?.matchLabels ?? {});
  return JSON.stringify(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Hosts with a wildcard, or of namespaces with one, may rightly be empty. */
export function checkScope(resource: SidecarResource, view: View, names: MeshNames): Finding[] {
  const report = new MeshReport(resource);
  for (const [index, { hosts }] of (resource.spec.egress ?? []).entries()) {
    for (const [item, text] of hosts.entries()) {
      const slash = text.indexOf('/');
      const host = text.slice(slash + 1).toLowerCase();
      if (host.includes('*') || text.startsWith('~')) continue;
      const scope = text.slice(0, slash);
      const full = fullHost(host, resource.namespace, names.domain);
      const owners = ownersOf(full, resource.namespace, view);
      const namespace = scope === '.' ? resource.namespace : scope;
      if (owners.some((owner) => namespace === '*' || owner.namespace === namespace)) continue;
      const path = `spec.egress[${index}].hosts[${item}]`;
      const message = `${host} is no host of ${namespace === '*' ? 'the mesh' : namespace}`;
      report.warn('HOST_UNKNOWN', path, message, 'correct the name');
    }
  }
  return report.findings;
}
