/**
 * What units are compiled with.
 */
import type { ApiRoutes } from './api-routes.ts';
import type { Catalog } from './catalog.ts';
import type { ClusterFactory } from './cluster.ts';
import type { DestinationRules } from './destination-rules.ts';
import type { Endpoints } from './endpoints.ts';
import type { GatewayPods } from './gateway-pods.ts';
import type { Registry } from './registry.ts';
import type { Classes } from './scopes.ts';
import type { Imports } from './visibility.ts';
import type { VirtualServices } from './virtual-services.ts';

export interface Parts {
  readonly catalog: Catalog;
  readonly imports: Imports;
  readonly registry: Registry;
  readonly rules: DestinationRules;
  readonly virtualServices: VirtualServices;
  readonly apiRoutes: ApiRoutes;
  readonly clusters: ClusterFactory;
  readonly classes: Classes;
  readonly endpoints: Endpoints;
  readonly gatewayPods: GatewayPods;
}
