/**
 * Addresses by what clients ask for: "<network>/<ip>", and the endpoints of a Service.
 */
import type { Address } from '../../model/messages.ts';
import { parseIp } from '../../model/ip.ts';
import { serviceForCluster } from '../../model/service.ts';
import type { Entry } from './entry.ts';

export class AddressIndex {
  readonly #byIp = new Map<string, Entry[]>();
  readonly #endpoints = new Map<string, Set<Entry>>();

  /** `before` and `after`: undefined when it was not, or is not, there. */
  replace(entry: Entry, before: Address | undefined, after: Address | undefined): void {
    if (before !== undefined) {
      for (const ip of ipsOf(before)) this.#removeIp(ip, entry);
      for (const service of servicesOf(before)) this.#removeEndpoint(service, entry);
    }
    if (after === undefined) return;
    for (const ip of ipsOf(after)) {
      const there = this.#byIp.get(ip);
      if (there === undefined) this.#byIp.set(ip, [entry]);
      else if (!there.includes(entry)) there.push(entry);
    }
    for (const service of servicesOf(after)) {
      const there = this.#endpoints.get(service);
      if (there === undefined) this.#endpoints.set(service, new Set([entry]));
      else there.add(entry);
    }
  }

  /** Workloads that name the Service. */
  endpointsOf(service: string): Iterable<Entry> {
    return this.#endpoints.get(service) ?? [];
  }

  /**
   * What the alias stands for, of what `has` lets through; undefined: nothing, or no alias.  A pod goes before other
   * workloads, as for ztunnel, and workloads before Services, whose networks are not known.
   */
  resolve(
    alias: Alias,
    cluster: string | undefined,
    has: (entry: Entry) => boolean,
  ): Entry | undefined {
    let best: Entry | undefined;
    let bestRank = 0;
    for (const entry of this.#byIp.get(alias.ip) ?? []) {
      const rank = rankOf(entry.resource as Address, alias, cluster);
      if (rank > bestRank && has(entry)) {
        best = entry;
        bestRank = rank;
      }
    }
    return best;
  }

  #removeIp(ip: string, entry: Entry): void {
    const left = this.#byIp.get(ip)?.filter((one) => one !== entry) ?? [];
    if (left.length === 0) this.#byIp.delete(ip);
    else this.#byIp.set(ip, left);
  }

  #removeEndpoint(service: string, entry: Entry): void {
    const there = this.#endpoints.get(service);
    if (there?.delete(entry) === true && there.size === 0) this.#endpoints.delete(service);
  }
}

export interface Alias {
  readonly network: string;
  readonly ip: string;
}

/** undefined: the name of a resource */
export function aliasOf(name: string): Alias | undefined {
  const slash = name.indexOf('/');
  const ip = slash < 0 ? undefined : parseIp(name.slice(slash + 1));
  return ip === undefined ? undefined : { network: name.slice(0, slash), ip };
}

/** Every address it has or had: who asked for one of them is to be told. */
export function ipsOf(address: Address): Iterable<string> {
  if (address.kind === 'workload') {
    return address.workload.hostNetwork ? [] : address.workload.addresses;
  }
  const { addresses, clusterAddresses } = address.service;
  if (clusterAddresses === undefined) return addresses;
  return new Set([...addresses, ...[...clusterAddresses.values()].flat()]);
}

function servicesOf(address: Address): Iterable<string> {
  return address.kind === 'workload' ? address.workload.services.keys() : [];
}

/** 0: is not meant */
function rankOf(address: Address, { network, ip }: Alias, cluster: string | undefined): number {
  if (address.kind === 'workload') {
    if (address.workload.network !== network) return 0;
    return address.workload.uid.includes('//Pod/') ? 3 : 2;
  }
  const { service } = address;
  const seen = cluster === undefined ? service : serviceForCluster(service, cluster);
  return seen.addresses.some((one) => one === ip) ? 1 : 0;
}
