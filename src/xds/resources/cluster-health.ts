/**
 * When an endpoint is left out, and how much a cluster bears ↔ CircuitBreakers, OutlierDetection, HealthCheck.  Envoy's
 * defaults are filled in.
 */
import type { CircuitBreakers, HealthCheck, OutlierDetection } from '../../model/cluster.ts';
import type {
  WireCircuitBreakers,
  WireCircuitBreakersInput,
  WireHealthCheck,
  WireHealthCheckInput,
  WireOutlierDetection,
  WireOutlierDetectionInput,
} from '../codec-envoy.ts';
import type { Reading } from './reading.ts';
import { durationFromWire, durationToWire } from './scalars.ts';

/** What stands for "no limit", as istiod writes it. */
const UNLIMITED = 0xffffffff;
const DEFAULT_LIMIT = 1024;
const DEFAULT_RETRIES = 3;
const DEFAULT_BUDGET = { percent: 20, minimum: 3 };
const ALWAYS = 100;
const OUTLIERS = {
  consecutive: 5,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 10,
  minimumHosts: 5,
  requestVolume: 100,
  stdevFactor: 1900,
};

type Wrapped = { readonly value: number } | null;

export function limitsToWire(limits: CircuitBreakers): WireCircuitBreakersInput {
  const limit = (value: number | undefined) => ({ value: value ?? UNLIMITED });
  const { retryBudget } = limits;
  return {
    thresholds: [
      {
        max_connections: limit(limits.maxConnections),
        max_pending_requests: limit(limits.maxPendingRequests),
        max_requests: limit(limits.maxRequests),
        max_retries: limit(limits.maxRetries),
        retry_budget: retryBudget
          ? {
              budget_percent: { value: retryBudget.percent },
              min_retry_concurrency: { value: retryBudget.minimum },
            }
          : null,
      },
    ],
  };
}

export function limitsFromWire(
  wire: WireCircuitBreakers | null,
  path: string,
  { warn }: Reading,
): CircuitBreakers {
  const thresholds = wire?.thresholds ?? [];
  thresholds.forEach(({ priority }, index) => {
    if (priority !== 'DEFAULT') warn(`${path}.thresholds[${index}]`);
  });
  const found = thresholds.find(({ priority }) => priority === 'DEFAULT');
  const limit = (wrapped: Wrapped | undefined, absent: number) => {
    const value = wrapped?.value ?? absent;
    return value === UNLIMITED ? undefined : value;
  };
  const budget = found?.retry_budget;
  return {
    maxConnections: limit(found?.max_connections, DEFAULT_LIMIT),
    maxPendingRequests: limit(found?.max_pending_requests, DEFAULT_LIMIT),
    maxRequests: limit(found?.max_requests, DEFAULT_LIMIT),
    maxRetries: limit(found?.max_retries, DEFAULT_RETRIES),
    retryBudget: budget
      ? {
          percent: budget.budget_percent?.value ?? DEFAULT_BUDGET.percent,
          minimum: budget.min_retry_concurrency?.value ?? DEFAULT_BUDGET.minimum,
        }
      : undefined,
  };
}

export function outliersToWire(outliers: OutlierDetection): WireOutlierDetectionInput {
  const { successRate } = outliers;
  const enforced = (count: number) => ({ value: count > 0 ? ALWAYS : 0 });
  // Envoy takes no count of 0, so what is not looked at keeps its default and is not enforced.
  const counted = (count: number) => (count > 0 ? { value: count } : null);
  return {
    consecutive_5xx: counted(outliers.consecutive5xx),
    enforcing_consecutive_5xx: enforced(outliers.consecutive5xx),
    consecutive_gateway_failure: counted(outliers.consecutiveGatewayErrors),
    enforcing_consecutive_gateway_failure: enforced(outliers.consecutiveGatewayErrors),
    consecutive_local_origin_failure: counted(outliers.consecutiveLocalOriginFailures),
    enforcing_consecutive_local_origin_failure: enforced(outliers.consecutiveLocalOriginFailures),
    split_external_local_origin_errors: outliers.splitLocalOriginErrors,
    interval: durationToWire(outliers.intervalMs),
    base_ejection_time: durationToWire(outliers.baseEjectionMs),
    max_ejection_time: durationToWire(outliers.maxEjectionMs),
    max_ejection_percent: { value: outliers.maxEjectionPercent },
    enforcing_success_rate: { value: successRate ? ALWAYS : 0 },
    success_rate_minimum_hosts: successRate ? { value: successRate.minimumHosts } : null,
    success_rate_request_volume: successRate ? { value: successRate.requestVolume } : null,
    success_rate_stdev_factor: successRate ? { value: successRate.stdevFactor } : null,
  };
}

export function outliersFromWire(
  wire: WireOutlierDetection | null,
  path: string,
  { warn }: Reading,
): OutlierDetection | undefined {
  if (wire === null) return undefined;
  // A share between none and all of the ejections is taken as all of them.
  const isEnforced = (
    field: keyof WireOutlierDetection & `enforcing_${string}`,
    absent: number,
  ): boolean => {
    const share = wire[field]?.value ?? absent;
    if (share > 0 && share < ALWAYS) warn(`${path}.${field}`);
    return share > 0;
  };
  const count = (wrapped: Wrapped, isOn: boolean) =>
    isOn ? (wrapped?.value ?? OUTLIERS.consecutive) : 0;
  const baseEjectionMs = durationFromWire(wire.base_ejection_time) ?? OUTLIERS.baseEjectionMs;
  return {
    consecutive5xx: count(wire.consecutive_5xx, isEnforced('enforcing_consecutive_5xx', ALWAYS)),
    consecutiveGatewayErrors: count(
      wire.consecutive_gateway_failure,
      isEnforced('enforcing_consecutive_gateway_failure', 0),
    ),
    consecutiveLocalOriginFailures: count(
      wire.consecutive_local_origin_failure,
      isEnforced('enforcing_consecutive_local_origin_failure', ALWAYS),
    ),
    splitLocalOriginErrors: wire.split_external_local_origin_errors,
    intervalMs: durationFromWire(wire.interval) ?? OUTLIERS.intervalMs,
    baseEjectionMs,
    maxEjectionMs:
      durationFromWire(wire.max_ejection_time) ?? Math.max(baseEjectionMs, OUTLIERS.maxEjectionMs),
    maxEjectionPercent: wire.max_ejection_percent?.value ?? OUTLIERS.maxEjectionPercent,
    successRate: isEnforced('enforcing_success_rate', ALWAYS)
      ? {
          minimumHosts: wire.success_rate_minimum_hosts?.value ?? OUTLIERS.minimumHosts,
          requestVolume: wire.success_rate_request_volume?.value ?? OUTLIERS.requestVolume,
          stdevFactor: wire.success_rate_stdev_factor?.value ?? OUTLIERS.stdevFactor,
        }
      : undefined,
  };
}

export function healthCheckToWire(health: HealthCheck): WireHealthCheckInput {
  const { check } = health;
  const common = {
    interval: durationToWire(health.intervalMs),
    timeout: durationToWire(health.timeoutMs),
    healthy_threshold: { value: health.healthyThreshold },
    unhealthy_threshold: { value: health.unhealthyThreshold },
  };
  switch (check.type) {
    case 'http': {
      const { host, path, expected } = check;
      return { ...common, http_health_check: { host, path, expected_statuses: [...expected] } };
    }
    case 'grpc':
      return { ...common, grpc_health_check: { service_name: check.service } };
    case 'tcp':
      return { ...common, tcp_health_check: {} };
  }
}

/** A check of a kind that is not known is none, and named. */
export function healthCheckFromWire(
  wire: WireHealthCheck,
  path: string,
  { error, warn }: Reading,
): HealthCheck[] {
  const check = checkFromWire(wire);
  if (check === undefined) {
    warn(path);
    return [];
  }
  const intervalMs = durationFromWire(wire.interval) ?? 0;
  const timeoutMs = durationFromWire(wire.timeout) ?? 0;
  if (!(intervalMs > 0)) error(`${path}.interval`, 'is not positive');
  if (!(timeoutMs > 0)) error(`${path}.timeout`, 'is not positive');
  return [
    {
      intervalMs,
      timeoutMs,
      healthyThreshold: wire.healthy_threshold?.value ?? 1,
      unhealthyThreshold: wire.unhealthy_threshold?.value ?? 1,
      check,
    },
  ];
}

function checkFromWire(wire: WireHealthCheck): HealthCheck['check'] | undefined {
  if (wire.http_health_check) {
    const { host, path, expected_statuses } = wire.http_health_check;
    const expected = expected_statuses.map(({ start, end }) => ({
      start: Number(start),
      end: Number(end),
    }));
    return { type: 'http', host, path, expected };
  }
  if (wire.grpc_health_check) return { type: 'grpc', service: wire.grpc_health_check.service_name };
  return wire.tcp_health_check ? { type: 'tcp' } : undefined;
}
