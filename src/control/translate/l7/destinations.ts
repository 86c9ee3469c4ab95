/**
 * What a route points at: clusters by name, with the units that compile them.
 */
import type { WeightedCluster } from '../../../model/route.ts';
import { NO_HEADER_EDITS } from '../../../model/matcher.ts';
import type { DestinationSpec } from '../../../model/resource/virtual-service.ts';
import type { ConsistentHashSpec } from '../../../model/resource/destination-rule.ts';
import type { Client } from './client.ts';
import type { Compile } from './graph.ts';

/** A cluster for a client. */
export interface ClusterUnit {
  readonly name: string;
  /** undefined: the client knows no such host, port or subset, and there is no cluster of that name */
  readonly compile: Compile | undefined;
  /** of the DestinationRule in force: routes carry it out */
  readonly hash: ConsistentHashSpec | undefined;
}

export interface Clusters {
  clusterOf(
    client: Client,
    host: string,
    port: number | undefined,
    subset: string,
    listenerPort: number,
  ): ClusterUnit;
}

/** One compilation for one client: collects the units its routes need. */
export class Destinations {
  readonly client: Client;
  readonly listenerPort: number;
  readonly units = new Map<string, Compile>();
  readonly #clusters: Clusters;
  readonly #fullHost: (host: string, namespace: string) => string;

  constructor(
    client: Client,
    listenerPort: number,
    clusters: Clusters,
    fullHost: (host: string, namespace: string) => string,
  ) {
    this.client = client;
    this.listenerPort = listenerPort;
    this.#clusters = clusters;
    this.#fullHost = fullHost;
  }

  host(host: string, port: number | undefined, subset = ''): ClusterUnit {
    const unit = this.#clusters.clusterOf(this.client, host, port, subset, this.listenerPort);
    if (unit.compile !== undefined) this.units.set(`cluster ${unit.name}`, unit.compile);
    return unit;
  }

  /** `namespace`: of the resource that names it */
  destination({ host, subset, port }: DestinationSpec, namespace: string): ClusterUnit {
    return this.host(this.#fullHost(host, namespace), port?.number, subset);
  }

  /** Of tcp and tls routes: those without weight share what the only one gets. */
  weighted(
    routes: readonly { readonly destination: DestinationSpec; readonly weight?: number }[],
    namespace: string,
  ): WeightedCluster[] {
    return shares(routes).map(({ item, weight }) =>
      plainShare(this.destination(item.destination, namespace).name, weight),
    );
  }
}

/** Destinations of weight 0 get nothing; the only one gets all. */
export function shares<T extends { readonly weight?: number }>(
  items: readonly T[],
): { readonly item: T; readonly weight: number }[] {
  const [first] = items;
  if (items.length === 1 && first !== undefined) return [{ item: first, weight: 100 }];
  return items.flatMap((item) => {
    const weight = item.weight ?? 0;
    return weight > 0 ? [{ item, weight }] : [];
  });
}

export function plainShare(cluster: string, weight: number): WeightedCluster {
  return {
    cluster,
    weight,
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    hostRewrite: undefined,
  };
}
