/**
 * What a resource names and cannot work without: the order of warming follows from it.
 */
import type { Cluster, TlsParameters } from '../../model/cluster.ts';
import type { HttpFilter } from '../../model/http-filter.ts';
import type { Listener } from '../../model/listener.ts';
import type { RouteConfiguration } from '../../model/route.ts';
import type { MeshResources } from '../resource-types.ts';

/** The types that refer to each other; workloads, services and policies stand by themselves. */
export type LinkedKey = 'secrets' | 'loadAssignments' | 'clusters' | 'routes' | 'listeners';

/** Clusters and listeners come by wildcard; these only when something names them. */
export const LINKED_BY_NAME: readonly LinkedKey[] = ['secrets', 'loadAssignments', 'routes'];

export interface Reference {
  readonly key: LinkedKey;
  readonly name: string;
}

const NONE: readonly Reference[] = Object.freeze([]);

export function referencesOf<K extends LinkedKey>(
  key: K,
  resource: MeshResources[K],
): readonly Reference[] {
  switch (key) {
    case 'listeners':
      return distinct(ofListener(resource as Listener));
    case 'routes':
      return distinct(ofRoutes(resource as RouteConfiguration));
    case 'clusters':
      return distinct(ofCluster(resource as Cluster));
    default:
      return NONE;
  }
}

function* ofListener(listener: Listener): Iterable<Reference> {
  const chains = listener.defaultChain
    ? [...listener.chains, listener.defaultChain]
    : listener.chains;
  for (const { tls, handler } of chains) {
    if (tls) yield* ofTls(tls);
    if (handler.type === 'tcp') {
      for (const { cluster } of handler.clusters) yield { key: 'clusters', name: cluster };
      continue;
    }
    if (handler.routes.type === 'rds') yield { key: 'routes', name: handler.routes.name };
    else yield* ofRoutes(handler.routes.config);
    for (const filter of handler.filters) yield* ofFilter(filter);
  }
}

function* ofFilter(filter: HttpFilter): Iterable<Reference> {
  if (filter.type === 'ext-authz') {
    yield { key: 'clusters', name: filter.extAuthz.service.cluster };
  } else if (filter.type === 'rate-limit') {
    yield { key: 'clusters', name: filter.rateLimit.cluster };
  } else if (filter.type === 'jwt') {
    for (const { keys } of filter.jwt.providers.values()) {
      if (keys.type === 'remote') yield { key: 'clusters', name: keys.cluster };
    }
  }
}

function* ofRoutes(config: RouteConfiguration): Iterable<Reference> {
  for (const { routes } of config.virtualHosts) {
    for (const { action } of routes) {
      if (action.type !== 'forward') continue;
      for (const { cluster } of action.mirrors) yield { key: 'clusters', name: cluster };
      // a header of the request may name any cluster: nothing to wait for
      if (action.clusters.type !== 'weighted') continue;
      for (const { cluster } of action.clusters.choices) yield { key: 'clusters', name: cluster };
    }
  }
}

function* ofCluster({ discovery, tls }: Cluster): Iterable<Reference> {
  if (discovery.type === 'eds') yield { key: 'loadAssignments', name: discovery.service };
  if (tls) yield* ofTls(tls);
}

function* ofTls({ certificates, validation }: TlsParameters): Iterable<Reference> {
  for (const name of certificates) yield { key: 'secrets', name };
  if (validation?.roots !== undefined) yield { key: 'secrets', name: validation.roots };
}

function distinct(references: Iterable<Reference>): readonly Reference[] {
  const found = new Map<string, Reference>();
  for (const reference of references) {
    if (reference.name !== '') found.set(`${reference.key} ${reference.name}`, reference);
  }
  return found.size === 0 ? NONE : [...found.values()];
}
