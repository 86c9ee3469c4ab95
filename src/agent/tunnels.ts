/**
 * The mesh as data-plane workers see it: which pods of this node speak HBONE and under which policies, where a captured
 * connection leads, and the numbers of identities that certificates have proven.
 */
import type { PlanState } from '../compile/kernel/plan.ts';
import type { PodEntry } from '../compile/kernel/pods.ts';
import { tunnelRoute, type TunnelRoute } from '../compile/tunnel-route.ts';
import { equal } from '../model/equal.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Workload } from '../model/workload.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import { formatBaggage } from '../hbone/headers.ts';
import type { Answer, Question, ToWorker, TunnelPod } from './data-plane/messages.ts';
import type { ProvenIdentities } from './proven-identities.ts';

export interface TunnelsOptions {
  readonly reconciler: Reconciler;
  readonly identities: ProvenIdentities;
  readonly state: () => PlanState;
  readonly tell: (message: ToWorker) => void;
}

/** What a worker is told of a pod, and what it was made of. */
interface Made {
  readonly of: readonly unknown[];
  readonly pod: TunnelPod;
}

const NOWHERE: TunnelRoute = { kind: 'none', reason: 'the pod is not known' };

export class Tunnels {
  readonly #options: TunnelsOptions;
  #pods: readonly TunnelPod[] = [];
  #made: ReadonlyMap<number, Made> = new Map();
  #routed: (Pick<Snapshot, 'workloads' | 'services'> & Pick<PlanState, 'place'>) | undefined;

  constructor(options: TunnelsOptions) {
    this.#options = options;
  }

  /** After every change of the mesh or of this node's pods. */
  update(): void {
    const { tell } = this.#options;
    if (this.#refreshPods()) tell({ kind: 'tunnel-pods', pods: this.#pods });
    if (this.#pods.length > 0 && this.#routesChanged()) tell({ kind: 'mesh-changed' });
  }

  /** What a worker must know before its first connection. */
  greeting(): readonly ToWorker[] {
    return [{ kind: 'tunnel-pods', pods: this.#pods }];
  }

  answer(question: Question): Answer {
    switch (question.kind) {
      case 'route': {
        const source = this.#workload(question.podId);
        if (!source) return NOWHERE;
        const { snapshot, claims, place } = this.#options.state();
        const { dialled, target } = question;
        return tunnelRoute({ snapshot, claims, place }, { source, dialled, target });
      }
      case 'identity':
        return this.#options.identities.number(question.spiffe);
    }
  }

  #workload(podId: number): Workload | undefined {
    const { reconciler, state } = this.#options;
    return state().snapshot.workloads.get(reconciler.uidOf(podId) ?? '');
  }

  #routesChanged(): boolean {
    const { snapshot, place } = this.#options.state();
    const { workloads, services } = snapshot;
    const before = this.#routed;
    this.#routed = { workloads, services, place };
    return (
      workloads !== before?.workloads || services !== before.services || place !== before.place
    );
  }

  /** Whether anything differs from what was told. */
  #refreshPods(): boolean {
    const { reconciler, state } = this.#options;
    const { snapshot } = state();
    const pods: TunnelPod[] = [];
    const made = new Map<number, Made>();
    for (const { id, entry } of reconciler.captured()) {
      const workload = entry.tunnel ? snapshot.workloads.get(entry.uid) : undefined;
      if (workload === undefined) continue;
      const one = this.#make(id, entry, workload);
      made.set(id, one);
      pods.push(one.pod);
    }
    const same = pods.length === this.#pods.length && pods.every((pod, i) => pod === this.#pods[i]);
    this.#made = made;
    this.#pods = pods;
    return !same;
  }

  /** Most changes of a mesh concern no pod of this node: then nothing is computed. */
  #make(podId: number, entry: PodEntry, workload: Workload): Made {
    const { snapshot } = this.#options.state();
    const { services } = snapshot;
    const of = [entry, workload, services];
    const before = this.#made.get(podId);
    if (before && of.every((part, i) => part === before.of[i])) return before;
    const pod: TunnelPod = {
      podId,
      spiffe: entry.spiffe,
      addresses: entry.addrs,
      baggage: baggageText(workload),
      hosts: hostsOf(workload, services),
    };
    return { of, pod: before && equal(before.pod, pod) ? before.pod : pod };
  }
}

function baggageText(workload: Workload): string {
  return formatBaggage({
    cluster: workload.clusterId,
    namespace: workload.namespace,
    workloadType: workload.workloadType.toLowerCase() as 'deployment' | 'cronjob' | 'pod' | 'job',
    workloadName: workload.workloadName,
    serviceName: workload.canonicalName,
    serviceVersion: workload.canonicalRevision,
    region: workload.locality.region,
    zone: workload.locality.zone,
  });
}

/** A Service of the pod's own namespace goes before one of the same host elsewhere. */
function hostsOf(
  workload: Workload,
  services: Snapshot['services'],
): ReadonlyMap<string, ReadonlyMap<number, number>> {
  const own = `${workload.namespace}/`;
  const keys = [...workload.services.keys()].sort(
    (a, b) => Number(a.startsWith(own)) - Number(b.startsWith(own)) || (a < b ? 1 : -1),
  );
  return new Map(
    keys.map((key) => {
      const shared = services.get(key)?.ports ?? [];
      const ports = workload.services.get(key)!.map(({ servicePort, targetPort }) => {
        const other = shared.find((port) => port.servicePort === servicePort)?.targetPort ?? 0;
        return [servicePort, targetPort || other] as const;
      });
      return [key.slice(key.indexOf('/') + 1), new Map(ports.filter(([, target]) => target > 0))];
    }),
  );
}
