/**
 * One SRV record and the addresses of its targets → endpoints, bounded and checked: what stands in DNS is somebody else's
 * word.
 *
 * A name that does not exist has no endpoints.  A server that cannot say changes nothing: the record, and each target, keep
 * what was known of them.
 */
import { makePrefix, parseIp, parsePrefix, prefixContains, type Ip } from '../../../model/ip.ts';
import { DnsError, type DnsResolver } from './resolver.ts';

export interface DnsEndpoint {
  readonly address: Ip;
  readonly port: number;
  readonly weight: number;
}

export interface Lookup {
  readonly endpoints: readonly DnsEndpoint[];
  /** what was left out, and why */
  readonly problems: readonly string[];
  /** of the shortest-lived answer */
  readonly ttlSeconds: number;
}

const MAX_TARGETS = 256;
const MAX_ENDPOINTS = 1024;
const MAX_PARALLEL = 16;
const MAX_PROBLEMS = 10;
const TARGET =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** Addresses that mean the asker itself, or no host: an answer with them is a trick or a mistake (DNS rebinding). */
const NO_ENDPOINT = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'],
  ...['::/127', 'fe80::/10', 'ff00::/8'],
].map((text) => parsePrefix(text)!);

interface Target {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
}

export class SrvLookup {
  readonly #name: string;
  readonly #resolver: DnsResolver;
  /** by host: addresses last known */
  #addresses = new Map<string, readonly Ip[]>();

  constructor(name: string, resolver: DnsResolver) {
    this.#name = name;
    this.#resolver = resolver;
  }

  /** Throws DnsError when no server could say anything of the record. */
  async run(signal: AbortSignal): Promise<Lookup> {
    const answer = await this.#resolver.ask(this.#name, 'SRV', signal);
    const problems: string[] = [];
    if (answer.kind === 'no-such-name') {
      this.#addresses.clear();
      return { endpoints: [], problems, ttlSeconds: answer.ttlSeconds };
    }
    const targets = bestTargets(answer.answers, problems);
    let { ttlSeconds } = answer;
    const hosts = [...new Set(targets.map(({ host }) => host))];
    const addresses = new Map<string, readonly Ip[]>();
    for (let i = 0; i < hosts.length; i += MAX_PARALLEL) {
      await Promise.all(
        hosts.slice(i, i + MAX_PARALLEL).map(async (host) => {
          const found = await this.#addressesOf(host, problems, signal);
          addresses.set(host, found.addresses);
          ttlSeconds = Math.min(ttlSeconds, found.ttlSeconds);
        }),
      );
    }
    this.#addresses = addresses;
    const endpoints = endpointsOf(targets, addresses, problems);
    return { endpoints, problems: problems.sort().slice(0, MAX_PROBLEMS), ttlSeconds };
  }

  async #addressesOf(
    host: string,
    problems: string[],
    signal: AbortSignal,
  ): Promise<{ addresses: readonly Ip[]; ttlSeconds: number }> {
    const literal = parseIp(host);
    const found = literal === undefined ? [] : [literal];
    let ttlSeconds = Infinity;
    try {
      for (const type of literal === undefined ? (['A', 'AAAA'] as const) : []) {
        const answer = await this.#resolver.ask(host, type, signal);
        ttlSeconds = Math.min(ttlSeconds, answer.ttlSeconds);
        if (answer.kind === 'no-such-name') break;
        for (const record of answer.answers) {
          const { data } = record as { data?: unknown };
          const address = typeof data === 'string' ? parseIp(data) : undefined;
          if (address !== undefined) found.push(address);
        }
      }
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      problems.push(`${host}: ${error.message}; its last addresses stay in use`);
      return { addresses: this.#addresses.get(host) ?? [], ttlSeconds: 0 };
    }
    const addresses = found.filter((address) => {
      const prefix = makePrefix(address, address.includes(':') ? 128 : 32)!;
      const refused = NO_ENDPOINT.some((range) => prefixContains(range, prefix));
      if (refused) problems.push(`${host}: ${address} is no address of an endpoint`);
      return !refused;
    });
    if (found.length === 0) problems.push(`${host}: has no address`);
    return { addresses, ttlSeconds };
  }
}

/** Those of the lowest priority number (RFC 2782); others are for when these are unreachable, which DNS does not know. */
function bestTargets(answers: readonly unknown[], problems: string[]): Target[] {
  let best = Infinity;
  let targets: Target[] = [];
  for (const answer of answers) {
    const { data } = answer as { data?: Record<string, unknown> };
    const { target, port, priority = 0, weight = 0 } = data ?? {};
    const host = typeof target === 'string' ? target.toLowerCase().replace(/\.$/, '') : '';
    // "." means that the service is decidedly not there.
    if (host === '') continue;
    if (!TARGET.test(host) || typeof port !== 'number' || port < 1) {
      problems.push(`${JSON.stringify(host).slice(0, 80)} at port ${String(port)} is no target`);
      continue;
    }
    const rank = Number(priority);
    if (rank > best) continue;
    if (rank < best) targets = [];
    best = rank;
    targets.push({ host, port, weight: Number(weight) });
  }
  if (targets.length > MAX_TARGETS) {
    problems.push(`has ${targets.length} targets; the first ${MAX_TARGETS} by name are used`);
  }
  return targets.sort((a, b) => compare(a.host, b.host) || a.port - b.port).slice(0, MAX_TARGETS);
}

function endpointsOf(
  targets: readonly Target[],
  addresses: ReadonlyMap<string, readonly Ip[]>,
  problems: string[],
): DnsEndpoint[] {
  const byAddress = new Map<Ip, DnsEndpoint>();
  // All zero: no preference.  Otherwise zero is a very small share (RFC 2782), not none.
  const weighted = targets.some(({ weight }) => weight > 0);
  for (const { host, port, weight } of targets) {
    for (const address of addresses.get(host) ?? []) {
      const before = byAddress.get(address);
      if (before === undefined && byAddress.size < MAX_ENDPOINTS) {
        byAddress.set(address, { address, port, weight: weighted ? Math.max(1, weight) : 1 });
      } else if (before !== undefined && before.port !== port) {
        problems.push(
          `${address} is named with ports ${before.port} and ${port}; the first is used`,
        );
      }
    }
  }
  return [...byAddress.values()].sort((a, b) => compare(a.address, b.address));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
