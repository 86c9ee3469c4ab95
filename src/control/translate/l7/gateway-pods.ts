/**
 * On which nodes pods serve which gateway: who needs its listeners and Secrets.
 *
 * Of an Istio Gateway these are the pods its selector matches, in any namespace; of one of the Gateway API the pods of its
 * namespace that are labelled with its name.  A selector without labels matches nobody: in a mesh where any pod may be
 * a gateway it would hand the Secrets to every node.
 */
import type { GatewayResource } from '../../../model/resource/gateway.ts';
import type { PodResource } from '../../../model/resource.ts';
import { GATEWAY_NAME_LABEL } from './catalog.ts';
import { LabelIndex, selects, type Labels } from '../label-index.ts';

interface Placed {
  readonly pod: PodResource;
  /** "<cluster> <node>" */
  readonly node: string;
}

export class GatewayPods {
  readonly #selectors = new LabelIndex<GatewayResource>();
  readonly #pods = new Map<PodResource, Placed>();
  /** gateway ("namespace/name") → node → number of pods */
  readonly #nodes = new Map<string, Map<string, number>>();
  /** another number: the answers may have changed */
  version = 0;

  /** Names are "<cluster> <node>". */
  nodesOf(gateway: string): ReadonlySet<string> {
    return new Set(this.#nodes.get(gateway)?.keys());
  }

  changePod(pod: PodResource, node: string, present: boolean): void {
    const placed = this.#pods.get(pod) ?? { pod, node };
    if (present) this.#pods.set(pod, placed);
    else this.#pods.delete(pod);
    if (placed.node.endsWith(' ')) return;
    const { labels, namespace } = pod;
    for (const gateway of this.#selectors.match(labels)) {
      this.#count(`${gateway.namespace}/${gateway.name}`, placed.node, present);
    }
    const name = labels.get(GATEWAY_NAME_LABEL);
    if (name !== undefined) this.#count(`${namespace}/${name}`, placed.node, present);
  }

  changeGateway(gateway: GatewayResource, present: boolean): void {
    const selector: Labels = new Map(Object.entries(gateway.spec.selector ?? {}));
    if (selector.size === 0) return;
    if (present) this.#selectors.add(gateway, selector);
    else this.#selectors.delete(gateway, selector);
    for (const { pod, node } of this.#pods.values()) {
      if (node.endsWith(' ') || !selects(selector, pod.labels)) continue;
      this.#count(`${gateway.namespace}/${gateway.name}`, node, present);
    }
  }

  #count(gateway: string, node: string, present: boolean): void {
    const nodes = this.#nodes.get(gateway) ?? new Map<string, number>();
    const count = (nodes.get(node) ?? 0) + (present ? 1 : -1);
    if (count === 0) nodes.delete(node);
    else nodes.set(node, count);
    if (nodes.size === 0) this.#nodes.delete(gateway);
    else this.#nodes.set(gateway, nodes);
    if (count === 0 || (count === 1 && present)) this.version++;
  }
}
