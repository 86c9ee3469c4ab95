/**
 * Which pairs of this node's pods NetworkPolicy lets talk, in the kernel: who is isolated, and what is allowed all the same. At
 * no moment is more allowed than before or after: isolation is written first and taken back last.
 */
import type { NetworkRules } from '../compile/kernel/network.ts';
import type { Log } from '../log.ts';
import { AbiLimits, Isolation, PairKey } from './abi/layout.gen.ts';
import type { BpfMap } from './binding.ts';
import { TypedMap, u32 } from './typed-map.ts';

const POD_BITS = 64;

export class NetworkTable {
  readonly #isolated: TypedMap<number, number>;
  readonly #pairs: TypedMap<PairKey, number>;
  readonly #log: Log;
  /** what the maps hold; undefined: what an earlier agent left is not known yet */
  #bits: ReadonlyMap<number, number> | undefined;
  #keys: ReadonlyMap<string, PairKey> | undefined;
  #overflow = false;

  constructor(options: { map: (name: string) => BpfMap; log: Log }) {
    this.#isolated = new TypedMap('isolated', options.map('isolated'), u32, u32);
    this.#pairs = new TypedMap('pairs', options.map('pairs'), PairKey, u32);
    this.#log = options.log;
  }

  /** `idOf`: number of a captured pod; the others get theirs when they are. */
  write({ isolated, pairs }: NetworkRules, idOf: (uid: string) => number | undefined): void {
    const bits = new Map<number, number>();
    for (const [uid, { ingress, egress }] of isolated) {
      const id = idOf(uid);
      if (id !== undefined) bits.set(id, this.#bitsOf(ingress, egress));
    }
    const keys = new Map<string, PairKey>();
    for (const pair of pairs) {
      const [source, destination] = [idOf(pair.source), idOf(pair.destination)];
      if (source === undefined || destination === undefined) continue;
      for (const { port, bits: portBits } of pair.ports) {
        const key = keyOf(source, destination, port, portBits);
        keys.set(`${source} ${destination} ${port} ${portBits}`, key);
      }
    }
    this.#tell(keys.size > AbiLimits.MAX_PAIRS);
    const fitting = keys.size > AbiLimits.MAX_PAIRS ? new Map<string, PairKey>() : keys;
    const before = this.#bits ?? this.#readBits();
    const known = this.#keys ?? this.#readKeys();
    this.#bits = this.#keys = undefined; /* should a write fail */
    for (const [id, value] of bits) {
      if (before.get(id) !== value) this.#isolated.set(id, value | (before.get(id) ?? 0));
    }
    this.#pairs.deleteMany([...known].flatMap(([text, key]) => (fitting.has(text) ? [] : [key])));
    this.#pairs.setMany(
      [...fitting].flatMap(([text, key]) => (known.has(text) ? [] : [[key, 1] as const])),
    );
    for (const id of new Set([...before.keys(), ...bits.keys()])) {
      const value = bits.get(id) ?? 0;
      if (before.get(id) !== value) this.#isolated.set(id, value);
    }
    this.#bits = bits;
    this.#keys = fitting;
  }

  #bitsOf(ingress: boolean, egress: boolean): number {
    return (ingress ? Isolation.INGRESS : 0) | (egress ? Isolation.EGRESS : 0);
  }

  /** Without room for all, no isolated pod is spliced: slower, and never past the CNI. */
  #tell(overflow: boolean): void {
    if (overflow && !this.#overflow) {
      this.#log.warn(
        { limit: AbiLimits.MAX_PAIRS },
        'NetworkPolicies allow more pairs of pods than the kernel has room for: pods they isolate are not spliced',
      );
    }
    this.#overflow = overflow;
  }

  #readBits(): Map<number, number> {
    return new Map(this.#isolated.entries().filter(([, value]) => value !== 0));
  }

  #readKeys(): Map<string, PairKey> {
    return new Map(
      this.#pairs.entries().map(([key]) => {
        const port = (key.port[0]! << 8) | key.port[1]!;
        return [
          `${key.source} ${key.destination} ${port} ${key.prefixlen - POD_BITS}`,
          key,
        ] as const;
      }),
    );
  }
}

function keyOf(source: number, destination: number, port: number, bits: number): PairKey {
  return {
    prefixlen: POD_BITS + bits,
    source,
    destination,
    port: Uint8Array.of(port >> 8, port & 255),
  };
}
