/**
 * Measurements and views in the words of the demo.
 */
import { basename, dirname } from 'node:path';
import type { ConnectionView } from '../../src/admin/view.ts';
import type { Exchanges } from './pods.ts';

export interface RoundTrip {
  /** of the median */
  readonly us: number;
  readonly exchanges: number;
  /** that crossed the bridge meanwhile */
  readonly packets: number;
}

export function describeRoundTrip({ us, exchanges, packets }: RoundTrip): string {
  const perExchange = (packets / exchanges).toFixed(1);
  return `${us.toFixed(1)} µs, median of ${groupDigits(exchanges)}; ${perExchange} packets on the bridge each`;
}

/** what has been exchanged in the background */
export function describeExchanges({ count, us }: Exchanges): string {
  return `${count} messages more, the slowest took ${(us / 1_000).toFixed(1)} ms`;
}

/** 0.57: this long, where the other took 1 */
export function ratio(now: RoundTrip, before: RoundTrip): string {
  return `${(now.us / before.us).toFixed(2)} ×`;
}

export function groupDigits(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** `spliced`, or `plain, learning-client` */
export function describePath({ path, reason }: Pick<ConnectionView, 'path' | 'reason'>): string {
  return reason === '' ? path : `${path}, ${reason}`;
}

/** `ns/demo/sa/client`: what follows the trust domain */
export function shortIdentity(identity: string): string {
  return identity.replace(/^spiffe:\/\/[^/]+\//, '') || 'none';
}

/** "1-4" */
export function range(from: number, to: number): string {
  return from === to ? String(from) : `${from}-${to}`;
}

/** Paths that were removed, by the folder that held them: `28 maps, 10 hooks`. */
export function countByFolder(paths: readonly string[]): string {
  const kinds: Readonly<Record<string, string>> = {
    maps: 'maps',
    links: 'hooks',
    hooks: 'hooks',
    pods: 'hooks',
  };
  const counts = new Map<string, number>();
  for (const path of paths) {
    const kind = kinds[basename(dirname(path))] ?? 'folders and other files';
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}

/** Some fields of a log line, in this order. */
export function pickFields(
  line: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): string {
  return keys
    .filter((key) => line[key] !== undefined)
    .map((key) => `${key}=${String(line[key])}`)
    .join('  ');
}
