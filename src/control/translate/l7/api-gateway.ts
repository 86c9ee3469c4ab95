/**
 * A Gateway of the Gateway API as a unit.
 */
import { CatalogView } from './api-view.ts';
import { Client } from './client.ts';
import { Destinations } from './destinations.ts';
import { guardOf } from './gateway-guard.ts';
import { NAME_LABEL } from './gateway-pods.ts';
import { isOwnGateway } from './gateway-api/attachment.ts';
import { gatewayConfig } from './gateway-api/gateway.ts';
import { EMPTY_PRODUCT, type Compile, type Product } from './graph.ts';
import { listenerMessage, routesMessage } from './message.ts';
import type { Parts } from './parts.ts';
import { secretUnits } from './secrets.ts';

export function compileApiGateway(parts: Parts, key: string): Product {
  const { catalog, registry, clusters } = parts;
  const [gateway] = catalog.read('GatewayApiGateway', key);
  if (gateway === undefined) return EMPTY_PRODUCT;
  const fullHost = (host: string, namespace: string): string => catalog.fullHost(host, namespace);
  // Every backend names its port, so that of the listener never counts.
  const destinations = new Destinations(Client.gateway(gateway.namespace), 0, clusters, fullHost);
  const view = new CatalogView(catalog, registry, destinations);
  if (!isOwnGateway(gateway, view)) return EMPTY_PRODUCT;
  const guard = guardOf(parts, gateway, { [NAME_LABEL]: gateway.name });
  const { listeners, routes, findings } = gatewayConfig(gateway, view, guard);
  const needs = new Map<string, Compile>(destinations.units);
  const chains = listeners.flatMap((one) => [
    ...one.chains,
    ...(one.defaultChain ? [one.defaultChain] : []),
  ]);
  for (const { tls, handler } of chains) {
    const asked = handler.type === 'http' ? guard.needs : [];
    for (const [name, compile] of [...asked, ...secretUnits(catalog, tls)]) {
      needs.set(name, compile);
    }
  }
  return {
    messages: [...listeners.map(listenerMessage), ...routes.map(routesMessage)],
    needs,
    findings,
  };
}
