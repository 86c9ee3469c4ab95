/**
 * Resources as plain JSON, for people: maps as objects, bytes as base64, and nothing secret.
 */
import type { Secret } from './secret.ts';

export const REDACTED = '<redacted>';

export function plain(value: unknown): unknown {
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, one]) => [String(key), plain(one)]));
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

/** Its private key never leaves the process. */
export function plainSecret(secret: Secret): unknown {
  return plain(secret.type === 'certificate' ? { ...secret, key: REDACTED } : secret);
}
