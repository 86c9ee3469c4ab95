/**
 * Numbers of the node's pods in the kernel. A pod is its network namespace: an agent that adopts maps finds each pod's number by
 * the netns cookie. Numbers go round, so that one is given again only long after its pod and that pod's connections are gone.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PodwireError } from '../errors.ts';
import { AbiLimits } from './abi/layout.gen.ts';
import type { Binding, BpfMap } from './binding.ts';
import type { DataPath } from './data-path.ts';
import { u32, u64 } from './typed-map.ts';

export class PodIds {
  readonly #byCookie = new Map<bigint, number>();
  readonly #used = new Set<number>();
  readonly #inUse: (id: number) => boolean;
  #last = 0;

  /** `inUse`: whether live connections still carry a number whose pod is gone. */
  constructor(inUse: (id: number) => boolean) {
    this.#inUse = inUse;
  }

  adopt(cookie: bigint, id: number): void {
    this.#byCookie.set(cookie, id);
    this.#used.add(id);
    this.#last = Math.max(this.#last, id);
  }

  /** A number that live connections carry, of a pod that may be gone: it is asked for again before it is given. */
  skip(id: number): void {
    this.#last = Math.max(this.#last, id);
  }

  of(cookie: bigint): number {
    const known = this.#byCookie.get(cookie);
    if (known !== undefined) return known;
    for (let step = 1; step < AbiLimits.MAX_PODS; step++) {
      const id = ((this.#last + step - 1) % (AbiLimits.MAX_PODS - 1)) + 1;
      if (this.#used.has(id) || (id <= this.#last && this.#inUse(id))) continue;
      this.adopt(cookie, id);
      this.#last = id;
      return id;
    }
    throw new PodwireError(
      'ERR_MAP_FULL',
      `this node has ${AbiLimits.MAX_PODS - 1} enrolled pods already`,
      {
        hint: 'raise MAX_PODS in bpf/abi.h',
      },
    );
  }

  cookies(): bigint[] {
    return [...this.#byCookie.keys()];
  }

  release(cookie: bigint): void {
    const id = this.#byCookie.get(cookie);
    if (id === undefined) return;
    this.#byCookie.delete(cookie);
    this.#used.delete(id);
  }
}

/**
 * Numbers of namespaces as this and older generations know them, newest first: connections of older ones carry theirs. The
 * number is the first field of struct pod in every layout.
 */
export function knownPodIds(binding: Binding, path: DataPath): Map<bigint, number> {
  const numbers = new Map<bigint, number>();
  const read = (map: BpfMap): void => {
    const { keys, values, count } = map.dump();
    for (let i = 0; i < count; i++) {
      const cookie = u64.decode(keys, i * u64.size);
      if (!numbers.has(cookie))
        numbers.set(cookie, u32.decode(values, (i * values.length) / count));
    }
  };
  read(path.map('pods'));
  for (const { maps } of path.generations.olderThan(path.generation)) {
    const pin = join(maps, 'pods');
    if (!existsSync(pin)) continue;
    const map = binding.openPinnedMap(pin);
    read(map);
    map.close();
  }
  return numbers;
}
