/** The data path's knobs: one value in the map `settings`, changed while connections live. */
import { Config } from './abi/layout.gen.ts';
import type { BpfMap } from './binding.ts';
import { TypedMap, u32 } from './typed-map.ts';

export const DEFAULT_CONFIG: Config = {
  epoch: 1,
  splice: 1,
  capBytes: 1 << 20,
  resumeBytes: 512 << 10,
  /* 5,000 connections that nobody reads stay under 256 MiB with 96 leases of 1 MiB; 24 KiB did not, with 64-byte messages. */
  freeBytes: 10 << 10,
  nodeLeases: 96,
  podLeases: 64,
  ownedTcpBytes: 8192,
  floodRun: 32,
  floodMinBytes: 200,
  floodBytes: 2560,
  floodStride: 65_536,
  onDemand: 0,
  notsentLowat: 16_384,
  keepaliveS: 600,
  detect: 1,
};

export class Settings {
  readonly #map: TypedMap<number, Config>;

  constructor(map: BpfMap) {
    this.#map = new TypedMap('settings', map, u32, Config);
  }

  get(): Config {
    return this.#map.get(0) ?? DEFAULT_CONFIG;
  }

  /** The epoch survives a restart: it may only grow. */
  write(changes: Partial<Omit<Config, 'epoch'>>): void {
    const { epoch } = this.get();
    this.#map.set(0, { ...DEFAULT_CONFIG, ...changes, epoch: Math.max(epoch, 1) });
  }

  /** Whether the kernel tells of addresses that pods dial and nobody is known at. */
  tellOfAddresses(on: boolean): void {
    this.#map.set(0, { ...this.get(), onDemand: on ? 1 : 0 });
  }

  /** Every live connection evaluates its policy again at its next message. */
  nextEpoch(): number {
    const now = this.get();
    const epoch = (now.epoch + 1) >>> 0 || 1;
    this.#map.set(0, { ...now, epoch });
    return epoch;
  }
}
