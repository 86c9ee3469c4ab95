/**
 * `--kubernetes` and `--network` → one source per cluster.
 *
 *   --kubernetes                     the cluster control runs in, or the current context
 *   --kubernetes east,west           contexts of the kubeconfig; their names are the cluster ids
 *   --kubernetes admin@eu=east,…     context=cluster id
 *   --network n1                     network of all of them;  east=n1,west=n2: of each
 *
 * The first cluster is the primary one: its Istio and Gateway API resources configure the mesh.  The others lend their
 * workloads and Services.
 */
import { PodwireError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import { loadClient } from '../../kubernetes/kubeconfig.ts';
import { KubernetesSource } from './source.ts';

export interface ClusterOption {
  /** undefined: the current one, or the pod's own cluster */
  readonly context: string | undefined;
  readonly cluster: string;
}

export interface ClustersOptions {
  readonly clusters: readonly ClusterOption[];
  /** by cluster id; a cluster that is not named has its root namespace's label */
  readonly networks: ReadonlyMap<string, string>;
  readonly kubeconfig?: string;
  readonly rootNamespace: string;
  readonly log: Log;
}

/** Workload uids and origins are cut at slashes. */
const CLUSTER_ID = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,252}$/;
const NETWORK = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** Throws PodwireError ERR_BAD_OPTION. */
export function parseClusters(text: string, ownCluster: string): ClusterOption[] {
  if (text === '') return [{ context: undefined, cluster: ownCluster }];
  const clusters = text.split(',').map((part): ClusterOption => {
    const equals = part.lastIndexOf('=');
    const context = equals < 0 ? part : part.slice(0, equals);
    const cluster = equals < 0 ? part : part.slice(equals + 1);
    if (context === '' || !CLUSTER_ID.test(cluster)) {
      throw new PodwireError(
        'ERR_BAD_OPTION',
        `--kubernetes: ${JSON.stringify(part)} gives no usable cluster id`,
        { hint: 'write CONTEXT, or CONTEXT=ID with letters, digits, ".", "_", ":", "@" and "-"' },
      );
    }
    return { context, cluster };
  });
  if (new Set(clusters.map(({ cluster }) => cluster)).size < clusters.length) {
    throw new PodwireError('ERR_BAD_OPTION', '--kubernetes names a cluster twice', {
      hint: 'give every cluster an id of its own: CONTEXT=ID',
    });
  }
  return clusters;
}

/** Throws PodwireError ERR_BAD_OPTION. */
export function parseNetworks(
  text: string,
  clusters: readonly ClusterOption[],
): ReadonlyMap<string, string> {
  const networks = new Map<string, string>();
  if (text === '') return networks;
  for (const part of text.split(',')) {
    const [left = '', right] = part.split('=');
    const network = right ?? left;
    const named = clusters.filter(({ cluster }) => right === undefined || cluster === left);
    if (!NETWORK.test(network) || named.length === 0) {
      throw new PodwireError(
        'ERR_BAD_OPTION',
        `--network: ${JSON.stringify(part)} cannot be used`,
        {
          hint: 'write NETWORK, or CLUSTER=NETWORK with a cluster of --kubernetes',
        },
      );
    }
    for (const { cluster } of named) networks.set(cluster, network);
  }
  return networks;
}

/** Throws PodwireError ERR_CONFIG for a kubeconfig that cannot be used; a cluster that is away is no error. */
export async function kubernetesSources(options: ClustersOptions): Promise<KubernetesSource[]> {
  const { clusters, networks, kubeconfig, rootNamespace, log } = options;
  const sources: KubernetesSource[] = [];
  for (const [index, { context, cluster }] of clusters.entries()) {
    const client = await loadClient({
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
    });
    const network = networks.get(cluster);
    sources.push(
      new KubernetesSource({
        client,
        cluster,
        role: index === 0 ? 'primary' : 'workloads',
        ...(network === undefined ? {} : { network }),
        rootNamespace,
        log: log.child({ cluster }),
      }),
    );
  }
  return sources;
}
