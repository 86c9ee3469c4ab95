/**
 * istiod and podwire's own control on one API server, each with a store of what it says.
 *
 * The objects are made before istiod starts: of many that arrive within moments istiod 1.25 forgets some (a pod keeps no
 * waypoint until it or its Gateway changes again; a fresh client is told the same), in about every second run.
 */
import { ControlCore } from '../../src/control/core.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { KubernetesSource } from '../../src/control/sources/kubernetes/source.ts';
import { translateOptions } from '../../src/control/translate/options.ts';
import { SnapshotStore } from '../../src/store/snapshot-store.ts';
import { installIstioKinds, startIstiod } from '../support/istiod.ts';
import { startKubernetes } from '../support/kubernetes.ts';
import { startClient, type ClientUnderTest } from '../support/xds-client.ts';
import { QUICK, silentLog } from './recorder.ts';

/** of istiod's own namespace too, where policies hold for the mesh */
export const ROOT_NAMESPACE = 'istio-system';

export interface BesideIstiod {
  readonly admin: KubernetesClient;
  /** istiod's view, through the agent's client */
  readonly theirs: ClientUnderTest;
  /** of podwire's control */
  readonly ours: SnapshotStore;
  readonly stop: () => Promise<void>;
}

/** `makeObjects` finds the kinds of Istio and of Gateway API and the root namespace. Stop it in `after`. */
export async function startBesideIstiod(
  makeObjects: (admin: KubernetesClient) => Promise<void>,
): Promise<BesideIstiod> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  try {
    const kubernetes = await startKubernetes();
    stops.push(() => kubernetes.stop());
    const { admin } = kubernetes;
    await installIstioKinds(kubernetes);
    const istiod = await startIstiod(kubernetes, () => makeObjects(admin));
    stops.push(() => istiod.stop());
    const ours = new SnapshotStore();
    const core = new ControlCore({
      sources: [
        new KubernetesSource({
          client: admin,
          cluster: 'Kubernetes',
          role: 'primary',
          rootNamespace: ROOT_NAMESPACE,
          log: silentLog,
          timing: QUICK,
        }),
      ],
      translate: translateOptions({ clusterId: 'Kubernetes', trustDomain: 'cluster.local' }),
      log: silentLog,
      onUpdate: ({ mesh }) => ours.apply(mesh),
    });
    stops.push(() => core.close());
    const theirs = startClient(istiod.client('n1'));
    stops.push(() => theirs.client.close());
    await core.start();
    return { admin, theirs, ours, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
