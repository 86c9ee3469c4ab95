/**
 * What the translation of the Gateway API looks up, answered from the catalog for one client: see gateway-api/view.ts.
 */
import type { Resource, ServiceResource } from '../../../model/resource.ts';
import { gatewayServiceKey, type Catalog } from './catalog.ts';
import type { Client } from './client.ts';
import { Destinations } from './destinations.ts';
import type { ApiRoute, ApiView, BackendCluster, ServicePort } from './gateway-api/view.ts';
import type { Parts } from './parts.ts';
import type { Registry } from './registry.ts';
import { hashPolicies } from './route-defaults.ts';

const KINDS = ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'] as const;

export interface OpenView {
  readonly view: ApiView;
  /** notes the clusters that the view was asked for */
  readonly destinations: Destinations;
}

/** For one client; `instead`: a resource to be seen in place of one of its id, as if it were part of the mesh. */
export function openView(
  { catalog, registry, clusters }: Parts,
  client: Client,
  instead?: Resource,
): OpenView {
  const fullHost = (host: string, namespace: string): string => catalog.fullHost(host, namespace);
  // Every backend names its port, so that of the listener never counts.
  const destinations = new Destinations(client, 0, clusters, fullHost);
  return { view: new CatalogView(catalog, registry, destinations, instead), destinations };
}

export class CatalogView implements ApiView {
  readonly domain: string;
  readonly #catalog: Catalog;
  readonly #registry: Registry;
  readonly #destinations: Destinations;

  /** stands in place of one of its id */
  readonly #instead: Resource | undefined;

  constructor(
    catalog: Catalog,
    registry: Registry,
    destinations: Destinations,
    instead?: Resource,
  ) {
    this.domain = catalog.domain;
    this.#catalog = catalog;
    this.#registry = registry;
    this.#destinations = destinations;
    this.#instead = instead;
  }

  routesOf(
    kind: 'Gateway' | 'Service',
    namespace: string,
    name: string,
    only?: ApiRoute['kind'],
  ): readonly ApiRoute[] {
    const found = boundRoutes(this.#catalog, kind, namespace, name, only);
    const instead = this.#instead;
    if (instead === undefined || !isApiRoute(instead)) return found;
    const others = found.filter(({ id }) => id !== instead.id);
    const keys = this.#catalog.keysOf(instead);
    const binds = keys.includes(`${instead.kind} ${kind} ${namespace}/${name}`);
    return binds && (only ?? instead.kind) === instead.kind ? [...others, instead] : others;
  }

  gateway(namespace: string, name: string) {
    const instead = this.#instead;
    if (
      instead?.kind === 'GatewayApiGateway' &&
      instead.namespace === namespace &&
      instead.name === name
    ) {
      return instead;
    }
    return this.#catalog.read('GatewayApiGateway', `${namespace}/${name}`)[0];
  }

  gatewayClass(name: string) {
    return this.#catalog.read('GatewayClass', name)[0];
  }

  grants(namespace: string) {
    return this.#catalog.read('ReferenceGrant', namespace);
  }

  secret(namespace: string, name: string) {
    return this.#catalog.read('Secret', `${namespace}/${name}`)[0];
  }

  namespaceLabels(name: string): ReadonlyMap<string, string> {
    return this.#catalog.read('Namespace', name)[0]?.labels ?? new Map();
  }

  servicePorts(namespace: string, name: string): readonly ServicePort[] | undefined {
    const [service] = this.#catalog.read('Service', `${name}.${namespace}.svc.${this.domain}`);
    return service?.ports;
  }

  gatewayServices(namespace: string, name: string): readonly ServiceResource[] {
    return this.#catalog.read('Service', gatewayServiceKey(namespace, name));
  }

  knowsHost(host: string): boolean {
    return this.#registry.findAny(host, this.#destinations.client) !== undefined;
  }

  cluster(host: string, port: number): BackendCluster {
    const { name, hash } = this.#destinations.host(host, port);
    return { name, hash: hashPolicies(hash), hashing: hash !== undefined };
  }
}

export function isApiRoute(resource: Resource): resource is ApiRoute {
  return KINDS.some((kind) => kind === resource.kind);
}

export function boundRoutes(
  catalog: Catalog,
  kind: 'Gateway' | 'Service',
  namespace: string,
  name: string,
  only?: ApiRoute['kind'],
): readonly ApiRoute[] {
  const kinds = only === undefined ? KINDS : [only];
  return kinds.flatMap((route): readonly ApiRoute[] =>
    catalog.read(route, `${kind} ${namespace}/${name}`),
  );
}
