/**
 * The endpoints of every Service, from the Workload messages, with the labels that subsets ask for.
 */
import { NO_LOCALITY, type Locality } from '../../../model/load-assignment.ts';
import type { Workload } from '../../../model/workload.ts';
import type { Graph } from './graph.ts';

export interface WorkloadFacts {
  readonly labels: ReadonlyMap<string, string>;
  readonly locality: Locality;
}

export interface ServiceEndpoint {
  readonly workload: Workload;
  readonly facts: WorkloadFacts;
}

const NO_FACTS: WorkloadFacts = { labels: new Map(), locality: NO_LOCALITY };

export class Endpoints {
  readonly #graph: Graph;
  readonly #workloads = new Map<string, Workload>();
  readonly #facts = new Map<string, WorkloadFacts>();
  /** by Service key ("namespace/host"), uids */
  readonly #byService = new Map<string, Set<string>>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  put(workload: Workload): void {
    this.#link(workload.uid, workload);
  }

  remove(uid: string): void {
    this.#link(uid, undefined);
  }

  /** undefined: the workload went */
  setFacts(uid: string, facts: WorkloadFacts | undefined): void {
    if (facts === undefined) this.#facts.delete(uid);
    else this.#facts.set(uid, facts);
    for (const service of this.#workloads.get(uid)?.services.keys() ?? []) this.#touch(service);
  }

  /** In the order of their uids. */
  read(service: string): ServiceEndpoint[] {
    this.#graph.read(`endpoints ${service}`);
    return [...(this.#byService.get(service) ?? [])].sort().map((uid) => ({
      workload: this.#workloads.get(uid)!,
      facts: this.#facts.get(uid) ?? NO_FACTS,
    }));
  }

  #link(uid: string, workload: Workload | undefined): void {
    for (const service of this.#workloads.get(uid)?.services.keys() ?? []) {
      const uids = this.#byService.get(service);
      uids?.delete(uid);
      if (uids?.size === 0) this.#byService.delete(service);
      this.#touch(service);
    }
    if (workload === undefined) {
      this.#workloads.delete(uid);
      return;
    }
    this.#workloads.set(uid, workload);
    for (const service of workload.services.keys()) {
      const uids = this.#byService.get(service) ?? new Set();
      this.#byService.set(service, uids.add(uid));
      this.#touch(service);
    }
  }

  #touch(service: string): void {
    this.#graph.touch(`endpoints ${service}`);
  }
}
