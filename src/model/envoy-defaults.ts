/**
 * What holds where an xDS message says nothing: Envoy's defaults.  The codec fills them in, and what is handed over in memory
 * says the same.
 */

/** of connections, on both sides */
export const IDLE_TIMEOUT_MS = 3_600_000;
export const MAX_REQUEST_HEADERS_KB = 60;
export const DNS_REFRESH_MS = 5_000;
export const RETRY_BACKOFF_MS = 25;
/** times the base interval */
const MAX_BACKOFF_FACTOR = 10;

export function maxRetryBackoffMs(baseMs: number): number {
  return baseMs * MAX_BACKOFF_FACTOR;
}
