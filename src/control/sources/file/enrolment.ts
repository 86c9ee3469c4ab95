/**
 * The config folder as enrolment source: which pods of the folder live in network namespaces of this node.
 *
 * The annotation podwire.io/netns is honoured from here only, because the folder is root's; from the Kubernetes API it
 * would let a pod's author name somebody else's namespace.
 */
import type { EnrolledPod } from '../../../model/enrolment.ts';
import type { PodResource, Resource } from '../../../model/resource.ts';
import { podUid } from '../../../model/workload.ts';
import type { ResourceChange } from '../../resource-index.ts';

const NETNS_FOLDER = '/run/netns';

export class FolderEnrolment {
  readonly #clusterId: string;
  readonly #byUid = new Map<string, EnrolledPod>();
  #list: readonly EnrolledPod[] = [];

  constructor(clusterId: string) {
    this.#clusterId = clusterId;
  }

  /** The pods after these changes, sorted by uid; the same list when none of them was or is enrolled. */
  apply(changes: readonly ResourceChange[]): readonly EnrolledPod[] {
    let changed = false;
    for (const { before } of changes) {
      if (isEnrolled(before)) changed = this.#byUid.delete(this.#uid(before)) || changed;
    }
    for (const { after } of changes) {
      if (!isEnrolled(after)) continue;
      this.#byUid.set(this.#uid(after), this.#enrolled(after, after.netns));
      changed = true;
    }
    if (changed) {
      this.#list = [...this.#byUid.values()].sort((a, b) => (a.uid < b.uid ? -1 : 1));
    }
    return this.#list;
  }

  #uid(pod: PodResource): string {
    return podUid(this.#clusterId, pod.namespace, pod.name);
  }

  #enrolled(pod: PodResource, netns: string): EnrolledPod {
    return {
      uid: this.#uid(pod),
      namespace: pod.namespace,
      name: pod.name,
      netns,
      netnsPath: `${NETNS_FOLDER}/${netns}`,
      captureProxy: pod.captureProxy,
      splice: pod.splice,
      portModes: pod.portModes,
      probePorts: pod.probePorts,
      images: pod.images,
      origin: {
        file: pod.file,
        resource: pod.id,
        path: "metadata.annotations.'podwire.io/netns'",
      },
    };
  }
}

function isEnrolled(
  resource: Resource | undefined,
): resource is PodResource & { readonly netns: string } {
  return resource?.kind === 'Pod' && resource.netns !== undefined && resource.cluster === undefined;
}
