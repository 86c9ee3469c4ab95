/**
 * Which identities have a pod on which node: what an agent may ask for.
 */
import type { Delta, Address } from '../../model/messages.ts';
import type { Workload } from '../../model/workload.ts';

export interface NodeName {
  /** undefined: control's own cluster */
  readonly cluster: string | undefined;
  readonly node: string;
}

export interface WorkloadDirectory {
  hasIdentity(at: NodeName, namespace: string, serviceAccount: string): boolean;
}

/**
 * The workloads of the mesh by node, kept up to date from the Addresses that control sends; an update costs what it changes.
 */
export class WorkloadIndex implements WorkloadDirectory {
  readonly #ownCluster: string;
  readonly #keyOf = new Map<string, string>();
  /** number of workloads per node and identity */
  readonly #counts = new Map<string, number>();

  constructor(ownCluster: string) {
    this.#ownCluster = ownCluster;
  }

  apply({ upserts, removals }: Delta<Address>): void {
    for (const address of upserts) {
      if (address.kind === 'workload') this.#put(address.workload.uid, keyOf(address.workload));
    }
    for (const name of removals) this.#put(name, undefined);
  }

  hasIdentity({ cluster, node }: NodeName, namespace: string, serviceAccount: string): boolean {
    return this.#counts.has(key(cluster ?? this.#ownCluster, node, namespace, serviceAccount));
  }

  #put(uid: string, key: string | undefined): void {
    const before = this.#keyOf.get(uid);
    if (before === key) return;
    if (before !== undefined) this.#count(before, -1);
    if (key === undefined) this.#keyOf.delete(uid);
    else {
      this.#keyOf.set(uid, key);
      this.#count(key, 1);
    }
  }

  #count(key: string, by: number): void {
    const count = (this.#counts.get(key) ?? 0) + by;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}

/** Several directories as one: what one of them says holds. */
export function anyOf(...directories: readonly WorkloadDirectory[]): WorkloadDirectory {
  return {
    hasIdentity: (at, namespace, serviceAccount) =>
      directories.some((directory) => directory.hasIdentity(at, namespace, serviceAccount)),
  };
}

/** undefined: on no node */
function keyOf(workload: Workload): string | undefined {
  const { clusterId, node, namespace, serviceAccount } = workload;
  return node ? key(clusterId, node, namespace, serviceAccount || 'default') : undefined;
}

/** As JSON, so that no name can be mistaken for two. */
function key(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}
