/**
 * What the translation of the Gateway API looks up, answered from the catalog for one client: see gateway-api/view.ts.
 */
import type { Catalog } from './catalog.ts';
import type { Destinations } from './destinations.ts';
import type { ApiRoute, ApiView, BackendCluster, ServicePort } from './gateway-api/view.ts';
import type { Registry } from './registry.ts';
import { hashPolicies } from './route-defaults.ts';

const KINDS = ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'] as const;

export class CatalogView implements ApiView {
  readonly domain: string;
  readonly #catalog: Catalog;
  readonly #registry: Registry;
  readonly #destinations: Destinations;

  constructor(catalog: Catalog, registry: Registry, destinations: Destinations) {
    this.domain = catalog.domain;
    this.#catalog = catalog;
    this.#registry = registry;
    this.#destinations = destinations;
  }

  routesOf(kind: 'Gateway' | 'Service', namespace: string, name: string): readonly ApiRoute[] {
    return boundRoutes(this.#catalog, kind, namespace, name);
  }

  gateway(namespace: string, name: string) {
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

  knowsHost(host: string): boolean {
    return this.#registry.findAny(host, this.#destinations.client) !== undefined;
  }

  cluster(host: string, port: number): BackendCluster {
    const { name, hash } = this.#destinations.host(host, port);
    return { name, hash: hashPolicies(hash), hashing: hash !== undefined };
  }
}

export function boundRoutes(
  catalog: Catalog,
  kind: 'Gateway' | 'Service',
  namespace: string,
  name: string,
): readonly ApiRoute[] {
  return KINDS.flatMap((route): readonly ApiRoute[] =>
    catalog.read(route, `${kind} ${namespace}/${name}`),
  );
}
