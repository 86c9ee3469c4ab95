/**
 * The config folder as enrolment source: which pods of the folder live in network namespaces of this node.
 *
 * The annotation podwire.io/netns is honoured from here only, because the folder is root's; from the Kubernetes API it
 * would let a pod's author name somebody else's namespace.
 */
import type { EnrolledPod } from '../../../model/enrolment.ts';
import type { PodResource } from '../../../model/resource.ts';
import { podUid } from '../../../model/workload.ts';

const NETNS_FOLDER = '/run/netns';

/** Sorted by uid, so that equal folders give equal lists. */
export function enrolledPods(pods: Iterable<PodResource>, clusterId: string): EnrolledPod[] {
  const enrolled: EnrolledPod[] = [];
  for (const pod of pods) {
    if (pod.netns === undefined) continue;
    enrolled.push({
      uid: podUid(clusterId, pod.namespace, pod.name),
      namespace: pod.namespace,
      name: pod.name,
      netns: pod.netns,
      netnsPath: `${NETNS_FOLDER}/${pod.netns}`,
      captureProxy: pod.captureProxy,
      splice: pod.splice,
      portModes: pod.portModes,
      images: pod.images,
      origin: {
        file: pod.file,
        resource: pod.id,
        path: "metadata.annotations.'podwire.io/netns'",
      },
    });
  }
  return enrolled.sort((a, b) => (a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0));
}
