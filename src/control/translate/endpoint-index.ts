/**
 * The EndpointSlices of one namespace by address: which Services an address serves, and on which ports.
 */
import type { Ip } from '../../model/ip.ts';
import type { EndpointResource, EndpointSliceResource } from '../../model/resource.ts';

export interface SliceEndpoint {
  readonly slice: EndpointSliceResource;
  readonly endpoint: EndpointResource;
}

export class EndpointIndex {
  readonly #byAddress = new Map<Ip, SliceEndpoint[]>();
  /** Service name → its slices */
  readonly #byService = new Map<string, Set<EndpointSliceResource>>();
  /** Services whose slices changed since flips(), and whether they had any then: a new version of a slice is two changes */
  readonly #had = new Map<string, boolean>();

  add(slice: EndpointSliceResource): void {
    this.#remember(slice.service);
    const slices = this.#byService.get(slice.service) ?? new Set();
    this.#byService.set(slice.service, slices.add(slice));
    for (const endpoint of slice.endpoints) {
      for (const ip of endpoint.addresses) {
        const entries = this.#byAddress.get(ip) ?? [];
        entries.push({ slice, endpoint });
        entries.sort(bySliceName);
        this.#byAddress.set(ip, entries);
      }
    }
  }

  delete(slice: EndpointSliceResource): void {
    this.#remember(slice.service);
    const slices = this.#byService.get(slice.service);
    slices?.delete(slice);
    if (slices?.size === 0) this.#byService.delete(slice.service);
    for (const ip of addressesOf(slice)) {
      const rest = (this.#byAddress.get(ip) ?? []).filter((entry) => entry.slice !== slice);
      if (rest.length > 0) this.#byAddress.set(ip, rest);
      else this.#byAddress.delete(ip);
    }
  }

  /** A Service that has slices takes its endpoints from them, not from its selector. */
  has(service: string): boolean {
    return this.#byService.has(service);
  }

  /** Services that got their first slice or lost their last one since the last call. */
  flips(): string[] {
    const flipped = [...this.#had].filter(([service, had]) => had !== this.has(service));
    this.#had.clear();
    return flipped.map(([service]) => service);
  }

  #remember(service: string): void {
    if (!this.#had.has(service)) this.#had.set(service, this.has(service));
  }

  slicesOf(service: string): Iterable<EndpointSliceResource> {
    return this.#byService.get(service) ?? [];
  }

  /** In the order of their names, whichever came first. */
  at(ip: Ip): readonly SliceEndpoint[] {
    return this.#byAddress.get(ip) ?? [];
  }
}

export function addressesOf(slice: EndpointSliceResource): Ip[] {
  return slice.endpoints.flatMap((endpoint) => endpoint.addresses);
}

function bySliceName(a: SliceEndpoint, b: SliceEndpoint): number {
  return a.slice.name < b.slice.name ? -1 : a.slice.name > b.slice.name ? 1 : 0;
}
