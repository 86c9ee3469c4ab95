/**
 * timeouts and retry of a rule.  The Gateway API retries what could not be sent or got no answer, besides the codes.
 */
import { maxRetryBackoffMs, RETRY_BACKOFF_MS } from '../../../../model/envoy-defaults.ts';
import type { HttpApiRouteRule } from '../../../../model/resource/gateway-api.ts';
import type { RetryPolicy } from '../../../../model/route.ts';
import { milliseconds } from '../matchers.ts';
import { DEFAULT_RETRY } from '../route-defaults.ts';

const CONNECTION_ERRORS = ['connect-failure', 'refused-stream', 'reset'];

/** undefined: no retries, and no limit for a single attempt */
export function retryPolicy({ retry, timeouts }: HttpApiRouteRule): RetryPolicy | undefined {
  const perTryTimeoutMs = positive(timeouts?.backendRequest);
  const baseMs = positive(retry?.backoff) ?? RETRY_BACKOFF_MS;
  const backoff = { baseMs, maxMs: maxRetryBackoffMs(baseMs) };
  if (retry === undefined) return { ...DEFAULT_RETRY, perTryTimeoutMs, backoff };
  const attempts = retry.attempts ?? DEFAULT_RETRY.attempts;
  // Without a policy there would be nowhere to put the limit.
  if (attempts <= 0 && perTryTimeoutMs === undefined) return undefined;
  const codes = retry.codes ?? [];
  return {
    ...DEFAULT_RETRY,
    on: [...CONNECTION_ERRORS, ...(codes.length > 0 ? ['retriable-status-codes'] : [])],
    statusCodes: codes,
    attempts: Math.max(0, attempts),
    perTryTimeoutMs,
    backoff,
  };
}

/** 0: none */
export function requestTimeoutMs({ timeouts }: HttpApiRouteRule): number {
  return positive(timeouts?.request) ?? 0;
}

/** Parts of a millisecond count as one: 0 would be none. */
function positive(duration: string | undefined): number | undefined {
  const ms = milliseconds(duration);
  return ms === undefined || ms <= 0 ? undefined : Math.ceil(ms);
}
