/**
 * The Kubernetes clusters control reads: sources, who may call from them, and what is written back to the first.
 */
import { hostname } from 'node:os';
import type { ControlProcessOptions } from '../config/control-options.ts';
import type { Log } from '../log.ts';
import { AnyClusterAuthenticator } from './auth/any-cluster.ts';
import type { Authenticator } from './auth/caller.ts';
import { KubernetesTokenAuthenticator } from './auth/kubernetes-token.ts';
import type { KubernetesClient } from './kubernetes/client.ts';
import { loadClient } from './kubernetes/kubeconfig.ts';
import {
  kubernetesSources,
  parseClusters,
  parseNetworks,
  type ClusterOption,
} from './sources/kubernetes/clusters.ts';
import type { KubernetesSource } from './sources/kubernetes/source.ts';
import { LeaderElection } from './status/leader.ts';
import { StatusWriter } from './status/writer.ts';
import type { Ownership } from './translate/l7/api-route.ts';

export interface Clusters {
  /** the primary one is the first */
  readonly sources: readonly KubernetesSource[];
  /** id of the primary one */
  readonly cluster: string;
  readonly client: KubernetesClient;
  readonly authenticator: Authenticator;
  /** of control's replicas, for the primary cluster; runs with the writer */
  readonly leader: { readonly leading: boolean };
  /** Starts what only one replica may do. */
  startWriter(ownership: Ownership): StatusWriter;
  close(): Promise<void>;
}

const LEASE = 'podwire-control';

/** undefined: no cluster. Throws PodwireError. */
export async function openClusters(
  options: ControlProcessOptions,
  rootNamespace: string,
  log: Log,
): Promise<Clusters | undefined> {
  const { kubernetes, kubeconfig, network, clusterId, trustDomain, namespace } = options;
  if (kubernetes === undefined) return undefined;
  const clusters = parseClusters(kubernetes, clusterId);
  const networks = parseNetworks(network, clusters);
  const file = kubeconfig === undefined ? {} : { kubeconfig };
  const sources = await kubernetesSources({ clusters, networks, rootNamespace, log, ...file });
  const clients = await Promise.all(
    clusters.map(({ context }) => loadClient({ ...file, ...(context && { context }) })),
  );
  const [client] = clients as [KubernetesClient];
  const [{ cluster }] = clusters as [ClusterOption];
  const identity = `${hostname()}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const leader = new LeaderElection({ client, namespace, name: LEASE, identity, log });
  let writer: StatusWriter | undefined;
  return {
    sources,
    cluster,
    client,
    leader,
    authenticator: new AnyClusterAuthenticator(
      clients.map((one, index) => ({
        client: one,
        authenticator: new KubernetesTokenAuthenticator({
          client: one,
          trustDomain,
          cluster: clusters[index]!.cluster,
        }),
      })),
    ),
    startWriter: (ownership) => {
      writer = new StatusWriter({ client, cluster, leader, ownership, log });
      leader.start();
      writer.start();
      return writer;
    },
    close: async () => {
      if (writer !== undefined) await Promise.all([writer.close(), leader.close()]);
      for (const one of clients) one.close();
    },
  };
}
