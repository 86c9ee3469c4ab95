/** NetworkRules of this node, computed again when its pods, their addresses or the policies changed. */
import type { EnrolledPod } from '../../model/enrolment.ts';
import type { NetworkPolicy } from '../../model/network-policy.ts';
import type { SharedMap } from '../../model/shared-map.ts';
import { compileNetwork, NO_NETWORK_RULES, type NetworkRules } from './network.ts';
import type { PodEntry } from './pods.ts';

export class NodeNetwork {
  #inputs: readonly unknown[] = [];
  #rules = NO_NETWORK_RULES;

  /** The same object while nothing of it changed. */
  next(
    enrolled: readonly EnrolledPod[],
    policies: readonly NetworkPolicy[],
    pods: SharedMap<PodEntry>,
  ): NetworkRules {
    const inputs = [enrolled, policies, pods];
    if (inputs.every((input, i) => input === this.#inputs[i])) return this.#rules;
    this.#inputs = inputs;
    this.#rules = compileNetwork(
      enrolled.flatMap((pod) => {
        const entry = pods.get(pod.uid);
        return entry ? [{ ...pod, addresses: entry.addrs }] : [];
      }),
      policies,
    );
    return this.#rules;
  }
}
