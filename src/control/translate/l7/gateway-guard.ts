/**
 * AuthorizationPolicies and RequestAuthentications of a gateway, of either API → what its listeners ask before they route.
 */
import { compileExtension } from './extension-unit.ts';
import type { Compile } from './graph.ts';
import { pathSettings, type GatewayGuard } from './http-listener.ts';
import { gatewayFilters, isGuarded, type GatewaySecurity } from './inbound/security-filters.ts';
import type { Parts } from './parts.ts';

/** A Gateway of either API. */
interface AnyGateway {
  readonly id: string;
  readonly file: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Guard extends GatewayGuard {
  /** clusters the filters ask */
  readonly needs: ReadonlyMap<string, Compile>;
}

/** `selector`: labels its pods have in any case, for as long as none is there */
export function guardOf(
  { catalog, registry, endpoints, gatewayPods }: Parts,
  gateway: AnyGateway,
  selector: Readonly<Record<string, string>>,
): Guard {
  const { rootNamespace, meshConfig: mesh } = catalog;
  const key = `${gateway.namespace}/${gateway.name}`;
  const found = gatewayPods.groups(key);
  const none = { namespace: gatewayPods.home(key), labels: new Map(Object.entries(selector)) };
  const groups = found.length > 0 ? found : [none];
  // The root namespace first, as Istio takes them.
  const namespaces = new Set([
    rootNamespace,
    gateway.namespace,
    ...groups.map(({ namespace }) => namespace),
  ]);
  const security: GatewaySecurity = {
    gateway,
    groups,
    policies: [...namespaces].flatMap((one) => catalog.read('AuthorizationPolicy', one)),
    tokens: [...namespaces].flatMap((one) => catalog.read('RequestAuthentication', one)),
    rootNamespace,
    mesh,
  };
  const { filters, clusters } = gatewayFilters(security);
  return {
    filters,
    paths: pathSettings(mesh),
    needs: new Map(
      clusters.map((cluster): [string, Compile] => [
        cluster.name,
        () => compileExtension(registry, endpoints, cluster),
      ]),
    ),
    closesBytes: isGuarded(security),
  };
}
