/** The pods of this node that speak HBONE, as a worker knows them. */
import type { TunnelPod } from './messages.ts';

export class TunnelPods {
  #byId: ReadonlyMap<number, TunnelPod> = new Map();

  replace(pods: readonly TunnelPod[]): void {
    this.#byId = new Map(pods.map((pod) => [pod.podId, pod]));
  }

  get(podId: number): TunnelPod | undefined {
    return this.#byId.get(podId);
  }
}
