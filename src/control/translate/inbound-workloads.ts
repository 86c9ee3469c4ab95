/**
 * The pods of the mesh as the inbound listeners see them, and whose Workload message has to be made again for their sake.
 */
import type { PodResource } from '../../model/resource.ts';
import type { Workload } from '../../model/workload.ts';
import type { InboundIndex, InboundUpdate } from './l7/inbound/inbound-index.ts';
import { inboundPorts, type ServiceTargets } from './l7/inbound/workload-ports.ts';
import type { MergedServices } from './merged-services.ts';

export class InboundWorkloads {
  readonly #index: InboundIndex;
  readonly #services: MergedServices;
  /** by uid */
  readonly #pods = new Map<string, PodResource>();

  constructor(index: InboundIndex, services: MergedServices) {
    this.#index = index;
    this.#services = services;
  }

  put({ uid, clusterId, services }: Workload, pod: PodResource): void {
    this.#pods.set(uid, pod);
    const leading = [...services].flatMap(([key, targets]): ServiceTargets[] => {
      const service = this.#services.resourceOf(key, clusterId);
      return service === undefined ? [] : [{ service, targets }];
    });
    const { namespace, labels } = pod;
    this.#index.setWorkload(uid, { uid, namespace, labels, ports: inboundPorts(pod, leading) });
  }

  remove(uid: string): void {
    if (this.#pods.delete(uid)) this.#index.setWorkload(uid, undefined);
  }

  /** With the pods that are of another class than their messages say. */
  flush(): Omit<InboundUpdate, 'moved'> & { readonly moved: readonly PodResource[] } {
    const update = this.#index.flush();
    const moved = update.moved.flatMap((uid) => this.#pods.get(uid) ?? []);
    return { ...update, moved };
  }
}
