/**
 * What a route does that nobody configured, as in Istio: no timeout, two retries of what never reached an endpoint.
 */
import { maxRetryBackoffMs, RETRY_BACKOFF_MS } from '../../../model/envoy-defaults.ts';
import { NO_HEADER_EDITS } from '../../../model/matcher.ts';
import type {
  ForwardAction,
  HashPolicy,
  RetryPolicy,
  Route,
  RouteAction,
  RouteMatch,
  VirtualHost,
  WeightedCluster,
} from '../../../model/route.ts';
import type { ConsistentHashSpec } from '../../../model/resource/destination-rule.ts';
import { milliseconds } from './matchers.ts';

export const DEFAULT_RETRY: RetryPolicy = {
  on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
  attempts: 2,
  perTryTimeoutMs: undefined,
  perTryIdleTimeoutMs: undefined,
  statusCodes: [503],
  headers: [],
  backoff: { baseMs: RETRY_BACKOFF_MS, maxMs: maxRetryBackoffMs(RETRY_BACKOFF_MS) },
  avoidPreviousHosts: true,
  hostSelectionAttempts: 5,
  previousPrioritiesFrequency: undefined,
};

export function forwardAction(
  choices: readonly WeightedCluster[],
  changes: Partial<ForwardAction> = {},
): { readonly type: 'forward' } & ForwardAction {
  return {
    type: 'forward',
    clusters: { type: 'weighted', choices },
    clusterNotFoundStatus: 503,
    timeoutMs: 0,
    idleTimeoutMs: undefined,
    maxStreamMs: undefined,
    grpcTimeoutMaxMs: 0,
    retry: DEFAULT_RETRY,
    hedge: undefined,
    mirrors: [],
    hash: [],
    pathRewrite: undefined,
    hostRewrite: undefined,
    upgrades: undefined,
    rateLimits: [],
    includeVirtualHostRateLimits: false,
    ...changes,
  };
}

export const ANY_REQUEST: RouteMatch = {
  path: { type: 'prefix', value: '/' },
  ignorePathCase: false,
  headers: [],
  query: [],
  fraction: undefined,
  grpcOnly: false,
};

export function plainRoute(name: string, match: RouteMatch, action: RouteAction): Route {
  return {
    name,
    match,
    action,
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    filters: {},
    tracing: undefined,
  };
}

export function virtualHost(
  name: string,
  domains: readonly string[],
  routes: readonly Route[],
): VirtualHost {
  return {
    name,
    domains,
    routes,
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    retry: undefined,
    hedge: undefined,
    rateLimits: [],
    filters: {},
  };
}

/** Consistent hashing is asked for on the cluster and fed by the route. */
export function hashPolicies(hash: ConsistentHashSpec | undefined): HashPolicy[] {
  if (hash === undefined) return [];
  const source = hashSource(hash);
  return source === undefined ? [] : [{ source, terminal: false }];
}

function hashSource(hash: ConsistentHashSpec): HashPolicy['source'] | undefined {
  if (hash.httpHeaderName) return { type: 'header', name: hash.httpHeaderName.toLowerCase() };
  if (hash.httpCookie) {
    const { name, path = '', ttl } = hash.httpCookie;
    return { type: 'cookie', name, path, ttlMs: milliseconds(ttl) };
  }
  if (hash.httpQueryParameterName) return { type: 'query', name: hash.httpQueryParameterName };
  return hash.useSourceIp === true ? { type: 'source-ip' } : undefined;
}
