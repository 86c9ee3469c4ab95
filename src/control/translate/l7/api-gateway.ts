/**
 * A Gateway of the Gateway API as a unit.
 */
import { CatalogView } from './api-view.ts';
import { Client } from './client.ts';
import { Destinations } from './destinations.ts';
import { isOwnGateway } from './gateway-api/attachment.ts';
import { gatewayConfig } from './gateway-api/gateway.ts';
import { EMPTY_PRODUCT, type Compile, type Product } from './graph.ts';
import { listenerMessage, routesMessage } from './message.ts';
import type { Parts } from './parts.ts';
import { secretUnits } from './secrets.ts';

export function compileApiGateway({ catalog, registry, clusters }: Parts, key: string): Product {
  const [gateway] = catalog.read('GatewayApiGateway', key);
  if (gateway === undefined) return EMPTY_PRODUCT;
  const fullHost = (host: string, namespace: string): string => catalog.fullHost(host, namespace);
  // Every backend names its port, so that of the listener never counts.
  const destinations = new Destinations(Client.gateway(gateway.namespace), 0, clusters, fullHost);
  const view = new CatalogView(catalog, registry, destinations);
  if (!isOwnGateway(gateway, view)) return EMPTY_PRODUCT;
  const { listeners, routes, findings } = gatewayConfig(gateway, view);
  const needs = new Map<string, Compile>(destinations.units);
  for (const { chains, defaultChain } of listeners) {
    for (const { tls } of defaultChain === undefined ? chains : [...chains, defaultChain]) {
      for (const [name, compile] of secretUnits(catalog, tls)) needs.set(name, compile);
    }
  }
  return {
    messages: [...listeners.map(listenerMessage), ...routes.map(routesMessage)],
    needs,
    findings,
  };
}
