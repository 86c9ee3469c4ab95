/**
 * Gateway API routes whose parent is a Service, for one client.
 */
import { boundRoutes, CatalogView } from './api-view.ts';
import type { Catalog } from './catalog.ts';
import type { Destinations } from './destinations.ts';
import {
  consumerNamespaces,
  serviceRoutes,
  type ServiceRoutes,
} from './gateway-api/service-routes.ts';
import type { Host, HostPort, Registry } from './registry.ts';

export class ApiRoutes {
  readonly #catalog: Catalog;
  readonly #registry: Registry;

  constructor(catalog: Catalog, registry: Registry) {
    this.#catalog = catalog;
    this.#registry = registry;
  }

  /** Whether any route is bound to the Service, whoever it is for. */
  mentions(definitions: readonly Host[]): boolean {
    return definitions.some(
      ({ entry, namespace, name }) =>
        entry === undefined && boundRoutes(this.#catalog, 'Service', namespace, name).length > 0,
    );
  }

  /** undefined: no route is bound to the port, for this client */
  ofService(host: Host, port: HostPort, destinations: Destinations): ServiceRoutes | undefined {
    if (host.entry !== undefined) return undefined;
    const { namespace, name } = host;
    const view = new CatalogView(this.#catalog, this.#registry, destinations);
    const { client } = destinations;
    const own = consumerNamespaces(namespace, name, view).find((other) => client.isIn(other));
    const parent = { namespace, name, port: { name: port.name, port: port.number } };
    return serviceRoutes(parent, own, view);
  }
}
