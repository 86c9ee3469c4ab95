/**
 * The endpoints of every Service, from the Workload messages, with the labels that subsets ask for.
 */
import { equal } from '../../../model/equal.ts';
import type { Workload } from '../../../model/workload.ts';
import type { Graph } from './graph.ts';

export type WorkloadLabels = ReadonlyMap<string, string>;

export interface ServiceEndpoint {
  readonly workload: Workload;
  readonly labels: WorkloadLabels;
}

const NO_LABELS: WorkloadLabels = new Map();

export class Endpoints {
  readonly #graph: Graph;
  readonly #workloads = new Map<string, Workload>();
  readonly #labels = new Map<string, WorkloadLabels>();
  /** by Service key ("namespace/host"), uids */
  readonly #byService = new Map<string, Set<string>>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  put(workload: Workload): void {
    if (equal(this.#workloads.get(workload.uid), workload)) return;
    this.#link(workload.uid, workload);
  }

  remove(uid: string): void {
    this.#link(uid, undefined);
  }

  /** undefined: the workload went */
  setLabels(uid: string, labels: WorkloadLabels | undefined): void {
    if (equal(this.#labels.get(uid), labels)) return;
    if (labels === undefined) this.#labels.delete(uid);
    else this.#labels.set(uid, labels);
    for (const service of this.#workloads.get(uid)?.services.keys() ?? []) this.#touch(service);
  }

  /** In the order of their uids. */
  read(service: string): ServiceEndpoint[] {
    this.#graph.read(`endpoints ${service}`);
    return [...(this.#byService.get(service) ?? [])].sort().map((uid) => ({
      workload: this.#workloads.get(uid)!,
      labels: this.#labels.get(uid) ?? NO_LABELS,
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
