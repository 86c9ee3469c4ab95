/** The map `tunnels`: addresses that captured pods reach over HBONE. */
import type { Tunnel } from '../compile/kernel/tunnels.ts';
import { addrFromText, addrToText } from './abi/address.ts';
import { IpKey, Tunnel as TunnelValue, TunnelFlags } from './abi/layout.gen.ts';
import type { BpfMap } from './binding.ts';
import { TypedMap } from './typed-map.ts';

export class TunnelTable {
  readonly #map: TypedMap<IpKey, TunnelValue>;

  constructor(map: (name: string) => BpfMap) {
    this.#map = new TypedMap('tunnels', map('tunnels'), IpKey, TunnelValue);
  }

  put(address: string, { workload, waypoint }: Tunnel): void {
    this.#map.set(
      { addr: addrFromText(address) },
      { flags: (workload ? TunnelFlags.WORKLOAD : 0) | (waypoint ? TunnelFlags.WAYPOINT : 0) },
    );
  }

  delete(address: string): void {
    this.#map.delete({ addr: addrFromText(address) });
  }

  /** After the first plan: removes what an earlier agent left and the mesh no longer has. */
  prune(kept: { has(address: string): boolean }): void {
    for (const [key] of this.#map.entries()) {
      if (!kept.has(addrToText(key.addr))) this.#map.delete(key);
    }
  }
}
