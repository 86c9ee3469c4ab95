/**
 * The workloads that inbound listeners are for, and which of them a resource may apply to.
 */
import { LabelledItems } from '../../labelled-items.ts';
import { MultiMap } from '../../multi-map.ts';
import { targetOf, type InboundResource } from './policy-catalog.ts';
import type { InboundWorkload } from './workload-ports.ts';

interface NamespaceWorkloads {
  readonly all: Set<InboundWorkload>;
  readonly byLabel: LabelledItems<InboundWorkload>;
  /** by name of a Service that leads to it */
  readonly byService: MultiMap<string, InboundWorkload>;
}

export class WorkloadIndex {
  readonly #byUid = new Map<string, InboundWorkload>();
  readonly #byNamespace = new Map<string, NamespaceWorkloads>();

  get(uid: string): InboundWorkload | undefined {
    return this.#byUid.get(uid);
  }

  /** undefined: it went */
  set(uid: string, workload: InboundWorkload | undefined): void {
    const before = this.#byUid.get(uid);
    if (before !== undefined) this.#remove(before);
    if (workload === undefined) this.#byUid.delete(uid);
    else this.#add(uid, workload);
  }

  /** `isRoot`: it is the mesh's, not of one namespace */
  *concerned(resource: InboundResource, isRoot: boolean): IterableIterator<InboundWorkload> {
    const { labels, services } = targetOf(resource);
    const own = this.#byNamespace.get(resource.namespace);
    if (services !== undefined) {
      for (const service of services) yield* own?.byService.get(service) ?? [];
      return;
    }
    for (const { all, byLabel } of isRoot ? this.#byNamespace.values() : own ? [own] : []) {
      yield* labels === undefined ? all : byLabel.select(labels);
    }
  }

  #add(uid: string, workload: InboundWorkload): void {
    this.#byUid.set(uid, workload);
    const { namespace } = workload;
    const own = this.#byNamespace.get(namespace) ?? {
      all: new Set(),
      byLabel: new LabelledItems(),
      byService: new MultiMap(),
    };
    this.#byNamespace.set(namespace, own);
    own.all.add(workload);
    own.byLabel.add(workload);
    for (const service of servicesOf(workload)) own.byService.add(service, workload);
  }

  #remove(workload: InboundWorkload): void {
    const own = this.#byNamespace.get(workload.namespace)!;
    own.all.delete(workload);
    own.byLabel.delete(workload);
    for (const service of servicesOf(workload)) own.byService.delete(service, workload);
    if (own.all.size === 0) this.#byNamespace.delete(workload.namespace);
  }
}

function servicesOf({ ports }: InboundWorkload): Set<string> {
  return new Set([...ports.values()].flatMap(({ services }) => services));
}
