/**
 * One object for equal values: workloads of a mesh repeat each other's namespaces, nodes, Services and ports, and messages
 * bring every one as a copy of its own.
 *
 * The pool only saves memory, so it may forget: it starts anew when it is full, and what is gone from the mesh does not
 * stay for ever.
 */
import type { Locality, ServicePortTarget } from './workload.ts';

type Services = ReadonlyMap<string, readonly ServicePortTarget[]>;

/** Distinct values of some 400,000 workloads. */
const MAX_VALUES = 262_144;

const NO_TEXTS: readonly string[] = Object.freeze([]);

export class Sharing {
  readonly #texts = new Pool<string>();
  readonly #lists = new Pool<readonly string[]>();
  readonly #services = new Pool<Services>();
  readonly #localities = new Pool<Locality>();

  text(value: string): string {
    return value === '' ? '' : this.#texts.get(value, value);
  }

  texts(values: readonly string[]): readonly string[] {
    return values.length === 0 ? NO_TEXTS : this.#lists.get(values.join('\n'), values);
  }

  locality(locality: Locality): Locality {
    const { region, zone, subzone } = locality;
    return this.#localities.get(`${region}\n${zone}\n${subzone}`, locality);
  }

  services(services: Services): Services {
    let key = '';
    for (const [name, ports] of services) {
      key += `${name}\n`;
      for (const { servicePort, targetPort } of ports) key += `${servicePort}:${targetPort}\n`;
    }
    return this.#services.get(key, services);
  }
}

class Pool<V> {
  readonly #values = new Map<string, V>();

  /** The first value that came under the key. */
  get(key: string, value: V): V {
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    if (this.#values.size >= MAX_VALUES) this.#values.clear();
    this.#values.set(key, value);
    return value;
  }
}
