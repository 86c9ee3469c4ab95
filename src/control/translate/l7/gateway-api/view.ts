/**
 * What the translation of the Gateway API looks up.  Every lookup is a call, so that whoever answers can note what a
 * result depends on; clusters are those of the client the translation is for.
 */
import type { ServiceResource } from '../../../../model/resource.ts';
import type { SecretResource } from '../../../../model/resource/core.ts';
import type {
  GatewayApiGatewayResource,
  GatewayClassResource,
  GrpcRouteResource,
  HttpRouteResource,
  ReferenceGrantResource,
  TcpRouteResource,
  TlsRouteResource,
} from '../../../../model/resource/gateway-api.ts';
import type { HashPolicy } from '../../../../model/route.ts';

export type RequestRoute = HttpRouteResource | GrpcRouteResource;
export type ConnectionRoute = TcpRouteResource | TlsRouteResource;
export type ApiRoute = RequestRoute | ConnectionRoute;

export function isRequestRoute(route: ApiRoute): route is RequestRoute {
  return route.kind === 'HTTPRoute' || route.kind === 'GRPCRoute';
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
}

export interface BackendCluster {
  readonly name: string;
  /** of the DestinationRule in force */
  readonly hash: readonly HashPolicy[];
  /** its balancer looks at hashes at all */
  readonly hashing: boolean;
}

export interface ApiView {
  /** DNS domain of Services */
  readonly domain: string;
  /** in any order; `only`: of one kind */
  routesOf(
    kind: 'Gateway' | 'Service',
    namespace: string,
    name: string,
    only?: ApiRoute['kind'],
  ): readonly ApiRoute[];
  gateway(namespace: string, name: string): GatewayApiGatewayResource | undefined;
  gatewayClass(name: string): GatewayClassResource | undefined;
  grants(namespace: string): readonly ReferenceGrantResource[];
  secret(namespace: string, name: string): SecretResource | undefined;
  namespaceLabels(name: string): ReadonlyMap<string, string>;
  /** undefined: no such Service */
  servicePorts(namespace: string, name: string): readonly ServicePort[] | undefined;
  /** those whose selector asks for the label of the Gateway's pods */
  gatewayServices(namespace: string, name: string): readonly ServiceResource[];
  /** whether any host of the mesh has the name */
  knowsHost(host: string): boolean;
  cluster(host: string, port: number): BackendCluster;
}

export const API_GROUP = 'gateway.networking.k8s.io';

/** where shares go that must be answered 500: the name of no cluster */
export const BLACK_HOLE = 'BlackHoleCluster';
