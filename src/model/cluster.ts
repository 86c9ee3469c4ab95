/**
 * envoy.config.cluster.v3.Cluster, decoded: a group of endpoints and how requests are spread over them.
 *
 * Names: `outbound|<port>|<subset>|<host>`, with `@<scope>` behind it where a caller's own DestinationRule differs.
 */
import type { LoadAssignment } from './load-assignment.ts';
import type { Millionths, StringMatcher } from './matcher.ts';

export interface Cluster {
  readonly name: string;
  readonly discovery:
    /** name of its ClusterLoadAssignment */
    | { readonly type: 'eds'; readonly service: string }
    | { readonly type: 'static'; readonly endpoints: LoadAssignment }
    | {
        readonly type: 'strict-dns' | 'logical-dns';
        readonly endpoints: LoadAssignment;
        readonly refreshMs: number | undefined;
        readonly family: 'auto' | 'v4' | 'v6' | 'all';
      }
    /** to where the client wanted to go */
    | { readonly type: 'original-destination' };
  readonly connectTimeoutMs: number;
  readonly balancer: Balancer;
  readonly protocol: 'http1' | 'http2' | 'as-downstream';
  readonly maxRequestsPerConnection: number | undefined;
  readonly idleTimeoutMs: number | undefined;
  readonly maxConnectionMs: number | undefined;
  readonly tcpKeepalive: TcpKeepalive | undefined;
  readonly limits: CircuitBreakers;
  readonly outliers: OutlierDetection | undefined;
  readonly healthChecks: readonly HealthCheck[];
  readonly tls: UpstreamTls | undefined;
  /** PROXY protocol in front of the bytes */
  readonly proxyProtocol: 1 | 2 | undefined;
  /** for telemetry */
  readonly service:
    { readonly namespace: string; readonly name: string; readonly host: string } | undefined;
}

export interface Balancer {
  readonly policy:
    | { readonly type: 'round-robin' }
    | { readonly type: 'random' }
    | { readonly type: 'least-request'; readonly choices: number }
    | { readonly type: 'peak-ewma'; readonly decayMs: number }
    | { readonly type: 'ring-hash'; readonly minSize: number; readonly maxSize: number }
    | { readonly type: 'maglev'; readonly tableSize: number }
    | { readonly type: 'passthrough' };
  readonly slowStartMs: number | undefined;
  /** below this share of healthy endpoints all are used; 0: never */
  readonly panicThreshold: Millionths;
  /** weights between localities of one priority are kept */
  readonly localityWeighted: boolean;
}

export interface TcpKeepalive {
  readonly probes: number | undefined;
  readonly timeS: number | undefined;
  readonly intervalS: number | undefined;
}

/** undefined: no limit */
export interface CircuitBreakers {
  readonly maxConnections: number | undefined;
  readonly maxPendingRequests: number | undefined;
  readonly maxRequests: number | undefined;
  readonly maxRetries: number | undefined;
  /** share of active requests that may be retries */
  readonly retryBudget: { readonly percent: number; readonly minimum: number } | undefined;
}

export interface OutlierDetection {
  /** 0: not looked at */
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalOriginFailures: number;
  readonly splitLocalOriginErrors: boolean;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionPercent: number;
  readonly successRate:
    | {
        readonly minimumHosts: number;
        readonly requestVolume: number;
        /** thousandths of a standard deviation, as Envoy: 1900 */
        readonly stdevFactor: number;
      }
    | undefined;
}

export interface HealthCheck {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly check:
    | {
        readonly type: 'http';
        readonly host: string;
        readonly path: string;
        readonly expected: readonly { readonly start: number; readonly end: number }[];
      }
    | { readonly type: 'grpc'; readonly service: string }
    | { readonly type: 'tcp' };
}

export interface TlsParameters {
  /** names of Secrets with certificate and key; the first whose names fit is used */
  readonly certificates: readonly string[];
  readonly validation: CertificateValidation | undefined;
  readonly alpn: readonly string[];
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
  readonly cipherSuites: readonly string[];
}

export type TlsVersion = 'TLSv1_2' | 'TLSv1_3';

export interface CertificateValidation {
  /** name of the Secret with the roots; undefined: those of the system */
  readonly roots: string | undefined;
  /** any of them; none: the server name asked for, when there is one */
  readonly subjectAltNames: readonly StringMatcher[];
  /** the chain is not checked */
  readonly insecure: boolean;
}

export interface UpstreamTls extends TlsParameters {
  readonly sni: string;
  /** server name from the downstream connection or the Host header */
  readonly autoSni: boolean;
}
