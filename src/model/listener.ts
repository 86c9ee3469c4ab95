/**
 * envoy.config.listener.v3.Listener, decoded: what happens to the connections to one port, seen from one scope.
 *
 * Names carry who asks: `outbound|<port>|<scope>|<host>` with scope "*", "<namespace>" or "<namespace>~<class>", and host
 * "*" for whatever address is dialled at that port; `inbound|<port>|<workload>`; `gateway|<port>|<namespace>/<name>`.
 */
import type { HttpFilter } from './http-filter.ts';
import type { Ip, Prefix } from './ip.ts';
import type { Millionths } from './matcher.ts';
import type { HashPolicy, RouteConfiguration, WeightedCluster } from './route.ts';
import type { TlsParameters } from './cluster.ts';

export interface Listener {
  readonly name: string;
  readonly direction: 'outbound' | 'inbound' | 'gateway';
  /** original destinations it is for; none: any address */
  readonly addresses: readonly Ip[];
  readonly port: number;
  /** the most exact match wins, as Envoy compares: port, address, server name, transport, ALPN, source */
  readonly chains: readonly FilterChain[];
  readonly defaultChain: FilterChain | undefined;
  /** reads the TLS ClientHello (server name, ALPN) before a chain is chosen */
  readonly inspectTls: boolean;
  /** sniffs for HTTP before a chain is chosen */
  readonly inspectHttp: boolean;
}

export interface FilterChain {
  readonly name: string;
  readonly match: FilterChainMatch;
  readonly tls: DownstreamTls | undefined;
  readonly handler: ConnectionHandler;
}

/** An empty list matches everything. */
export interface FilterChainMatch {
  readonly destinationPort: number | undefined;
  readonly destinations: readonly Prefix[];
  /** exact or "*.suffix" */
  readonly serverNames: readonly string[];
  readonly transport: 'tls' | 'raw_buffer' | undefined;
  readonly applicationProtocols: readonly string[];
  readonly sources: readonly Prefix[];
}

export interface DownstreamTls extends TlsParameters {
  readonly requireClientCertificate: boolean;
}

export type ConnectionHandler =
  ({ readonly type: 'tcp' } & TcpProxy) | ({ readonly type: 'http' } & HttpConnectionManager);

export interface TcpProxy {
  readonly clusters: readonly WeightedCluster[];
  readonly idleTimeoutMs: number | undefined;
  readonly hash: readonly HashPolicy[];
}

export interface HttpConnectionManager {
  readonly codec: 'auto' | 'http1' | 'http2';
  readonly routes:
    | { readonly type: 'rds'; readonly name: string }
    | { readonly type: 'inline'; readonly config: RouteConfiguration };
  readonly filters: readonly HttpFilter[];
  readonly statPrefix: string;
  readonly serverName: string;
  readonly idleTimeoutMs: number | undefined;
  readonly streamIdleTimeoutMs: number | undefined;
  readonly requestTimeoutMs: number | undefined;
  readonly maxRequestHeadersKb: number | undefined;
  readonly upgrades: readonly string[];
  readonly acceptHttp10: boolean;
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape-redirect' | 'unescape-forward';
  readonly useRemoteAddress: boolean;
  readonly trustedHops: number;
  readonly clientCertificate:
    'sanitize' | 'forward-only' | 'append-forward' | 'sanitize-set' | 'always-forward-only';
  readonly tracing: { readonly sampling: Millionths } | undefined;
  readonly accessLog: readonly AccessLog[];
}

export interface AccessLog {
  readonly path: string;
  readonly format:
    | { readonly type: 'text'; readonly format: string }
    | { readonly type: 'json'; readonly fields: ReadonlyMap<string, string> }
    | undefined;
}
