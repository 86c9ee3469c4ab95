/**
 * The pods of one namespace of one cluster: by name, by address and by label.
 */
import type { Ip } from '../../model/ip.ts';
import type { PodResource } from '../../model/resource.ts';
import type { Labels } from './label-index.ts';
import { LabelledItems } from './labelled-items.ts';
import { MultiMap } from './multi-map.ts';

export class PodIndex {
  readonly #byName = new Map<string, PodResource>();
  /** several where they are in different networks; none of the node's own network */
  readonly #byAddress = new MultiMap<Ip, PodResource>();
  readonly #byLabel = new LabelledItems<PodResource>();

  get size(): number {
    return this.#byName.size;
  }

  add(pod: PodResource): void {
    this.#byName.set(pod.name, pod);
    this.#byLabel.add(pod);
    if (pod.hostNetwork) return;
    for (const ip of pod.addresses) this.#byAddress.add(ip, pod);
  }

  delete(pod: PodResource): void {
    if (this.#byName.get(pod.name) === pod) this.#byName.delete(pod.name);
    this.#byLabel.delete(pod);
    for (const ip of pod.addresses) this.#byAddress.delete(ip, pod);
  }

  get(name: string): PodResource | undefined {
    return this.#byName.get(name);
  }

  all(): IterableIterator<PodResource> {
    return this.#byName.values();
  }

  at(ip: Ip): Iterable<PodResource> {
    return this.#byAddress.get(ip);
  }

  /** `labels`: at least one */
  selected(labels: Labels): Iterable<PodResource> {
    return this.#byLabel.select(labels);
  }
}
