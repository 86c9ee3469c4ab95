/**
 * Istio's labels of a TCP connection.  Values that are not known are the word "unknown", as Istio's proxies write it.
 *
 * Like ztunnel, app and version are the canonical ones: the workload message carries no pod labels.
 */
import type { Workload } from '../model/workload.ts';
import { workloadIdentity } from '../model/workload.ts';
import type { FlowInfo, Reporter } from './flow-info.ts';

export const TCP_LABELS = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_cluster',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
] as const;
export type TcpLabel = (typeof TCP_LABELS)[number];
export type TcpLabels = Readonly<Record<TcpLabel, string>>;

/** ztunnel's: nothing to say, refused by policy, no connection could be made; Envoy's: the Service's limit is reached. */
export type ResponseFlags = '-' | 'DENY' | 'CONNECT' | 'UO';

const UNKNOWN = 'unknown';

/** Two connections with the same key have the same labels. */
export function labelKey(flow: FlowInfo, reporter: Reporter, flags: ResponseFlags): string {
  const { source, destination, service } = flow;
  return [
    reporter,
    flags,
    flow.mutualTls ? 'm' : 'p',
    source.identity,
    ...workloadKey(source.workload),
    ...workloadKey(destination.workload),
    service?.hostname,
    service?.namespace,
  ].join('\n');
}

export function tcpLabels(flow: FlowInfo, reporter: Reporter, flags: ResponseFlags): TcpLabels {
  const { source, destination, service } = flow;
  const from = source.workload;
  const to = destination.workload;
  return {
    reporter,
    source_workload: from?.workloadName || UNKNOWN,
    source_canonical_service: from?.canonicalName || UNKNOWN,
    source_canonical_revision: from?.canonicalRevision || UNKNOWN,
    source_workload_namespace: from?.namespace || UNKNOWN,
    source_principal: source.identity || UNKNOWN,
    source_app: from?.canonicalName || UNKNOWN,
    source_version: from?.canonicalRevision || UNKNOWN,
    source_cluster: from?.clusterId || UNKNOWN,
    destination_service: service?.hostname || UNKNOWN,
    destination_service_namespace: service?.namespace || UNKNOWN,
    destination_service_name: service?.name || UNKNOWN,
    destination_workload: to?.workloadName || UNKNOWN,
    destination_canonical_service: to?.canonicalName || UNKNOWN,
    destination_canonical_revision: to?.canonicalRevision || UNKNOWN,
    destination_workload_namespace: to?.namespace || UNKNOWN,
    destination_principal: to === undefined ? UNKNOWN : workloadIdentity(to),
    destination_app: to?.canonicalName || UNKNOWN,
    destination_version: to?.canonicalRevision || UNKNOWN,
    destination_cluster: to?.clusterId || UNKNOWN,
    request_protocol: 'tcp',
    response_flags: flags,
    connection_security_policy: securityPolicy(flow, reporter),
  };
}

/** Istio's rule: only the server's side knows; the client's always says unknown. */
function securityPolicy(flow: FlowInfo, reporter: Reporter): string {
  if (reporter === 'source') return UNKNOWN;
  return flow.mutualTls ? 'mutual_tls' : 'none';
}

function workloadKey(workload: Workload | undefined): readonly string[] {
  if (workload === undefined) return [''];
  return [
    workload.workloadName,
    workload.namespace,
    workload.canonicalName,
    workload.canonicalRevision,
    workload.clusterId,
    workload.trustDomain,
    workload.serviceAccount,
  ];
}
