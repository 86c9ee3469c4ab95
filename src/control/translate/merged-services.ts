/**
 * Services across clusters: those of one namespace and name are one message.
 *
 * Ports and settings are those of control's own cluster, or of the first cluster by name that has the Service.  Where nothing
 * says otherwise each cluster's clients use its own endpoints, and the others' when it has none that is ready.  A virtual
 * address is valid in the cluster that gave it only, so the message names them by cluster as soon as there are several.
 */
import type { Address } from '../../model/messages.ts';
import type { GatewayAddress } from '../../model/gateway-address.ts';
import type { Ip } from '../../model/ip.ts';
import type { ServiceResource } from '../../model/resource.ts';
import type { LocalityPreference, ServiceTrafficPolicy } from '../../model/service.ts';
import type { TranslateOptions } from './options.ts';
import type { Outbox } from './outbox.ts';
import { serviceMessage, serviceMessageKey } from './service.ts';

const OWN_CLUSTER_FIRST: LocalityPreference = { mode: 'FAILOVER', routingPreference: ['CLUSTER'] };

/** What others say of a Service. */
export interface ServiceView {
  /** of the DestinationRule in force for the Service with that message key */
  readonly trafficPolicyOf: (key: string) => ServiceTrafficPolicy | undefined;
  readonly waypointOf: (service: ServiceResource) => GatewayAddress | undefined;
}

export class MergedServices {
  readonly #options: TranslateOptions;
  /** by message key, then by cluster */
  readonly #byKey = new Map<string, Map<string, ServiceResource>>();
  readonly #dirty = new Set<string>();

  readonly #view: ServiceView;

  constructor(options: TranslateOptions, view: ServiceView) {
    this.#options = options;
    this.#view = view;
  }

  /** of the messages */
  keys(): IterableIterator<string> {
    return this.#byKey.keys();
  }

  /** As the cluster has it; undefined: it has none. */
  resourceOf(key: string, cluster: string): ServiceResource | undefined {
    return this.#byKey.get(key)?.get(cluster);
  }

  /** Its traffic policy or its waypoint may be another one. */
  invalidate(key: string): void {
    if (this.#byKey.has(key)) this.#dirty.add(key);
  }

  change(service: ServiceResource, present: boolean): void {
    const key = serviceMessageKey(service, this.#options);
    const cluster = service.cluster ?? this.#options.clusterId;
    const clusters = this.#byKey.get(key) ?? new Map<string, ServiceResource>();
    if (present) this.#byKey.set(key, clusters.set(cluster, service));
    // Its replacement may have been put here before this removal came.
    else if (clusters.get(cluster) === service) clusters.delete(cluster);
    if (clusters.size === 0) this.#byKey.delete(key);
    this.#dirty.add(key);
  }

  flush(outbox: Outbox<Address>): void {
    for (const key of this.#dirty) {
      const clusters = this.#byKey.get(key);
      if (clusters === undefined) outbox.remove(key);
      else outbox.put(key, { kind: 'service', service: this.#merge(clusters) });
    }
    this.#dirty.clear();
  }

  #merge(clusters: ReadonlyMap<string, ServiceResource>) {
    const own = this.#options.clusterId;
    const names = [...clusters.keys()].sort();
    const leading = clusters.get(clusters.has(own) ? own : names[0]!)!;
    const key = serviceMessageKey(leading, this.#options);
    const trafficPolicy = this.#view.trafficPolicyOf(key);
    const waypoint = this.#view.waypointOf(leading);
    const message = serviceMessage(leading, this.#options, trafficPolicy, waypoint);
    if (names.length === 1 && clusters.has(own)) return message;
    const clusterAddresses = new Map<string, readonly Ip[]>();
    for (const name of names) clusterAddresses.set(name, clusters.get(name)!.addresses);
    const { loadBalancing } = message;
    const isOpen = loadBalancing.mode === 'UNSPECIFIED' && names.length > 1;
    const isSaid = trafficPolicy?.localityPreference !== undefined;
    return {
      ...message,
      addresses: clusters.get(own)?.addresses ?? [],
      clusterAddresses,
      loadBalancing: isOpen && !isSaid ? { ...loadBalancing, ...OWN_CLUSTER_FIRST } : loadBalancing,
    };
  }
}
