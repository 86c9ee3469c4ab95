/**
 * The mesh as data-plane workers see it: which pods of this node speak HBONE and under which policies, where a captured
 * connection leads, and the numbers of identities that certificates have proven.
 */
import { policiesOf } from '../compile/kernel/policy/cache.ts';
import type { PlanState } from '../compile/kernel/plan.ts';
import { tunnelRoute, type TunnelRoute } from '../compile/tunnel-route.ts';
import type { Authorization } from '../model/authorization.ts';
import { equal } from '../model/equal.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Workload } from '../model/workload.ts';
import type { CapturedPod } from '../kernel/pod-table.ts';
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

const NOWHERE: TunnelRoute = { kind: 'none', reason: 'the pod is not known' };

export class Tunnels {
  readonly #options: TunnelsOptions;
  #pods: readonly TunnelPod[] = [];
  #told: Pick<PlanState, 'snapshot' | 'place'> | undefined;

  constructor(options: TunnelsOptions) {
    this.#options = options;
  }

  /** After every change of the mesh or of this node's pods. */
  update(): void {
    const { state, tell } = this.#options;
    const { snapshot, place } = state();
    if (this.#told?.snapshot === snapshot && this.#told.place === place) return;
    this.#told = { snapshot, place };
    if (this.#refreshPods()) tell({ kind: 'tunnel-pods', pods: this.#pods });
    if (this.#pods.length > 0) tell({ kind: 'mesh-changed' });
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

  /** Whether anything differs from what was told. */
  #refreshPods(): boolean {
    const { reconciler } = this.#options;
    const before = new Map(this.#pods.map((pod) => [pod.podId, pod]));
    const pods = reconciler
      .captured()
      .filter(({ entry }) => entry.tunnel)
      .map((pod) => this.#tunnelPod(pod, before.get(pod.id)));
    const same = pods.length === this.#pods.length && pods.every((pod, i) => pod === this.#pods[i]);
    this.#pods = pods;
    return !same;
  }

  #tunnelPod({ id, entry }: CapturedPod, before: TunnelPod | undefined): TunnelPod {
    const { snapshot } = this.#options.state();
    const workload = snapshot.workloads.get(entry.uid);
    const policies: readonly Authorization[] = workload ? policiesOf(snapshot, workload) : [];
    const pod: TunnelPod = {
      podId: id,
      spiffe: entry.spiffe,
      addresses: entry.addrs,
      policies,
      baggage: workload ? baggageText(workload) : '',
      hosts: workload ? hostsOf(workload, snapshot.services) : new Map(),
    };
    return before && equal(before, pod) ? before : pod;
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
