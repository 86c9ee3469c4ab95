/**
 * The HTTP filters that shape traffic and let nobody in or out: fault, rate limits, CORS.
 */
import type { Fault, LocalRateLimit, RateLimitService } from '../../model/http-filter.ts';
import type { CorsPolicy } from '../../model/route.ts';
import type {
  WireCorsPolicy,
  WireCorsPolicyInput,
  WireHTTPFault,
  WireHTTPFaultInput,
  WireLocalRateLimit,
  WireLocalRateLimitInput,
  WireRateLimitFilter,
  WireRateLimitFilterInput,
} from '../codec-envoy.ts';
import { headersFromWire, headerToWire, stringFromWire, stringToWire } from './matcher.ts';
import type { Reading } from './reading.ts';
import {
  ALL_MILLIONTHS,
  durationFromWire,
  durationToWire,
  fractionFromWire,
  fractionToWire,
  wrap,
} from './scalars.ts';

const DEFAULT_RATE_LIMIT_TIMEOUT_MS = 20;
const DEFAULT_RATE_LIMIT_STATUS = 429;

export function faultToWire(fault: Fault | undefined): WireHTTPFaultInput {
  const { delay, abort, headers = [] } = fault ?? {};
  return {
    delay: delay
      ? { fixed_delay: durationToWire(delay.ms), percentage: fractionToWire(delay.fraction) }
      : null,
    abort: abort
      ? {
          [abort.status.type === 'http' ? 'http_status' : 'grpc_status']: abort.status.code,
          percentage: fractionToWire(abort.fraction),
        }
      : null,
    headers: headers.map(headerToWire),
  };
}

/** Delays and aborts that the request's own headers choose are left out, and named by the scan. */
export function faultFromWire(
  wire: WireHTTPFault,
  path: string,
  reading: Reading,
): Fault | undefined {
  const ms = durationFromWire(wire.delay?.fixed_delay ?? null);
  const { http_status, grpc_status } = wire.abort ?? {};
  const fault: Fault = {
    delay:
      ms === undefined ? undefined : { ms, fraction: fractionFromWire(wire.delay!.percentage) },
    abort:
      http_status === undefined && grpc_status === undefined
        ? undefined
        : {
            status:
              http_status === undefined
                ? { type: 'grpc', code: grpc_status ?? 0 }
                : { type: 'http', code: http_status },
            fraction: fractionFromWire(wire.abort!.percentage),
          },
    headers: headersFromWire(wire.headers, `${path}.headers`, reading),
  };
  return fault.delay === undefined && fault.abort === undefined ? undefined : fault;
}

export function rateLimitToWire(limit: RateLimitService): WireRateLimitFilterInput {
  return {
    domain: limit.domain,
    stage: limit.stage,
    timeout: durationToWire(limit.timeoutMs),
    failure_mode_deny: limit.failureDeny,
    rate_limit_service: {
      grpc_service: { envoy_grpc: { cluster_name: limit.cluster } },
      transport_api_version: 'V3',
    },
  };
}

export function rateLimitFromWire(
  wire: WireRateLimitFilter,
  path: string,
  { error }: Reading,
): RateLimitService {
  const cluster = wire.rate_limit_service?.grpc_service?.envoy_grpc?.cluster_name ?? '';
  if (cluster === '') error(`${path}.rate_limit_service.grpc_service`, 'names no cluster');
  return {
    domain: wire.domain,
    stage: wire.stage,
    cluster,
    timeoutMs: durationFromWire(wire.timeout) ?? DEFAULT_RATE_LIMIT_TIMEOUT_MS,
    failureDeny: wire.failure_mode_deny,
  };
}

export function localRateLimitToWire(limit: LocalRateLimit | undefined): WireLocalRateLimitInput {
  const stat_prefix = 'http_local_rate_limiter';
  if (limit === undefined) return { stat_prefix };
  return {
    stat_prefix,
    status: { code: limit.status },
    token_bucket: {
      max_tokens: limit.maxTokens,
      tokens_per_fill: { value: limit.tokensPerFill },
      fill_interval: durationToWire(limit.fillIntervalMs),
    },
    filter_enabled: { default_value: fractionToWire(limit.enabled) },
    filter_enforced: { default_value: fractionToWire(limit.enforced) },
    local_rate_limit_per_downstream_connection: limit.perConnection,
  };
}

/** As Envoy: nothing is limited without a bucket, nor of a share that is not given. */
export function localRateLimitFromWire(
  wire: WireLocalRateLimit,
  path: string,
  { error }: Reading,
): LocalRateLimit | undefined {
  const bucket = wire.token_bucket;
  if (bucket === null) return undefined;
  const fillIntervalMs = durationFromWire(bucket.fill_interval) ?? 0;
  if (!(fillIntervalMs > 0)) error(`${path}.token_bucket.fill_interval`, 'is not positive');
  return {
    maxTokens: bucket.max_tokens,
    tokensPerFill: bucket.tokens_per_fill?.value ?? 1,
    fillIntervalMs,
    enabled: fractionFromWire(wire.filter_enabled?.default_value ?? null),
    enforced: fractionFromWire(wire.filter_enforced?.default_value ?? null),
    status: wire.status?.code || DEFAULT_RATE_LIMIT_STATUS,
    perConnection: wire.local_rate_limit_per_downstream_connection,
  };
}

export function corsToWire(cors: CorsPolicy): WireCorsPolicyInput {
  return {
    allow_origin_string_match: cors.allowOrigins.map(stringToWire),
    allow_methods: cors.allowMethods,
    allow_headers: cors.allowHeaders,
    expose_headers: cors.exposeHeaders,
    max_age: cors.maxAge,
    allow_credentials: wrap(cors.allowCredentials),
    forward_not_matching_preflights: { value: cors.forwardNotMatching },
    filter_enabled: { default_value: fractionToWire(ALL_MILLIONTHS) },
  };
}

/** "disabled": a share of 0 is what old servers switch it off with; other shares are named and count as all. */
export function corsFromWire(
  wire: WireCorsPolicy,
  path: string,
  reading: Reading,
): CorsPolicy | 'disabled' {
  const enabled = wire.filter_enabled && fractionFromWire(wire.filter_enabled.default_value);
  if (enabled === 0) return 'disabled';
  if (enabled !== null && enabled !== ALL_MILLIONTHS) reading.warn(`${path}.filter_enabled`);
  return {
    allowOrigins: wire.allow_origin_string_match.flatMap((match, index) =>
      stringFromWire(match, `${path}.allow_origin_string_match[${index}]`, reading),
    ),
    allowMethods: wire.allow_methods,
    allowHeaders: wire.allow_headers,
    exposeHeaders: wire.expose_headers,
    maxAge: wire.max_age,
    allowCredentials: wire.allow_credentials?.value,
    forwardNotMatching: wire.forward_not_matching_preflights?.value ?? true,
  };
}
