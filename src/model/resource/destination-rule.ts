/**
 * networking.istio.io DestinationRule.
 */
import type { Labels, LabelSelector, PortSelector, SpecResource } from './spec.ts';

export type DestinationRuleResource = SpecResource<'DestinationRule', DestinationRuleSpec>;

export interface DestinationRuleSpec {
  readonly host: string;
  readonly trafficPolicy?: TrafficPolicySpec;
  readonly subsets?: readonly SubsetSpec[];
  readonly exportTo?: readonly string[];
  /** the clients it is for, by pod label; absent: all */
  readonly workloadSelector?: LabelSelector;
}

export interface SubsetSpec {
  readonly name: string;
  readonly labels?: Labels;
  readonly trafficPolicy?: TrafficPolicySpec;
}

export interface PortTrafficPolicySpec {
  readonly port?: PortSelector;
  readonly loadBalancer?: LoadBalancerSpec;
  readonly connectionPool?: ConnectionPoolSpec;
  readonly outlierDetection?: OutlierDetectionSpec;
  readonly tls?: ClientTlsSettings;
}

export interface TrafficPolicySpec extends Omit<PortTrafficPolicySpec, 'port'> {
  readonly portLevelSettings?: readonly PortTrafficPolicySpec[];
  readonly proxyProtocol?: { readonly version?: 'V1' | 'V2' };
  readonly tunnel?: {
    readonly protocol?: string;
    readonly targetHost: string;
    readonly targetPort: number;
  };
}

export interface LoadBalancerSpec {
  readonly simple?:
    'UNSPECIFIED' | 'LEAST_CONN' | 'RANDOM' | 'PASSTHROUGH' | 'ROUND_ROBIN' | 'LEAST_REQUEST';
  readonly consistentHash?: ConsistentHashSpec;
  readonly localityLbSetting?: LocalityLbSetting;
  readonly warmup?: {
    readonly duration: string;
    readonly minimumPercent?: number | null;
    readonly aggression?: number | null;
  };
  readonly warmupDurationSecs?: string;
}

export interface ConsistentHashSpec {
  readonly httpHeaderName?: string;
  readonly httpQueryParameterName?: string;
  readonly httpCookie?: { readonly name: string; readonly path?: string; readonly ttl?: string };
  readonly useSourceIp?: boolean;
  readonly ringHash?: { readonly minimumRingSize?: number };
  readonly maglev?: { readonly tableSize?: number };
  readonly minimumRingSize?: number;
}

export interface LocalityLbSetting {
  /** `to`: "region/zone/subzone" → percent, 100 in all */
  readonly distribute?: readonly {
    readonly from?: string;
    readonly to?: Readonly<Record<string, number>>;
  }[];
  readonly failover?: readonly { readonly from?: string; readonly to?: string }[];
  readonly failoverPriority?: readonly string[];
  readonly enabled?: boolean | null;
}

export interface ConnectionPoolSpec {
  readonly tcp?: {
    readonly maxConnections?: number;
    readonly connectTimeout?: string;
    readonly maxConnectionDuration?: string;
    readonly idleTimeout?: string;
    readonly tcpKeepalive?: {
      readonly probes?: number;
      readonly time?: string;
      readonly interval?: string;
    };
  };
  readonly http?: {
    readonly http1MaxPendingRequests?: number;
    readonly http2MaxRequests?: number;
    readonly maxRequestsPerConnection?: number;
    readonly maxRetries?: number;
    readonly idleTimeout?: string;
    readonly h2UpgradePolicy?: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE';
    readonly useClientProtocol?: boolean;
    readonly maxConcurrentStreams?: number;
  };
}

export interface OutlierDetectionSpec {
  readonly consecutiveErrors?: number;
  readonly consecutiveGatewayErrors?: number | null;
  /** absent: 5 */
  readonly consecutive5xxErrors?: number | null;
  readonly splitExternalLocalOriginErrors?: boolean;
  readonly consecutiveLocalOriginFailures?: number | null;
  readonly interval?: string;
  readonly baseEjectionTime?: string;
  readonly maxEjectionPercent?: number;
  readonly minHealthPercent?: number;
}

export interface ClientTlsSettings {
  readonly mode?: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL';
  readonly clientCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly caCrl?: string;
  readonly credentialName?: string;
  readonly subjectAltNames?: readonly string[];
  readonly sni?: string;
  readonly insecureSkipVerify?: boolean | null;
}
