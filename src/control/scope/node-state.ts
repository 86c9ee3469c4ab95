/**
 * What runs on one node, as far as it decides what the node's agent may have.
 */
import type { Workload } from '../../model/workload.ts';

export class NodeState {
  /** with the number of workloads */
  readonly namespaces = new Map<string, number>();
  /** "namespace/name" of policies that select workloads of the node, with their number */
  readonly policies = new Map<string, number>();
  readonly uids = new Set<string>();
  /** classes of clients ("<namespace>~<class>"), with the number of workloads */
  readonly scopes = new Map<string, number>();
  /** each grows when its set changes */
  readonly versions = { namespaces: 0, policies: 0, uids: 0, scopes: 0 };

  get empty(): boolean {
    return this.uids.size === 0;
  }

  add(workload: Workload): void {
    this.uids.add(workload.uid);
    this.versions.uids++;
    this.#count(workload, 1);
  }

  remove(workload: Workload): void {
    this.uids.delete(workload.uid);
    this.versions.uids++;
    this.#count(workload, -1);
  }

  #count({ namespace, authorizationPolicies, scope }: Workload, by: 1 | -1): void {
    const { versions } = this;
    if (count(this.namespaces, namespace, by)) versions.namespaces++;
    if (scope !== '' && count(this.scopes, scope, by)) versions.scopes++;
    for (const policy of authorizationPolicies) {
      if (count(this.policies, policy, by)) versions.policies++;
    }
  }
}

/** Whether the name came or went. */
function count(counts: Map<string, number>, name: string, by: 1 | -1): boolean {
  const before = counts.get(name) ?? 0;
  if (before + by > 0) counts.set(name, before + by);
  else counts.delete(name);
  return before === 0 || before + by === 0;
}
