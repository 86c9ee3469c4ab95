/**
 * What a control process reads, and when it has read enough to serve it.
 */
import { getServers } from 'node:dns';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlProcessOptions } from '../config/control-options.ts';
import { Backoff } from '../lifecycle/backoff.ts';
import type { Log } from '../log.ts';
import type { Clusters } from './clusters.ts';
import { HeardSource } from './heard.ts';
import { KubernetesError } from './kubernetes/error.ts';
import { parseDnsRecords } from './sources/dns/record.ts';
import { DnsResolver, type DnsServer } from './sources/dns/resolver.ts';
import { DnsSource } from './sources/dns/source.ts';
import { FolderSource } from './sources/file/source.ts';
import type { Source } from './sources/source.ts';

const PATIENCE_MS = 10_000;

/** Throws PodwireError. `required`: nothing is served before they have been heard. Other clusters and DNS may be away at the start. */
export function openSources(
  { configDir, dns }: ControlProcessOptions,
  clusters: Clusters | undefined,
  log: Log,
): { readonly required: readonly HeardSource[]; readonly sources: readonly Source[] } {
  const required: HeardSource[] = [];
  if (configDir !== undefined) required.push(new HeardSource(new FolderSource(configDir, log)));
  const [primary, ...others] = clusters?.sources ?? [];
  if (primary !== undefined) required.push(new HeardSource(primary));
  const sources: Source[] = [...required, ...others];
  if (dns.length > 0) {
    sources.push(new DnsSource(parseDnsRecords(dns), new DnsResolver(nameServers())));
  }
  return { required, sources };
}

/**
 * Tries again while the API server cannot be asked: control is of use as soon as it can be, and who started both at once
 * is not to be told of an error.  Rejects with any other error, and when `signal` is aborted before.
 */
export async function whenAnswered<T>(
  start: () => Promise<T>,
  signal: AbortSignal,
  log: Log,
): Promise<T> {
  const backoff = new Backoff({ firstMs: 250, maxMs: 10_000 });
  for (;;) {
    try {
      return await start();
    } catch (err) {
      if (!(err instanceof KubernetesError) || (err.status > 0 && err.status < 500)) throw err;
      log.warn({ err }, 'the API server does not answer yet');
      await sleep(backoff.nextMs(), undefined, { signal });
    }
  }
}

/** Rejects when `signal` is aborted before. */
export async function whenHeard(
  sources: readonly HeardSource[],
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const started = performance.now();
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1000);
    log.warn({ seconds }, 'nothing is served yet: a source has not told its state');
  }, PATIENCE_MS);
  try {
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('told to stop')), { once: true });
    });
    await Promise.race([Promise.all(sources.map(({ heard }) => heard)), aborted]);
  } finally {
    clearInterval(timer);
  }
}

/** Of /etc/resolv.conf: "ADDRESS", "ADDRESS:PORT" or "[ADDRESS]:PORT". */
function nameServers(): readonly DnsServer[] {
  return getServers().map((text) => {
    const match = /^(?:\[(.+)\]|([0-9.]+)):([0-9]+)$/.exec(text);
    return { address: match?.[1] ?? match?.[2] ?? text, port: Number(match?.[3] ?? 53) };
  });
}
