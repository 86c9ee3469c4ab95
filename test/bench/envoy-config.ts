/**
 * The configuration of one sidecar: what istiod would send to Envoy 1.40 for a pod that talks to one backend with one
 * HTTP and several TCP ports, flattened into a bootstrap file.  Client and server get the same one, as in Istio.
 */
import type { Certificates as Files } from './certificates.ts';
import { HTTP_PORT, TCP_PORTS } from './shapes.ts';

export const OUTBOUND_PORT = 15001;
export const INBOUND_PORT = 15006;
const ADMIN_PORT = 15000;

type Certificates = Pick<Files, 'authority' | 'certificate' | 'key'>;

const TYPE = 'type.googleapis.com/envoy.';
const UNLIMITED = 4_294_967_295;
const BACKEND = 'backend.default.svc.cluster.local';

type Json = { readonly [key: string]: unknown };

export interface EnvoyConfigOptions {
  readonly serverAddress: string;
  /** undefined: plaintext between the sidecars */
  readonly certificates: Certificates | undefined;
}

export function envoyConfig({ serverAddress, certificates }: EnvoyConfigOptions): Json {
  const outbound = (port: number): Json => serviceCluster(serverAddress, port, certificates);
  return {
    node: { id: `sidecar~1~pod.default~default.svc.cluster.local`, cluster: 'pod.default' },
    admin: { address: address('127.0.0.1', ADMIN_PORT) },
    stats_config: { use_all_default_tags: false },
    static_resources: {
      listeners: [
        {
          name: 'virtualOutbound',
          address: address('0.0.0.0', OUTBOUND_PORT),
          use_original_dst: true,
          traffic_direction: 'OUTBOUND',
          filter_chains: [{ filters: [tcpProxy('PassthroughCluster')] }],
        },
        outboundListener('0.0.0.0', HTTP_PORT, outboundHttp(serverAddress)),
        ...TCP_PORTS.map((port) =>
          outboundListener(serverAddress, port, tcpProxy(outboundName(port))),
        ),
        inboundListener(certificates),
      ],
      clusters: [
        ...[HTTP_PORT, ...TCP_PORTS].flatMap((port) => [
          outbound(port),
          inboundCluster(inboundName(port)),
        ]),
        inboundCluster('InboundPassthroughCluster'),
        originalDestination('PassthroughCluster'),
      ],
    },
  };
}

function outboundName(port: number): string {
  return `outbound|${port}||${BACKEND}`;
}

function inboundName(port: number): string {
  return `inbound|${port}||`;
}

function address(host: string, port: number): Json {
  return { socket_address: { address: host, port_value: port } };
}

function typed(name: string, type: string, config: Json = {}): Json {
  return { name, typed_config: { '@type': `${TYPE}${type}`, ...config } };
}

/** Reached from virtualOutbound by the original destination, never bound itself. */
function outboundListener(host: string, port: number, filter: Json): Json {
  return {
    name: `${host}_${port}`,
    address: address(host, port),
    bind_to_port: false,
    traffic_direction: 'OUTBOUND',
    filter_chains: [{ filters: [filter] }],
  };
}

function inboundListener(certificates: Certificates | undefined): Json {
  const chain = (port: number, filter: Json): Json => ({
    name: `in${port}`,
    filter_chain_match: {
      destination_port: port,
      ...(certificates && { transport_protocol: 'tls' }),
    },
    ...(certificates && { transport_socket: inboundTls(certificates) }),
    filters: [filter],
  });
  return {
    name: 'virtualInbound',
    address: address('0.0.0.0', INBOUND_PORT),
    traffic_direction: 'INBOUND',
    listener_filters: [
      typed(
        'envoy.filters.listener.original_dst',
        'extensions.filters.listener.original_dst.v3.OriginalDst',
      ),
      typed(
        'envoy.filters.listener.tls_inspector',
        'extensions.filters.listener.tls_inspector.v3.TlsInspector',
      ),
    ],
    listener_filters_timeout: '0s',
    continue_on_listener_filters_timeout: true,
    filter_chains: [
      chain(HTTP_PORT, inboundHttp(certificates !== undefined)),
      ...TCP_PORTS.map((port) => chain(port, tcpProxy(inboundName(port)))),
      { name: 'passthrough', filters: [tcpProxy('InboundPassthroughCluster')] },
    ],
  };
}

function tcpProxy(cluster: string): Json {
  return typed(
    'envoy.filters.network.tcp_proxy',
    'extensions.filters.network.tcp_proxy.v3.TcpProxy',
    {
      stat_prefix: cluster,
      cluster,
    },
  );
}

function outboundHttp(serverAddress: string): Json {
  const route = {
    cluster: outboundName(HTTP_PORT),
    timeout: '0s',
    retry_policy: {
      retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
      num_retries: 2,
      host_selection_retry_max_attempts: '5',
      retriable_status_codes: [503],
    },
  };
  return httpManager('outbound_0.0.0.0_8080', { use_remote_address: true }, [
    {
      name: `${BACKEND}:${HTTP_PORT}`,
      domains: [BACKEND, 'backend', `backend:${HTTP_PORT}`, serverAddress],
      include_request_attempt_count: true,
      routes: [{ name: 'default', match: { prefix: '/' }, route }],
    },
    {
      name: 'allow_any',
      domains: ['*'],
      routes: [{ match: { prefix: '/' }, route: { cluster: 'PassthroughCluster', timeout: '0s' } }],
    },
  ]);
}

function inboundHttp(mtls: boolean): Json {
  const trusted = {
    use_remote_address: false,
    ...(mtls && {
      forward_client_cert_details: 'APPEND_FORWARD',
      set_current_client_cert_details: { subject: true, dns: true, uri: true },
    }),
  };
  const route = { cluster: inboundName(HTTP_PORT), timeout: '0s' };
  return httpManager('inbound_0.0.0.0_8080', trusted, [
    {
      name: `inbound|http|${HTTP_PORT}`,
      domains: ['*'],
      routes: [{ name: 'default', match: { prefix: '/' }, route }],
    },
  ]);
}

function httpManager(prefix: string, trust: Json, hosts: readonly Json[]): Json {
  return typed(
    'envoy.filters.network.http_connection_manager',
    'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix: prefix,
      server_name: 'istio-envoy',
      normalize_path: true,
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      stream_idle_timeout: '0s',
      request_id_extension: {
        typed_config: {
          '@type': `${TYPE}extensions.request_id.uuid.v3.UuidRequestIdConfig`,
          use_request_id_for_trace_sampling: true,
        },
      },
      ...trust,
      route_config: { name: prefix, validate_clusters: false, virtual_hosts: hosts },
      http_filters: [
        typed(
          'envoy.filters.http.grpc_stats',
          'extensions.filters.http.grpc_stats.v3.FilterConfig',
          {
            emit_filter_state: true,
            stats_for_all_methods: false,
          },
        ),
        typed('envoy.filters.http.fault', 'extensions.filters.http.fault.v3.HTTPFault'),
        typed('envoy.filters.http.cors', 'extensions.filters.http.cors.v3.Cors'),
        typed('envoy.filters.http.router', 'extensions.filters.http.router.v3.Router'),
      ],
    },
  );
}

function serviceCluster(host: string, port: number, certificates: Certificates | undefined): Json {
  const name = outboundName(port);
  return {
    name,
    type: 'STATIC',
    connect_timeout: '10s',
    lb_policy: 'LEAST_REQUEST',
    circuit_breakers: unlimited(),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(host, port) } }] }],
    },
    ...(certificates && { transport_socket: outboundTls(certificates, port) }),
  };
}

function originalDestination(name: string): Json {
  return {
    name,
    type: 'ORIGINAL_DST',
    connect_timeout: '10s',
    lb_policy: 'CLUSTER_PROVIDED',
    circuit_breakers: unlimited(),
  };
}

/** 127.0.0.6 is how the iptables rules tell a sidecar's own connections to its pod. */
function inboundCluster(name: string): Json {
  return {
    ...originalDestination(name),
    upstream_bind_config: { source_address: { address: '127.0.0.6', port_value: 0 } },
  };
}

function unlimited(): Json {
  return {
    thresholds: [
      {
        max_connections: UNLIMITED,
        max_pending_requests: UNLIMITED,
        max_requests: UNLIMITED,
        max_retries: UNLIMITED,
      },
    ],
  };
}

function inboundTls(certificates: Certificates): Json {
  return typed('tls', 'extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: tlsContext(certificates, ['istio-peer-exchange', 'h2', 'http/1.1']),
  });
}

function outboundTls(certificates: Certificates, port: number): Json {
  const http = port === HTTP_PORT;
  const protocols = http
    ? ['istio-http/1.1', 'istio', 'http/1.1']
    : ['istio-peer-exchange', 'istio'];
  return typed('tls', 'extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni: `outbound_.${port}_._.${BACKEND}`,
    common_tls_context: tlsContext(certificates, protocols),
  });
}

function tlsContext(certificates: Certificates, protocols: readonly string[]): Json {
  return {
    tls_params: {
      tls_minimum_protocol_version: 'TLSv1_2',
      tls_maximum_protocol_version: 'TLSv1_3',
    },
    alpn_protocols: protocols,
    tls_certificates: [
      {
        certificate_chain: { filename: certificates.certificate },
        private_key: { filename: certificates.key },
      },
    ],
    validation_context: {
      trusted_ca: { filename: certificates.authority },
      match_typed_subject_alt_names: [
        { san_type: 'URI', matcher: { prefix: 'spiffe://cluster.local/' } },
      ],
    },
  };
}
