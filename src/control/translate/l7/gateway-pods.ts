/**
 * Which pods serve which gateway, and on which nodes: who needs its listeners and Secrets, and whose policies count there.
 *
 * Of an Istio Gateway these are the pods its selector matches, in any namespace; of one of the Gateway API the pods of its
 * namespace that are labelled with its name.  A selector without labels matches nobody: in a mesh where any pod may be
 * a gateway it would hand the Secrets to every node.
 *
 * A gateway's home is the namespace whose pods it is meant for: what it names by credentialName is looked for there, as in
 * Istio, and given to nodes with a pod of the gateway in that very namespace.  Anybody may label a pod of his own so that a
 * gateway selects it; that must not bring him the certificate.
 */
import type { GatewayResource } from '../../../model/resource/gateway.ts';
import type { PodResource } from '../../../model/resource.ts';
import { GATEWAY_NAME_LABEL } from './catalog.ts';
import { LabelIndex, selects, type Labels } from '../label-index.ts';
import type { Catalog } from './catalog.ts';
import type { Graph } from './graph.ts';

interface Placed {
  readonly pod: PodResource;
  /** "<cluster> <node>" */
  readonly node: string;
}

/** Pods of a gateway that policies cannot tell apart. */
export interface PodGroup {
  readonly namespace: string;
  readonly labels: Labels;
}

interface Placement {
  /** by text of the group, with the number of pods */
  readonly groups: Map<string, { readonly group: PodGroup; count: number }>;
  /** namespace of the pods → node → number of pods */
  readonly nodes: Map<string, Map<string, number>>;
}

const NOWHERE: Placement['nodes'] = new Map();

export class GatewayPods {
  readonly #graph: Graph;
  readonly #catalog: Catalog;
  readonly #selectors = new LabelIndex<GatewayResource>();
  readonly #pods = new Map<PodResource, Placed>();
  /** by gateway ("namespace/name") */
  readonly #placements = new Map<string, Placement>();
  /** another number: the answers about nodes may have changed */
  version = 0;

  constructor(graph: Graph, catalog: Catalog) {
    this.#graph = graph;
    this.#catalog = catalog;
  }

  /** `node`: "<cluster> <node>" */
  runsAt(gateway: string, node: string): boolean {
    for (const nodes of this.#placements.get(gateway)?.nodes.values() ?? []) {
      if (nodes.has(node)) return true;
    }
    return false;
  }

  /** Whether the node may have what is secret of the gateway: a pod of its home runs there. */
  isHomeAt(gateway: string, node: string): boolean {
    const nodes = this.#placements.get(gateway)?.nodes ?? NOWHERE;
    return nodes.get(this.#homeOf(gateway, nodes))?.has(node) === true;
  }

  /** Whether any gateway is there that has its home in the namespace. */
  isNamespaceAt(namespace: string, node: string): boolean {
    for (const [gateway, { nodes }] of this.#placements) {
      if (nodes.get(namespace)?.has(node) && this.#homeOf(gateway, nodes) === namespace)
        return true;
    }
    return false;
  }

  /** The namespace of its pods: its own if there are any, or none at all. */
  home(gateway: string): string {
    this.#graph.read(keyOf(gateway));
    return this.#homeOf(gateway, this.#placements.get(gateway)?.nodes ?? NOWHERE);
  }

  /** Of its pods, by name. */
  namespaces(gateway: string): string[] {
    this.#graph.read(keyOf(gateway));
    return [...(this.#placements.get(gateway)?.nodes.keys() ?? [])].sort();
  }

  /** Sorted. */
  groups(gateway: string): PodGroup[] {
    this.#graph.read(keyOf(gateway));
    const groups = this.#placements.get(gateway)?.groups ?? new Map<string, never>();
    return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { group }]) => group);
  }

  changePod(pod: PodResource, node: string, present: boolean): void {
    const placed = this.#pods.get(pod) ?? { pod, node };
    if (present) this.#pods.set(pod, placed);
    else this.#pods.delete(pod);
    if (placed.node.endsWith(' ')) return;
    const { labels, namespace } = pod;
    for (const gateway of this.#selectors.match(labels)) {
      this.#count(`${gateway.namespace}/${gateway.name}`, placed, present);
    }
    const name = labels.get(GATEWAY_NAME_LABEL);
    if (name !== undefined) this.#count(`${namespace}/${name}`, placed, present);
  }

  changeGateway(gateway: GatewayResource, present: boolean): void {
    const selector: Labels = new Map(Object.entries(gateway.spec.selector ?? {}));
    if (selector.size === 0) return;
    if (present) this.#selectors.add(gateway, selector);
    else this.#selectors.delete(gateway, selector);
    for (const placed of this.#pods.values()) {
      if (placed.node.endsWith(' ') || !selects(selector, placed.pod.labels)) continue;
      this.#count(`${gateway.namespace}/${gateway.name}`, placed, present);
    }
  }

  /** Which of several namespaces is a gateway's home may depend on it. */
  changeNamespace(name: string): void {
    for (const { nodes } of this.#placements.values()) {
      if (nodes.size > 1 && nodes.has(name)) this.version++;
    }
  }

  /**
   * Of several that are not its own, the root namespace or the one that exists for the longest time: whoever labels a pod of
   * his namespace so that a gateway selects it is not to move its home there.
   */
  #homeOf(gateway: string, nodes: Placement['nodes']): string {
    const own = gateway.slice(0, gateway.indexOf('/'));
    const { rootNamespace } = this.#catalog;
    if (nodes.size === 0 || nodes.has(own)) return own;
    if (nodes.has(rootNamespace)) return rootNamespace;
    const [first] = [...nodes.keys()].sort(
      (a, b) => this.#age(a) - this.#age(b) || (a < b ? -1 : 1),
    );
    return first!;
  }

  #age(namespace: string): number {
    return this.#catalog.read('Namespace', namespace)[0]?.createdAt ?? Number.MAX_SAFE_INTEGER;
  }

  #count(gateway: string, { pod, node }: Placed, present: boolean): void {
    const { namespace, labels } = pod;
    const placement = this.#placements.get(gateway) ?? { groups: new Map(), nodes: new Map() };
    const { groups, nodes } = placement;
    const text = JSON.stringify([namespace, [...labels].sort(([a], [b]) => (a < b ? -1 : 1))]);
    const entry = groups.get(text) ?? { group: { namespace, labels }, count: 0 };
    entry.count += present ? 1 : -1;
    if (entry.count === 0) groups.delete(text);
    else groups.set(text, entry);
    if (entry.count === 0 || (entry.count === 1 && present)) this.#graph.touch(keyOf(gateway));

    const counts = nodes.get(namespace) ?? new Map<string, number>();
    const count = (counts.get(node) ?? 0) + (present ? 1 : -1);
    if (count === 0) counts.delete(node);
    else counts.set(node, count);
    if (counts.size === 0) nodes.delete(namespace);
    else nodes.set(namespace, counts);
    if (count === 0 || (count === 1 && present)) this.version++;
    if (groups.size === 0) this.#placements.delete(gateway);
    else this.#placements.set(gateway, placement);
  }
}

const keyOf = (gateway: string): string => `pods of gateway ${gateway}`;
