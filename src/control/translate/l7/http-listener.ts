/**
 * Listeners and what their connection managers do by default, as Istio sets them up.
 */
import { IDLE_TIMEOUT_MS, MAX_REQUEST_HEADERS_KB } from '../../../model/envoy-defaults.ts';
import { NO_HEADER_EDITS } from '../../../model/matcher.ts';
import type { HttpFilter } from '../../../model/http-filter.ts';
import type { Ip } from '../../../model/ip.ts';
import type {
  ConnectionHandler,
  FilterChain,
  FilterChainMatch,
  HttpConnectionManager,
  Listener,
} from '../../../model/listener.ts';
import type { MeshConfig, PathNormalization } from '../../mesh-config.ts';
import type { RouteConfiguration, VirtualHost, WeightedCluster } from '../../../model/route.ts';

export const ANY_CONNECTION: FilterChainMatch = {
  destinationPort: undefined,
  destinations: [],
  serverNames: [],
  transport: undefined,
  applicationProtocols: [],
  sources: [],
};

/** what sniffing finds */
export const SNIFFED_HTTP: readonly string[] = ['http/1.0', 'http/1.1', 'h2c'];

/** cors and fault do nothing until a route sets them */
const OUTBOUND_FILTERS: readonly HttpFilter[] = [
  { type: 'cors' },
  { type: 'fault', fault: undefined },
  { type: 'grpc-stats' },
  { type: 'router' },
];

export function httpHandler(
  routes: string,
  changes: Partial<HttpConnectionManager> = {},
): ConnectionHandler {
  return {
    type: 'http',
    codec: 'auto',
    routes: { type: 'rds', name: routes },
    filters: OUTBOUND_FILTERS,
    statPrefix: routes,
    serverName: '',
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    streamIdleTimeoutMs: 0,
    requestTimeoutMs: undefined,
    maxRequestHeadersKb: MAX_REQUEST_HEADERS_KB,
    upgrades: ['websocket'],
    acceptHttp10: false,
    normalizePath: true,
    mergeSlashes: false,
    escapedSlashes: 'keep',
    useRemoteAddress: false,
    trustedHops: 0,
    clientCertificate: 'sanitize',
    tracing: undefined,
    accessLog: [],
    ...changes,
  };
}

/** How paths are made comparable before anything looks at them. */
export type PathSettings = Pick<
  HttpConnectionManager,
  'normalizePath' | 'mergeSlashes' | 'escapedSlashes'
>;

const BASE: PathSettings = { normalizePath: true, mergeSlashes: false, escapedSlashes: 'keep' };
const PATHS: Readonly<Record<PathNormalization, PathSettings>> = {
  NONE: { ...BASE, normalizePath: false },
  BASE,
  DEFAULT: BASE,
  MERGE_SLASHES: { ...BASE, mergeSlashes: true },
  DECODE_AND_MERGE_SLASHES: {
    ...BASE,
    mergeSlashes: true,
    escapedSlashes: 'unescape-forward',
  },
};

export function pathSettings({ pathNormalization }: MeshConfig): PathSettings {
  return PATHS[pathNormalization];
}

/** What a gateway asks of every request before it is routed. */
export interface GatewayGuard {
  readonly filters: readonly HttpFilter[];
  readonly paths: PathSettings;
  /**
   * Connections that are forwarded as bytes pass no filter of requests, and there is none of connections: where something
   * decides who may come in, they are not served.
   */
  readonly closesBytes: boolean;
}

export const OPEN_GUARD: GatewayGuard = { filters: [], paths: BASE, closesBytes: false };

export const BYTES_CLOSED = {
  message:
    'an AuthorizationPolicy for this gateway cannot be enforced on connections without HTTP; they are not served',
  fix: 'end TLS here and route HTTP, or let the policy select other pods',
} as const;

export function gatewayHandler(
  routes: string,
  { filters, paths }: GatewayGuard,
): ConnectionHandler {
  return httpHandler(routes, {
    ...paths,
    filters: [...filters, ...OUTBOUND_FILTERS],
    useRemoteAddress: true,
    // Who the caller is comes from the connection, whatever it says of itself.
    clientCertificate: 'sanitize-set',
  });
}

export function tcpHandler(
  clusters: readonly WeightedCluster[],
  idleTimeoutMs = IDLE_TIMEOUT_MS,
): ConnectionHandler {
  return { type: 'tcp', clusters, idleTimeoutMs, hash: [] };
}

export function chain(
  name: string,
  handler: ConnectionHandler,
  match: Partial<FilterChainMatch> = {},
  tls?: FilterChain['tls'],
): FilterChain {
  return { name, match: { ...ANY_CONNECTION, ...match }, tls, handler };
}

export function listener(
  name: string,
  direction: Listener['direction'],
  port: number,
  addresses: readonly Ip[],
  chains: readonly FilterChain[],
  defaultChain?: FilterChain,
): Listener {
  const all = defaultChain === undefined ? chains : [...chains, defaultChain];
  return {
    name,
    direction,
    addresses,
    port,
    chains,
    defaultChain,
    inspectTls: all.some(({ match, tls }) => match.serverNames.length > 0 || tls !== undefined),
    inspectHttp: all.some(({ match }) => match.applicationProtocols.includes('http/1.1')),
  };
}

export function routeConfiguration(
  name: string,
  virtualHosts: readonly VirtualHost[],
): RouteConfiguration {
  return {
    name,
    virtualHosts,
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    ignorePortInHost: true,
  };
}
