/**
 * trafficPolicy of a DestinationRule → the settings of a Cluster.
 */
import type {
  Balancer,
  CircuitBreakers,
  Cluster,
  OutlierDetection,
  UpstreamTls,
} from '../../../model/cluster.ts';
import { IDLE_TIMEOUT_MS } from '../../../model/envoy-defaults.ts';
import type {
  ClientTlsSettings,
  LoadBalancerSpec,
  OutlierDetectionSpec,
} from '../../../model/resource/destination-rule.ts';
import type { PortPolicy } from './destination-rules.ts';
import { ALL, milliseconds } from './matchers.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const MIN_RING_SIZE = 1024;
const MAX_RING_SIZE = 8 * 1024 * 1024;
const MAGLEV_TABLE_SIZE = 65_537;
/** Envoy's: half of the endpoints */
const PANIC_THRESHOLD = ALL / 2;
const MAX_EJECTION_MS = 300_000;

export function balancerOf({ loadBalancer, outlierDetection }: PortPolicy): Balancer {
  const slowStart = loadBalancer?.warmup?.duration ?? loadBalancer?.warmupDurationSecs;
  const minHealth = outlierDetection?.minHealthPercent ?? 0;
  return {
    policy: balancerPolicy(loadBalancer),
    slowStartMs: milliseconds(slowStart),
    panicThreshold: outlierDetection === undefined ? PANIC_THRESHOLD : minHealth * 10_000,
    localityWeighted: (loadBalancer?.localityLbSetting?.distribute ?? []).length > 0,
  };
}

function balancerPolicy(spec: LoadBalancerSpec | undefined): Balancer['policy'] {
  const hash = spec?.consistentHash;
  if (hash?.maglev !== undefined) {
    return { type: 'maglev', tableSize: hash.maglev.tableSize ?? MAGLEV_TABLE_SIZE };
  }
  if (hash !== undefined) {
    const minSize = hash.ringHash?.minimumRingSize ?? hash.minimumRingSize ?? MIN_RING_SIZE;
    return { type: 'ring-hash', minSize, maxSize: Math.max(minSize, MAX_RING_SIZE) };
  }
  switch (spec?.simple) {
    case 'ROUND_ROBIN':
      return { type: 'round-robin' };
    case 'RANDOM':
      return { type: 'random' };
    case 'PASSTHROUGH':
      return { type: 'passthrough' };
    default:
      return { type: 'least-request', choices: 2 };
  }
}

type PoolSettings = Pick<
  Cluster,
  | 'connectTimeoutMs'
  | 'maxRequestsPerConnection'
  | 'idleTimeoutMs'
  | 'maxConnectionMs'
  | 'tcpKeepalive'
  | 'limits'
>;

export function poolSettings({ connectionPool }: PortPolicy): PoolSettings {
  const { tcp, http } = connectionPool ?? {};
  const keepalive = tcp?.tcpKeepalive;
  return {
    connectTimeoutMs: milliseconds(tcp?.connectTimeout) ?? CONNECT_TIMEOUT_MS,
    maxRequestsPerConnection: positive(http?.maxRequestsPerConnection),
    idleTimeoutMs: milliseconds(http?.idleTimeout ?? tcp?.idleTimeout) ?? IDLE_TIMEOUT_MS,
    maxConnectionMs: milliseconds(tcp?.maxConnectionDuration),
    tcpKeepalive: keepalive && {
      probes: positive(keepalive.probes),
      timeS: seconds(keepalive.time),
      intervalS: seconds(keepalive.interval),
    },
    limits: limitsOf(tcp?.maxConnections, http),
  };
}

type HttpPool = NonNullable<NonNullable<PortPolicy['connectionPool']>['http']>;

function limitsOf(maxConnections: number | undefined, http: HttpPool | undefined): CircuitBreakers {
  return {
    maxConnections: positive(maxConnections),
    maxPendingRequests: positive(http?.http1MaxPendingRequests),
    maxRequests: positive(http?.http2MaxRequests),
    maxRetries: positive(http?.maxRetries),
    retryBudget: undefined,
  };
}

function positive(value: number | undefined): number | undefined {
  return value === undefined || value <= 0 ? undefined : value;
}

function seconds(duration: string | undefined): number | undefined {
  const ms = milliseconds(duration);
  return ms === undefined ? undefined : Math.max(1, Math.round(ms / 1000));
}

export function outliersOf(spec: OutlierDetectionSpec | undefined): OutlierDetection | undefined {
  if (spec === undefined) return undefined;
  const baseEjectionMs = milliseconds(spec.baseEjectionTime) ?? 30_000;
  const split = spec.splitExternalLocalOriginErrors === true;
  return {
    consecutive5xx: spec.consecutive5xxErrors ?? spec.consecutiveErrors ?? 5,
    consecutiveGatewayErrors: spec.consecutiveGatewayErrors ?? 0,
    consecutiveLocalOriginFailures: split ? (spec.consecutiveLocalOriginFailures ?? 5) : 0,
    splitLocalOriginErrors: split,
    intervalMs: milliseconds(spec.interval) ?? 10_000,
    baseEjectionMs,
    maxEjectionMs: Math.max(baseEjectionMs, MAX_EJECTION_MS),
    maxEjectionPercent: spec.maxEjectionPercent || 10,
    successRate: undefined,
  };
}

export interface TlsContext {
  readonly host: string;
  /** where credentialName is looked for */
  readonly namespace: string;
  readonly external: boolean;
  /** of a ServiceEntry, where the rule names none */
  readonly subjectAltNames: readonly string[];
  readonly http2: boolean;
}

/** undefined: plain bytes.  The mesh's own mutual TLS is no cluster's business: the agents secure what crosses nodes. */
export function upstreamTls(
  tls: ClientTlsSettings | undefined,
  context: TlsContext,
): UpstreamTls | undefined {
  if (tls === undefined || (tls.mode ?? 'DISABLE') === 'DISABLE') return undefined;
  if (tls.mode === 'ISTIO_MUTUAL' && !context.external) return undefined;
  const { host, namespace } = context;
  const names = tls.subjectAltNames?.length ? tls.subjectAltNames : context.subjectAltNames;
  const wildcard = host.startsWith('*');
  return {
    certificates: certificatesOf(tls, namespace),
    validation: {
      roots: rootsOf(tls, namespace),
      subjectAltNames: names.map((value) => ({ type: 'exact', value, ignoreCase: false })),
      insecure: tls.insecureSkipVerify === true,
    },
    alpn: context.http2 ? ['h2'] : [],
    minVersion: undefined,
    maxVersion: undefined,
    cipherSuites: [],
    sni: tls.sni ?? (wildcard ? '' : host),
    autoSni: tls.sni === undefined && wildcard,
  };
}

function certificatesOf(tls: ClientTlsSettings, namespace: string): readonly string[] {
  if (tls.mode === 'ISTIO_MUTUAL') return ['default'];
  if (tls.mode !== 'MUTUAL') return [];
  if (tls.credentialName) return [secretName(namespace, tls.credentialName)];
  return [`file-cert:${tls.clientCertificate ?? ''}~${tls.privateKey ?? ''}`];
}

function rootsOf(tls: ClientTlsSettings, namespace: string): string | undefined {
  if (tls.mode === 'ISTIO_MUTUAL') return 'ROOTCA';
  if (tls.credentialName) return `${secretName(namespace, tls.credentialName)}-cacert`;
  if (!tls.caCertificates || tls.caCertificates === 'system') return undefined;
  return `file-root:${tls.caCertificates}`;
}

/**
 * "name", "kubernetes://…" or "kubernetes-gateway://…", as Istio names Secrets; never one of another namespace: whoever may
 * write the rule must not come by what is not his.
 */
export function secretName(namespace: string, credential: string): string {
  const path = credential.replace(/^kubernetes(-gateway)?:\/\//, '');
  const isOwn = path !== credential && path.startsWith(`${namespace}/`);
  return `kubernetes://${isOwn ? path : `${namespace}/${path}`}`;
}
