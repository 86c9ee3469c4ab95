/**
 * What an agent gets: what the pods of its node can reach, and what is enforced on them.
 *
 *   Service         visible to a namespace that has a pod on the node
 *   Workload        of the node, or an endpoint of a Service that is visible; with nothing hidden, all of them
 *   Authorization   of the mesh, of a namespace with a pod on the node, or named by a workload of the node
 *   L7              by the scope in its name: everybody's, of such a namespace, of a workload or gateway of the node
 *   Secret          only where a gateway runs that uses it, or a pod that originates TLS with it
 *
 * A change of one workload costs what it changes: only when a node gets its first or loses its last pod of a namespace, a
 * policy or a gateway is everything looked at again that depends on these, for this node.
 */
import type { Authorization } from '../../model/authorization.ts';
import type { Address, MeshUpdate } from '../../model/messages.ts';
import type { Workload } from '../../model/workload.ts';
import type { ResourceKey } from '../../xds/resource-types.ts';
import type { AnyResource } from '../../xds/server/entry.ts';
import type { Scope, Scopes, StreamClient } from '../../xds/server/scope.ts';
import { serviceKey } from '../../model/service.ts';
import { resourceScopeOf, type ResourceScope } from './resource-scope.ts';
import { NodeState } from './node-state.ts';
import {
  ALL_VISIBLE,
  NO_GATEWAYS,
  type GatewayPlacement,
  type SecretAsker,
  type Visibility,
} from './visibility.ts';

export interface NodeScopesOptions {
  readonly ownCluster: string;
  readonly visibility?: Visibility;
  readonly gateways?: GatewayPlacement;
}

const LINKED: readonly ResourceKey[] = ['clusters', 'loadAssignments', 'routes', 'listeners'];

export class NodeScopes implements Scopes {
  readonly #options: Required<NodeScopesOptions>;
  readonly #nodes = new Map<string, NodeState>();
  readonly #workloads = new Map<string, Workload>();

  constructor(options: NodeScopesOptions) {
    this.#options = { visibility: ALL_VISIBLE, gateways: NO_GATEWAYS, ...options };
  }

  apply({ addresses }: MeshUpdate): void {
    if (addresses === undefined) return;
    for (const name of addresses.removals) this.#put(name, undefined);
    for (const address of addresses.upserts) {
      if (address.kind === 'workload') this.#put(address.workload.uid, address.workload);
    }
  }

  /** Without a node (a local administrator) there are no limits, but no Secrets either. */
  scopeOf({ node, cluster = this.#options.ownCluster }: StreamClient): Scope {
    if (node === undefined) {
      return { cluster, has: (key) => key !== 'secrets', moved: () => [] };
    }
    return new NodeScope({ cluster, node }, this.#state(cluster, node), this.#options);
  }

  #put(uid: string, workload: Workload | undefined): void {
    const before = this.#workloads.get(uid);
    if (workload === undefined) this.#workloads.delete(uid);
    else this.#workloads.set(uid, workload);
    if (before !== undefined && workload !== undefined && samePlace(before, workload)) return;
    // The new one first: a namespace that stays is not to come and go.
    if (workload?.node) this.#state(workload.clusterId, workload.node).add(workload);
    if (before?.node) {
      const state = this.#state(before.clusterId, before.node);
      state.remove(before);
      if (workload !== undefined && workload.node === before.node) state.uids.add(uid);
    }
  }

  /** Kept when the node is empty: streams hold it. */
  #state(cluster: string, node: string): NodeState {
    const key = JSON.stringify([cluster, node]);
    let state = this.#nodes.get(key);
    if (state === undefined) {
      state = new NodeState();
      this.#nodes.set(key, state);
    }
    return state;
  }
}

class NodeScope implements Scope {
  readonly cluster: string;
  readonly #name: string;
  readonly #node: NodeState;
  readonly #visibility: Visibility;
  readonly #gateways: GatewayPlacement;
  readonly #asker: SecretAsker;
  #seen: readonly number[] = [];

  constructor(
    at: { readonly cluster: string; readonly node: string },
    node: NodeState,
    options: Required<NodeScopesOptions>,
  ) {
    this.cluster = at.cluster;
    this.#name = at.node;
    this.#node = node;
    this.#visibility = options.visibility;
    this.#gateways = options.gateways;
    this.#asker = { ...at, hasScope: (scope) => node.scopes.has(scope) };
    this.#seen = this.#versions();
  }

  has(key: ResourceKey, name: string, resource: AnyResource): boolean {
    switch (key) {
      case 'addresses':
        return this.#hasAddress(resource as Address);
      case 'authorizations':
        return this.#hasPolicy(name, resource as Authorization);
      case 'secrets':
        return this.#gateways.isSecretUsedAt(name, this.#asker);
      case 'clusters':
      case 'loadAssignments':
        return this.#hasLinked(resourceScopeOf(name, false));
      case 'routes':
      case 'listeners':
        return this.#hasLinked(resourceScopeOf(name, true));
    }
  }

  moved(): readonly ResourceKey[] {
    const [before, now] = [this.#seen, this.#versions()];
    const changed = (index: number): boolean => before[index] !== now[index];
    const [namespaces, policies, uids, scopes, visibility, gateways] = now.map((_, index) =>
      changed(index),
    );
    this.#seen = now;
    const moved: ResourceKey[] = [];
    const hidden = !this.#visibility.hidesNothing;
    if (visibility || (hidden && namespaces)) moved.push('addresses');
    if (namespaces || policies) moved.push('authorizations');
    if (gateways || scopes) moved.push('secrets');
    if (namespaces || visibility || gateways) moved.push(...LINKED);
    else if (uids) moved.push('listeners');
    return moved;
  }

  #hasAddress(address: Address): boolean {
    if (this.#visibility.hidesNothing) return true;
    if (address.kind === 'service') return this.#sees(serviceKey(address.service));
    const { uid, services } = address.workload;
    if (this.#node.uids.has(uid)) return true;
    for (const service of services.keys()) if (this.#sees(service)) return true;
    return false;
  }

  #sees(service: string): boolean {
    for (const namespace of this.#node.namespaces.keys()) {
      if (this.#visibility.serviceVisible(namespace, service)) return true;
    }
    return false;
  }

  #hasPolicy(name: string, { scope, namespace }: Authorization): boolean {
    switch (scope) {
      case 'GLOBAL':
        return true;
      case 'NAMESPACE':
        return this.#node.namespaces.has(namespace);
      case 'WORKLOAD_SELECTOR':
        return this.#node.policies.has(name);
    }
  }

  #hasLinked(scope: ResourceScope): boolean {
    switch (scope.kind) {
      case 'everybody':
        return true;
      case 'namespace':
        return this.#node.namespaces.has(scope.namespace);
      case 'workload':
        return this.#node.uids.has(scope.uid);
      case 'gateway':
        return this.#gateways.runsAt(scope.gateway, this.cluster, this.#name);
    }
  }

  #versions(): readonly number[] {
    const { namespaces, policies, uids, scopes } = this.#node.versions;
    return [namespaces, policies, uids, scopes, this.#visibility.version, this.#gateways.version];
  }
}

function samePlace(a: Workload, b: Workload): boolean {
  return (
    a.node === b.node &&
    a.clusterId === b.clusterId &&
    a.namespace === b.namespace &&
    a.scope === b.scope &&
    a.authorizationPolicies.length === b.authorizationPolicies.length &&
    a.authorizationPolicies.every((policy, index) => policy === b.authorizationPolicies[index])
  );
}
