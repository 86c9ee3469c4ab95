/** The pods of this node that speak HBONE, as a worker knows them. */
import { evaluate, type Decision } from '../../compile/kernel/policy/evaluate.ts';
import type { IpPort } from '../../compile/tunnel-route.ts';
import type { TunnelPod } from './messages.ts';

export class TunnelPods {
  #byId: ReadonlyMap<number, TunnelPod> = new Map();

  replace(pods: readonly TunnelPod[]): void {
    this.#byId = new Map(pods.map((pod) => [pod.podId, pod]));
  }

  get(podId: number): TunnelPod | undefined {
    return this.#byId.get(podId);
  }

  /** Whether policy lets the proven client in; a pod that is gone lets nobody in. */
  decide(podId: number, source: string, from: IpPort, to: IpPort): Decision {
    const pod = this.#byId.get(podId);
    if (!pod) return { allowed: false, policy: undefined, rule: undefined };
    return evaluate(pod.policies, {
      sourceIdentity: source,
      sourceAddr: from.address,
      destAddr: to.address,
      destPort: to.port,
    });
  }
}
