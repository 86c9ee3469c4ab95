/**
 * The config folder as enrolment source: which pods of the folder live in network namespaces of this node, and the
 * NetworkPolicies of their namespaces.
 *
 * The annotation podwire.io/netns is honoured from here only, because the folder is root's; from the Kubernetes API it
 * would let a pod's author name somebody else's namespace.
 */
import type { EnrolledPod, NodeEnrolment } from '../../../model/enrolment.ts';
import type {
  NetworkPolicyResource,
  PodResource,
  Resource,
  ResourceMeta,
} from '../../../model/resource.ts';
import { podUid } from '../../../model/workload.ts';
import type { ResourceChange } from '../../resource-index.ts';

const NETNS_FOLDER = '/run/netns';
/** every namespace has it, with its name */
const NAME_LABEL = 'kubernetes.io/metadata.name';

type HomePod = PodResource & { readonly netns: string };

export class FolderEnrolment {
  readonly #clusterId: string;
  readonly #pods = new Map<string, HomePod>();
  readonly #enrolled = new Map<string, EnrolledPod>();
  /** labels, by name */
  readonly #namespaces = new Map<string, ReadonlyMap<string, string>>();
  /** by id */
  readonly #policies = new Map<string, NetworkPolicyResource>();
  #now: NodeEnrolment = { pods: [], networkPolicies: [] };

  constructor(clusterId: string) {
    this.#clusterId = clusterId;
  }

  /** After these changes, pods sorted by uid; the same lists when nothing of theirs changed. */
  apply(changes: readonly ResourceChange[]): NodeEnrolment {
    const touched = this.#touched(changes);
    for (const uid of touched) {
      const pod = this.#pods.get(uid);
      if (pod === undefined) this.#enrolled.delete(uid);
      else this.#enrolled.set(uid, this.#enrol(uid, pod));
    }
    const policies = changes.some(({ before, after }) => [before, after].some(isPolicy));
    if (touched.size > 0) {
      const pods = [...this.#enrolled.values()].sort((a, b) => (a.uid < b.uid ? -1 : 1));
      this.#now = { ...this.#now, pods };
    }
    if (touched.size > 0 || policies) this.#now = { ...this.#now, networkPolicies: this.#ofPods() };
    return this.#now;
  }

  /** Uids of pods that must be enrolled anew. */
  #touched(changes: readonly ResourceChange[]): Set<string> {
    const touched = new Set<string>();
    const namespaces = new Set<string>();
    for (const { before } of changes) {
      if (!before || before.cluster !== undefined) continue;
      if (isEnrolled(before) && this.#pods.delete(this.#uid(before)))
        touched.add(this.#uid(before));
      if (before.kind === 'Namespace') this.#namespaces.delete(before.name);
      if (isPolicy(before)) this.#policies.delete(before.id);
      if (before.kind === 'Namespace') namespaces.add(before.name);
    }
    for (const { after } of changes) {
      if (!after || after.cluster !== undefined) continue;
      if (isEnrolled(after)) touched.add(this.#uid(after));
      if (isEnrolled(after)) this.#pods.set(this.#uid(after), after);
      if (after.kind === 'Namespace') this.#namespaces.set(after.name, after.labels);
      if (isPolicy(after)) this.#policies.set(after.id, after);
      if (after.kind === 'Namespace') namespaces.add(after.name);
    }
    for (const [uid, { namespace }] of this.#pods) if (namespaces.has(namespace)) touched.add(uid);
    return touched;
  }

  /** Those of their namespaces; the same list where they are the same. */
  #ofPods(): NodeEnrolment['networkPolicies'] {
    const namespaces = new Set([...this.#pods.values()].map(({ namespace }) => namespace));
    const policies = [...this.#policies.values()].filter((one) => namespaces.has(one.namespace));
    const { networkPolicies: last } = this.#now;
    const same = policies.length === last.length && policies.every((one, i) => one === last[i]);
    return same ? last : policies;
  }

  #uid(pod: ResourceMeta): string {
    return podUid(this.#clusterId, pod.namespace, pod.name);
  }

  #enrol(uid: string, pod: HomePod): EnrolledPod {
    const labels = this.#namespaces.get(pod.namespace) ?? [];
    return {
      uid,
      namespace: pod.namespace,
      name: pod.name,
      netns: pod.netns,
      netnsPath: `${NETNS_FOLDER}/${pod.netns}`,
      captureProxy: pod.captureProxy,
      ...(pod.sameNodeTunnel && { sameNodeTunnel: true }),
      splice: pod.splice,
      portModes: pod.portModes,
      probePorts: pod.probePorts,
      labels: pod.labels,
      namespaceLabels: new Map([...labels, [NAME_LABEL, pod.namespace]]),
      ports: pod.ports,
      images: pod.images,
      origin: {
        file: pod.file,
        resource: pod.id,
        path: "metadata.annotations.'podwire.io/netns'",
      },
    };
  }
}

function isEnrolled(resource: Resource): resource is HomePod {
  return resource.kind === 'Pod' && resource.netns !== undefined;
}

function isPolicy(resource: Resource | undefined): resource is NetworkPolicyResource {
  return resource?.kind === 'NetworkPolicy';
}
