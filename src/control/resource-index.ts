/**
 * All resources by cluster and id, and what happens when two of them cannot both be true.
 *
 * Two definitions of one resource: the first origin wins.  Two pods with one address, two pods in one network namespace,
 * two Services with one virtual address: the first by name wins.  The losers are reported with both names, and come into
 * force when the winner goes.  Work is proportional to the change.
 */
import { equal } from '../model/equal.ts';
import type { Finding, FindingCode } from '../model/finding.ts';
import type { Resource } from '../model/resource.ts';

export interface ResourceChange {
  readonly before: Resource | undefined;
  readonly after: Resource | undefined;
}

interface Claim {
  readonly type: 'address' | 'netns' | 'virtual address';
  /** where the value is unique: a network, a cluster */
  readonly scope: string;
  readonly value: string;
}

export class ResourceIndex {
  /** what a resource that names no cluster belongs to */
  readonly #clusterId: string;
  /** what each file says */
  readonly #files = new Map<string, readonly Resource[]>();
  /** by id, all definitions */
  readonly #definitions = new Map<string, Resource[]>();
  /** by id, the definition in use */
  readonly #chosen = new Map<string, Resource>();
  /** by claim, the resources in use that make it */
  readonly #claims = new Map<string, Resource[]>();
  /** by id, what is in force */
  readonly #effective = new Map<string, Resource>();
  readonly #conflicts = new Map<string, readonly Finding[]>();

  constructor(clusterId: string) {
    this.#clusterId = clusterId;
  }

  /** undefined: the file is gone */
  apply(files: ReadonlyMap<string, readonly Resource[] | undefined>): ResourceChange[] {
    const touched = new Set<string>();
    for (const [file, resources] of files) this.#replaceFile(file, resources ?? [], touched);
    // Claims change hands: everybody who claims the same is looked at again.
    for (const id of [...touched]) this.#choose(id, touched);
    const changes: ResourceChange[] = [];
    for (const id of touched) {
      const before = this.#effective.get(id);
      const after = this.#judge(id);
      if (before === after) continue;
      if (after === undefined) this.#effective.delete(id);
      else this.#effective.set(id, after);
      changes.push({ before, after });
    }
    return changes;
  }

  /** Those that have resources. */
  origins(): Iterable<string> {
    return this.#files.keys();
  }

  findings(): Finding[] {
    return [...this.#conflicts.values()].flat();
  }

  #replaceFile(file: string, told: readonly Resource[], touched: Set<string>): void {
    const known = this.#files.get(file) ?? [];
    // Objects of an API server change for the sake of their status alone, by podwire's own doing, too.
    const resources = told.map((one, index) => {
      const same = known[index];
      return same !== undefined && equal(one, same) ? same : one;
    });
    const before = new Set(known);
    const after = new Set(resources);
    for (const resource of before) {
      if (after.has(resource)) continue;
      const id = this.#keyOf(resource);
      const rest = (this.#definitions.get(id) ?? []).filter((other) => other !== resource);
      if (rest.length > 0) this.#definitions.set(id, rest);
      else this.#definitions.delete(id);
      touched.add(id);
    }
    for (const resource of after) {
      if (before.has(resource)) continue;
      const id = this.#keyOf(resource);
      const all = [...(this.#definitions.get(id) ?? []), resource];
      // Stable: definitions of one file keep their order.
      this.#definitions.set(
        id,
        all.sort((a, b) => compare(a.file, b.file)),
      );
      touched.add(id);
    }
    if (resources.length > 0) this.#files.set(file, resources);
    else this.#files.delete(file);
  }

  #choose(id: string, touched: Set<string>): void {
    const before = this.#chosen.get(id);
    const after = this.#definitions.get(id)?.[0];
    if (before === after) return;
    for (const key of this.#claimKeys(before)) {
      const rest = (this.#claims.get(key) ?? []).filter((other) => other !== before);
      if (rest.length > 0) this.#claims.set(key, rest);
      else this.#claims.delete(key);
      for (const other of rest) touched.add(this.#keyOf(other));
    }
    if (after === undefined) {
      this.#chosen.delete(id);
      return;
    }
    this.#chosen.set(id, after);
    for (const key of this.#claimKeys(after)) {
      const all = [...(this.#claims.get(key) ?? []), after].sort(byName);
      this.#claims.set(key, all);
      for (const other of all) touched.add(this.#keyOf(other));
    }
  }

  /** What is in force of a resource, with the findings about what is not. */
  #judge(id: string): Resource | undefined {
    const findings: Finding[] = [];
    const [chosen, ...others] = this.#definitions.get(id) ?? [];
    for (const other of others) findings.push(duplicateOf(other, chosen!));
    let effective = chosen;
    for (const claim of this.#claimsOf(chosen)) {
      const winner = this.#claims.get(claimKey(claim))?.[0];
      if (chosen === undefined || winner === undefined || winner === chosen) continue;
      findings.push(conflict(chosen, winner, claim));
      if (claim.type === 'netns' && effective?.kind === 'Pod') {
        effective = { ...effective, netns: undefined };
      } else {
        effective = undefined;
      }
    }
    if (findings.length > 0) this.#conflicts.set(id, findings);
    else this.#conflicts.delete(id);
    return effective;
  }

  /** Resources of two clusters never stand for each other, whatever they are called. */
  #keyOf({ cluster = this.#clusterId, id }: Resource): string {
    return `${cluster} ${id}`;
  }

  #claimsOf(resource: Resource | undefined): Claim[] {
    if (resource?.kind === 'Service') {
      const scope = resource.cluster ?? this.#clusterId;
      return resource.addresses.map((value) => ({ type: 'virtual address', scope, value }));
    }
    // Pods of the node's own network share its address rightly.
    if (resource?.kind !== 'Pod' || resource.hostNetwork) return [];
    const scope = resource.network ?? '';
    const claims: Claim[] = resource.addresses.map((value) => ({ type: 'address', scope, value }));
    if (resource.netns !== undefined) {
      claims.push({ type: 'netns', scope: '', value: resource.netns });
    }
    return claims;
  }

  #claimKeys(resource: Resource | undefined): string[] {
    return this.#claimsOf(resource).map(claimKey);
  }
}

function claimKey(claim: Claim): string {
  return `${claim.type} ${claim.scope} ${claim.value}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byName(a: Resource, b: Resource): number {
  return compare(
    `${a.namespace}/${a.name} ${a.cluster ?? ''}`,
    `${b.namespace}/${b.name} ${b.cluster ?? ''}`,
  );
}

function duplicateOf(loser: Resource, winner: Resource): Finding {
  return {
    code: 'RESOURCE_DUPLICATE',
    severity: 'error',
    file: loser.file,
    resource: loser.id,
    path: 'metadata.name',
    message: `is defined in ${winner.file} too; the definition there is used`,
    fix: 'remove one of the two',
  };
}

const CONFLICTS: Readonly<
  Record<Claim['type'], { code: FindingCode; path: string; result: string }>
> = {
  address: { code: 'ADDRESS_CONFLICT', path: 'status.podIPs', result: 'this one is left out' },
  netns: {
    code: 'NETNS_CONFLICT',
    path: "metadata.annotations.'podwire.io/netns'",
    result: 'this one is not enrolled',
  },
  'virtual address': {
    code: 'ADDRESS_CONFLICT',
    path: 'spec.clusterIP',
    result: 'this one is left out',
  },
};

function conflict(loser: Resource, winner: Resource, claim: Claim): Finding {
  const { code, path, result } = CONFLICTS[claim.type];
  return {
    code,
    severity: 'error',
    file: loser.file,
    resource: loser.id,
    path,
    message: `${claim.value} belongs to ${winner.id} (${winner.file}) already; ${result}`,
    fix: `give ${loser.id} or ${winner.id} its own ${claim.type}`,
  };
}
