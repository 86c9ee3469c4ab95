/**
 * The messages of Envoy's API that podwire reads and writes: their names, and the types of their objects.
 *
 * Types are re-exported under "Wire…" names; only codec.ts, wire-types.ts and this file import gen/.
 */
import type * as accessLogger from './gen/envoy/extensions/access_loggers/file/v3/FileAccessLog.ts';
import type * as cluster from './gen/envoy/config/cluster/v3/Cluster.ts';
import type * as endpoint from './gen/envoy/config/endpoint/v3/ClusterLoadAssignment.ts';
import type * as listener from './gen/envoy/config/listener/v3/Listener.ts';
import type * as filterConfig from './gen/envoy/config/route/v3/FilterConfig.ts';
import type * as route from './gen/envoy/config/route/v3/RouteConfiguration.ts';
import type * as buffer from './gen/envoy/extensions/filters/http/buffer/v3/Buffer.ts';
import type * as cors from './gen/envoy/extensions/filters/http/cors/v3/Cors.ts';
import type * as corsPolicy from './gen/envoy/extensions/filters/http/cors/v3/CorsPolicy.ts';
import type * as extAuthz from './gen/envoy/extensions/filters/http/ext_authz/v3/ExtAuthz.ts';
import type * as extAuthzPerRoute from './gen/envoy/extensions/filters/http/ext_authz/v3/ExtAuthzPerRoute.ts';
import type * as fault from './gen/envoy/extensions/filters/http/fault/v3/HTTPFault.ts';
import type * as grpcStats from './gen/envoy/extensions/filters/http/grpc_stats/v3/FilterConfig.ts';
import type * as jwt from './gen/envoy/extensions/filters/http/jwt_authn/v3/JwtAuthentication.ts';
import type * as jwtPerRoute from './gen/envoy/extensions/filters/http/jwt_authn/v3/PerRouteConfig.ts';
import type * as localRateLimit from './gen/envoy/extensions/filters/http/local_ratelimit/v3/LocalRateLimit.ts';
import type * as rateLimit from './gen/envoy/extensions/filters/http/ratelimit/v3/RateLimit.ts';
import type * as rbac from './gen/envoy/extensions/filters/http/rbac/v3/RBAC.ts';
import type * as rbacPerRoute from './gen/envoy/extensions/filters/http/rbac/v3/RBACPerRoute.ts';
import type * as router from './gen/envoy/extensions/filters/http/router/v3/Router.ts';
import type * as httpInspector from './gen/envoy/extensions/filters/listener/http_inspector/v3/HttpInspector.ts';
import type * as tlsInspector from './gen/envoy/extensions/filters/listener/tls_inspector/v3/TlsInspector.ts';
import type * as hcm from './gen/envoy/extensions/filters/network/http_connection_manager/v3/HttpConnectionManager.ts';
import type * as tcpProxy from './gen/envoy/extensions/filters/network/tcp_proxy/v3/TcpProxy.ts';
import type * as leastRequest from './gen/envoy/extensions/load_balancing_policies/least_request/v3/LeastRequest.ts';
import type * as peakEwma from './gen/envoy/extensions/load_balancing_policies/peak_ewma/v3alpha/PeakEwma.ts';
import type * as uriTemplate from './gen/envoy/extensions/path/match/uri_template/v3/UriTemplateMatchConfig.ts';
import type * as previousHosts from './gen/envoy/extensions/retry/host/previous_hosts/v3/PreviousHostsPredicate.ts';
import type * as previousPriorities from './gen/envoy/extensions/retry/priority/previous_priorities/v3/PreviousPrioritiesConfig.ts';
import type * as proxyProtocol from './gen/envoy/extensions/transport_sockets/proxy_protocol/v3/ProxyProtocolUpstreamTransport.ts';
import type * as rawBuffer from './gen/envoy/extensions/transport_sockets/raw_buffer/v3/RawBuffer.ts';
import type * as downstreamTls from './gen/envoy/extensions/transport_sockets/tls/v3/DownstreamTlsContext.ts';
import type * as secret from './gen/envoy/extensions/transport_sockets/tls/v3/Secret.ts';
import type * as upstreamTls from './gen/envoy/extensions/transport_sockets/tls/v3/UpstreamTlsContext.ts';
import type * as httpOptions from './gen/envoy/extensions/upstreams/http/v3/HttpProtocolOptions.ts';
import type { MessageCodec } from './codec.ts';

export type * from './wire-types.ts';

/** What the codec offers of Envoy, by a short name. */
export interface EnvoyCodecs {
  readonly listener: MessageCodec<listener.Listener, listener.Listener__Output>;
  readonly routeConfiguration: MessageCodec<
    route.RouteConfiguration,
    route.RouteConfiguration__Output
  >;
  readonly cluster: MessageCodec<cluster.Cluster, cluster.Cluster__Output>;
  readonly loadAssignment: MessageCodec<
    endpoint.ClusterLoadAssignment,
    endpoint.ClusterLoadAssignment__Output
  >;
  readonly secret: MessageCodec<secret.Secret, secret.Secret__Output>;
  readonly connectionManager: MessageCodec<
    hcm.HttpConnectionManager,
    hcm.HttpConnectionManager__Output
  >;
  readonly tcpProxy: MessageCodec<tcpProxy.TcpProxy, tcpProxy.TcpProxy__Output>;
  readonly tlsInspector: MessageCodec<tlsInspector.TlsInspector, tlsInspector.TlsInspector__Output>;
  readonly httpInspector: MessageCodec<
    httpInspector.HttpInspector,
    httpInspector.HttpInspector__Output
  >;
  readonly fileAccessLog: MessageCodec<
    accessLogger.FileAccessLog,
    accessLogger.FileAccessLog__Output
  >;
  readonly filterConfig: MessageCodec<filterConfig.FilterConfig, filterConfig.FilterConfig__Output>;
  readonly router: MessageCodec<router.Router, router.Router__Output>;
  readonly rbac: MessageCodec<rbac.RBAC, rbac.RBAC__Output>;
  readonly rbacPerRoute: MessageCodec<rbacPerRoute.RBACPerRoute, rbacPerRoute.RBACPerRoute__Output>;
  readonly jwt: MessageCodec<jwt.JwtAuthentication, jwt.JwtAuthentication__Output>;
  readonly jwtPerRoute: MessageCodec<
    jwtPerRoute.PerRouteConfig,
    jwtPerRoute.PerRouteConfig__Output
  >;
  readonly extAuthz: MessageCodec<extAuthz.ExtAuthz, extAuthz.ExtAuthz__Output>;
  readonly extAuthzPerRoute: MessageCodec<
    extAuthzPerRoute.ExtAuthzPerRoute,
    extAuthzPerRoute.ExtAuthzPerRoute__Output
  >;
  readonly fault: MessageCodec<fault.HTTPFault, fault.HTTPFault__Output>;
  readonly cors: MessageCodec<cors.Cors, cors.Cors__Output>;
  readonly corsPolicy: MessageCodec<corsPolicy.CorsPolicy, corsPolicy.CorsPolicy__Output>;
  readonly rateLimit: MessageCodec<rateLimit.RateLimit, rateLimit.RateLimit__Output>;
  readonly localRateLimit: MessageCodec<
    localRateLimit.LocalRateLimit,
    localRateLimit.LocalRateLimit__Output
  >;
  readonly grpcStats: MessageCodec<grpcStats.FilterConfig, grpcStats.FilterConfig__Output>;
  readonly buffer: MessageCodec<buffer.Buffer, buffer.Buffer__Output>;
  readonly uriTemplate: MessageCodec<
    uriTemplate.UriTemplateMatchConfig,
    uriTemplate.UriTemplateMatchConfig__Output
  >;
  readonly previousHosts: MessageCodec<
    previousHosts.PreviousHostsPredicate,
    previousHosts.PreviousHostsPredicate__Output
  >;
  readonly previousPriorities: MessageCodec<
    previousPriorities.PreviousPrioritiesConfig,
    previousPriorities.PreviousPrioritiesConfig__Output
  >;
  readonly upstreamTls: MessageCodec<
    upstreamTls.UpstreamTlsContext,
    upstreamTls.UpstreamTlsContext__Output
  >;
  readonly downstreamTls: MessageCodec<
    downstreamTls.DownstreamTlsContext,
    downstreamTls.DownstreamTlsContext__Output
  >;
  readonly rawBuffer: MessageCodec<rawBuffer.RawBuffer, rawBuffer.RawBuffer__Output>;
  readonly proxyProtocol: MessageCodec<
    proxyProtocol.ProxyProtocolUpstreamTransport,
    proxyProtocol.ProxyProtocolUpstreamTransport__Output
  >;
  readonly httpOptions: MessageCodec<
    httpOptions.HttpProtocolOptions,
    httpOptions.HttpProtocolOptions__Output
  >;
  readonly peakEwma: MessageCodec<peakEwma.PeakEwma, peakEwma.PeakEwma__Output>;
  readonly leastRequest: MessageCodec<leastRequest.LeastRequest, leastRequest.LeastRequest__Output>;
}

const FILTERS = 'envoy.extensions.filters';
const TRANSPORT = 'envoy.extensions.transport_sockets';

export const ENVOY_MESSAGES: Readonly<Record<keyof EnvoyCodecs, string>> = Object.freeze({
  listener: 'envoy.config.listener.v3.Listener',
  routeConfiguration: 'envoy.config.route.v3.RouteConfiguration',
  cluster: 'envoy.config.cluster.v3.Cluster',
  loadAssignment: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: `${TRANSPORT}.tls.v3.Secret`,
  connectionManager: `${FILTERS}.network.http_connection_manager.v3.HttpConnectionManager`,
  tcpProxy: `${FILTERS}.network.tcp_proxy.v3.TcpProxy`,
  tlsInspector: `${FILTERS}.listener.tls_inspector.v3.TlsInspector`,
  httpInspector: `${FILTERS}.listener.http_inspector.v3.HttpInspector`,
  fileAccessLog: 'envoy.extensions.access_loggers.file.v3.FileAccessLog',
  filterConfig: 'envoy.config.route.v3.FilterConfig',
  router: `${FILTERS}.http.router.v3.Router`,
  rbac: `${FILTERS}.http.rbac.v3.RBAC`,
  rbacPerRoute: `${FILTERS}.http.rbac.v3.RBACPerRoute`,
  jwt: `${FILTERS}.http.jwt_authn.v3.JwtAuthentication`,
  jwtPerRoute: `${FILTERS}.http.jwt_authn.v3.PerRouteConfig`,
  extAuthz: `${FILTERS}.http.ext_authz.v3.ExtAuthz`,
  extAuthzPerRoute: `${FILTERS}.http.ext_authz.v3.ExtAuthzPerRoute`,
  fault: `${FILTERS}.http.fault.v3.HTTPFault`,
  cors: `${FILTERS}.http.cors.v3.Cors`,
  corsPolicy: `${FILTERS}.http.cors.v3.CorsPolicy`,
  rateLimit: `${FILTERS}.http.ratelimit.v3.RateLimit`,
  localRateLimit: `${FILTERS}.http.local_ratelimit.v3.LocalRateLimit`,
  grpcStats: `${FILTERS}.http.grpc_stats.v3.FilterConfig`,
  buffer: `${FILTERS}.http.buffer.v3.Buffer`,
  uriTemplate: 'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
  previousHosts: 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
  previousPriorities:
    'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
  upstreamTls: `${TRANSPORT}.tls.v3.UpstreamTlsContext`,
  downstreamTls: `${TRANSPORT}.tls.v3.DownstreamTlsContext`,
  rawBuffer: `${TRANSPORT}.raw_buffer.v3.RawBuffer`,
  proxyProtocol: `${TRANSPORT}.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
  httpOptions: 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  peakEwma: 'envoy.extensions.load_balancing_policies.peak_ewma.v3alpha.PeakEwma',
  leastRequest: 'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest',
});
