/**
 * The kernel's own table of Services, read through the pins of an agent.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { addrFromText } from '../../../src/kernel/abi/address.ts';
import { Service, ServiceKey } from '../../../src/kernel/abi/layout.gen.ts';
import { loadBinding, type BpfMap } from '../../../src/kernel/binding.ts';
import { TypedMap } from '../../../src/kernel/typed-map.ts';

export class KernelServices {
  readonly #map: BpfMap;
  readonly #services: TypedMap<ServiceKey, Service>;

  /** `bpffs`: as in the agent's options */
  constructor(bpffs: string) {
    const pins = join(bpffs, 'podwire');
    const maps = readdirSync(pins)
      .map((name) => join(pins, name, 'maps', 'services'))
      .find((path) => existsSync(path));
    if (maps === undefined) throw new Error(`there is no map of Services below ${pins}`);
    this.#map = loadBinding().openPinnedMap(maps);
    this.#services = new TypedMap('services', this.#map, ServiceKey, Service);
  }

  get size(): number {
    return this.#map.dump().count;
  }

  /** undefined: the kernel does not know the address and port */
  endpointsOf(address: string, port: number): number | undefined {
    return this.#services.get({ addr: addrFromText(address), port })?.slots;
  }

  close(): void {
    this.#map.close();
  }
}
