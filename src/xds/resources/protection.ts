/**
 * What must not be lost: where a field that podwire does not know makes a resource another, weaker one.
 *
 * An unknown field in one of these messages, or below it, refuses the resource; elsewhere it is a warning.
 */
import type { WireAny } from '../codec-envoy.ts';
import type { UnknownField } from '../unknown-fields.ts';
import type { Reading } from './reading.ts';

/** Conditions and credentials: without one of their fields they let more through, or to somebody else. */
const MESSAGES: readonly RegExp[] = [
  /^istio\.security\./,
  /^envoy\.config\.rbac\.v3\./,
  /^envoy\.type\.matcher\.v3\./,
  /^envoy\.extensions\.filters\.http\.(rbac|jwt_authn|ext_authz)\.v3\./,
  /^envoy\.extensions\.transport_sockets\.tls\.v3\./,
  /^envoy\.config\.route\.v3\.(RouteMatch|HeaderMatcher|QueryParameterMatcher)$/,
  /^envoy\.config\.listener\.v3\.FilterChainMatch$/,
];

/** Fields of other messages that restrict who gets where, by Envoy's numbers. */
const FIELDS: Readonly<Record<string, readonly number[]>> = {
  // transport_socket_matches: TLS for some endpoints
  'envoy.config.cluster.v3.Cluster': [43],
  // filter_chain_matcher
  'envoy.config.listener.v3.Listener': [32],
  // config_discovery: the filter is elsewhere
  'envoy.config.listener.v3.Filter': [5],
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter': [5],
  // require_tls, matcher
  'envoy.config.route.v3.VirtualHost': [4, 21],
  // typed_per_filter_config
  'envoy.config.route.v3.RouteConfiguration': [16],
  'envoy.config.route.v3.WeightedCluster.ClusterWeight': [10],
};

export function protects({ messages, number }: UnknownField): boolean {
  return (
    messages.some((name) => MESSAGES.some((pattern) => pattern.test(name))) ||
    FIELDS[messages.at(-1) ?? '']?.includes(number) === true
  );
}

/**
 * Filters that podwire does without: they only measure, compress or talk to other proxies.  Every other filter that it
 * does not know may be what keeps a request out.
 */
const HARMLESS: readonly RegExp[] = [
  /^stats\.PluginConfig$/,
  /^io\.istio\.http\.peer_metadata\.Config$/,
  /^istio\.envoy\.config\.filter\.http\.alpn\./,
  /^envoy\.tcp\.metadataexchange\./,
  /^envoy\.extensions\.filters\.(http|network)\.(set_filter_state|connection_limit)\.v3\./,
  /^envoy\.extensions\.filters\.http\.(grpc_web|compressor|decompressor|bandwidth_limit|on_demand|buffer|upstream_codec)\.v3\./,
  /^envoy\.extensions\.filters\.listener\.(original_dst|original_src|proxy_protocol)\.v3\./,
];

export function isHarmlessFilter(typeUrl: string): boolean {
  const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  return HARMLESS.some((pattern) => pattern.test(name));
}

/** A filter of a type that podwire does not know. */
export function refuseOrWarn(
  any: WireAny | null | undefined,
  isOptional: boolean,
  path: string,
  { error, warn }: Reading,
): void {
  const type = any?.type_url ?? 'no type';
  if (isOptional || isHarmlessFilter(type)) warn(`${path} (${type})`);
  else error(path, `${type} is not supported`);
}
