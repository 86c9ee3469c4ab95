/**
 * envoy.config.route.v3.RetryPolicy and HedgePolicy ↔ their models, with Envoy's defaults filled in.
 */
import { maxRetryBackoffMs, RETRY_BACKOFF_MS } from '../../model/envoy-defaults.ts';
import type { HedgePolicy, RetryPolicy } from '../../model/route.ts';
import type {
  EnvoyCodecs,
  WireHedgePolicy,
  WireHedgePolicyInput,
  WireRetryPolicy,
  WireRetryPolicyInput,
} from '../codec-envoy.ts';
import { headersFromWire, headerToWire } from './matcher.ts';
import { holds, pack, unpack, type Reading } from './reading.ts';
import { durationFromWire, durationToWire } from './scalars.ts';

const PREVIOUS_HOSTS = 'envoy.retry_host_predicates.previous_hosts';
const PREVIOUS_PRIORITIES = 'envoy.retry_priorities.previous_priorities';
const DEFAULT_ATTEMPTS = 1;
const DEFAULT_HOST_SELECTION_ATTEMPTS = 1;

export function retryToWire(codec: EnvoyCodecs, retry: RetryPolicy): WireRetryPolicyInput {
  const frequency = retry.previousPrioritiesFrequency;
  return {
    retry_on: retry.on.join(','),
    num_retries: { value: retry.attempts },
    per_try_timeout: durationToWire(retry.perTryTimeoutMs),
    per_try_idle_timeout: durationToWire(retry.perTryIdleTimeoutMs),
    retriable_status_codes: [...retry.statusCodes],
    retriable_headers: retry.headers.map(headerToWire),
    retry_back_off: retry.backoff
      ? {
          base_interval: durationToWire(retry.backoff.baseMs),
          max_interval: durationToWire(retry.backoff.maxMs),
        }
      : null,
    retry_host_predicate: retry.avoidPreviousHosts
      ? [{ name: PREVIOUS_HOSTS, typed_config: pack(codec.previousHosts, {}) }]
      : [],
    host_selection_retry_max_attempts: retry.hostSelectionAttempts,
    retry_priority:
      frequency === undefined
        ? null
        : {
            name: PREVIOUS_PRIORITIES,
            typed_config: pack(codec.previousPriorities, { update_frequency: frequency }),
          },
  };
}

export function retryFromWire(
  wire: WireRetryPolicy | null,
  path: string,
  reading: Reading,
): RetryPolicy | undefined {
  if (wire === null) return undefined;
  const { codec } = reading;
  wire.retry_host_predicate.forEach(({ typed_config, name }, index) => {
    // Old servers name it and say no more.
    if (!holds(typed_config, codec.previousHosts) && name !== PREVIOUS_HOSTS) {
      reading.warn(`${path}.retry_host_predicate[${index}]`);
    }
  });
  const priorities = unpack(wire.retry_priority?.typed_config, codec.previousPriorities);
  if (wire.retry_priority !== null && priorities === undefined) {
    reading.warn(`${path}.retry_priority`);
  }
  const baseMs = durationFromWire(wire.retry_back_off?.base_interval ?? null) ?? RETRY_BACKOFF_MS;
  return {
    on: wire.retry_on
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== ''),
    attempts: wire.num_retries?.value ?? DEFAULT_ATTEMPTS,
    perTryTimeoutMs: durationFromWire(wire.per_try_timeout),
    perTryIdleTimeoutMs: durationFromWire(wire.per_try_idle_timeout),
    statusCodes: wire.retriable_status_codes,
    headers: headersFromWire(wire.retriable_headers, `${path}.retriable_headers`, reading),
    backoff: {
      baseMs,
      maxMs:
        durationFromWire(wire.retry_back_off?.max_interval ?? null) ?? maxRetryBackoffMs(baseMs),
    },
    avoidPreviousHosts: wire.retry_host_predicate.some(
      ({ typed_config, name }) =>
        holds(typed_config, codec.previousHosts) || name === PREVIOUS_HOSTS,
    ),
    hostSelectionAttempts:
      Number(wire.host_selection_retry_max_attempts) || DEFAULT_HOST_SELECTION_ATTEMPTS,
    previousPrioritiesFrequency: priorities?.update_frequency,
  };
}

export function hedgeToWire(hedge: HedgePolicy): WireHedgePolicyInput {
  return {
    initial_requests: { value: hedge.initialRequests },
    hedge_on_per_try_timeout: hedge.onPerTryTimeout,
  };
}

export function hedgeFromWire(wire: WireHedgePolicy | null): HedgePolicy | undefined {
  if (wire === null) return undefined;
  const { initial_requests, hedge_on_per_try_timeout } = wire;
  return {
    initialRequests: initial_requests?.value ?? 1,
    onPerTryTimeout: hedge_on_per_try_timeout,
  };
}
