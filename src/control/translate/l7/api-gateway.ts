/**
 * A Gateway of the Gateway API as a unit: its listeners, and what is to be said about it.
 */
import type { Finding } from '../../../model/finding.ts';
import type { GatewayApiGatewayResource } from '../../../model/resource/gateway-api.ts';
import { openView, type OpenView } from './api-view.ts';
import { Client } from './client.ts';
import { guardOf } from './gateway-guard.ts';
import { GATEWAY_NAME_LABEL } from './catalog.ts';
import { isOwnGateway } from './gateway-api/attachment.ts';
import { gatewayConfig } from './gateway-api/gateway.ts';
import { ApiReport } from './gateway-api/report.ts';
import { judged } from './gateway-api/verdict.ts';
import type { ApiView } from './gateway-api/view.ts';
import { EMPTY_PRODUCT, type Compile, type Product } from './graph.ts';
import { listenerMessage, routesMessage } from './message.ts';
import type { Parts } from './parts.ts';
import { secretUnits } from './secrets.ts';

export function compileApiGateway(parts: Parts, key: string): Product {
  const { catalog } = parts;
  const [gateway] = catalog.read('GatewayApiGateway', key);
  if (gateway === undefined) return EMPTY_PRODUCT;
  const { view, destinations } = gatewayView(parts, gateway);
  if (!isOwnGateway(gateway, view)) {
    const verdict = { kind: 'foreign', ...judged(gateway) } as const;
    return { ...EMPTY_PRODUCT, verdict, findings: nobodys(gateway, view) };
  }
  const guard = guardOf(parts, gateway, { [GATEWAY_NAME_LABEL]: gateway.name });
  const { listeners, routes, findings, verdict } = gatewayConfig(gateway, view, guard);
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
    verdict,
  };
}

/** What it would be told if it were part of the mesh, in place of one of its id. */
export function previewApiGateway(
  parts: Parts,
  gateway: GatewayApiGatewayResource,
): readonly Finding[] {
  const { view } = gatewayView(parts, gateway, gateway);
  if (!isOwnGateway(gateway, view)) return nobodys(gateway, view);
  const guard = guardOf(parts, gateway, { [GATEWAY_NAME_LABEL]: gateway.name });
  const { findings } = gatewayConfig(gateway, view, guard);
  // A Secret that nothing in force names has not been read yet.
  return findings.filter(({ code }) => code !== 'SECRET_UNKNOWN');
}

function gatewayView(
  parts: Parts,
  { namespace }: GatewayApiGatewayResource,
  instead?: GatewayApiGatewayResource,
): OpenView {
  return openView(parts, Client.gateway(namespace), instead);
}

/** Of another controller's there is nothing to say, but somebody's it has to be. */
function nobodys(gateway: GatewayApiGatewayResource, view: ApiView): readonly Finding[] {
  const { gatewayClassName: name } = gateway.spec;
  if (view.gatewayClass(name) !== undefined) return [];
  const report = new ApiReport(gateway);
  const message = `names the GatewayClass ${name}, which does not exist: nobody serves it`;
  report.warn('REFERENCE_UNKNOWN', 'spec.gatewayClassName', message, 'correct the name, or add it');
  return report.findings;
}
