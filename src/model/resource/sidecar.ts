/**
 * networking.istio.io Sidecar: here, what clients of a namespace can reach.
 */
import type { ConnectionPoolSpec } from './destination-rule.ts';
import type { ServerTlsSettings } from './gateway.ts';
import type { PortSpec, SpecResource, WorkloadSelector } from './spec.ts';
import type { DestinationSpec } from './virtual-service.ts';

export type SidecarResource = SpecResource<'Sidecar', SidecarSpec>;

export interface SidecarSpec {
  /** absent: the whole namespace, or the mesh in the root namespace */
  readonly workloadSelector?: WorkloadSelector;
  readonly ingress?: readonly IstioIngressListener[];
  readonly egress?: readonly IstioEgressListener[];
  readonly inboundConnectionPool?: ConnectionPoolSpec;
  readonly outboundTrafficPolicy?: OutboundTrafficPolicy;
}

export interface IstioIngressListener {
  readonly port: PortSpec;
  readonly bind?: string;
  readonly captureMode?: 'DEFAULT' | 'IPTABLES' | 'NONE';
  readonly defaultEndpoint?: string;
  readonly tls?: ServerTlsSettings;
  readonly connectionPool?: ConnectionPoolSpec;
}

export interface IstioEgressListener {
  readonly port?: PortSpec;
  readonly bind?: string;
  readonly captureMode?: 'DEFAULT' | 'IPTABLES' | 'NONE';
  /** "ns/host"; ns: a name, ".", "*" or "~" (none) */
  readonly hosts: readonly string[];
}

export interface OutboundTrafficPolicy {
  readonly mode?: 'REGISTRY_ONLY' | 'ALLOW_ANY';
  readonly egressProxy?: DestinationSpec;
}
