/**
 * envoy.config.cluster.v3.Cluster ↔ Cluster, with Envoy's defaults filled in.
 */
import type { Cluster, UpstreamTls } from '../../model/cluster.ts';
import { DNS_REFRESH_MS, IDLE_TIMEOUT_MS } from '../../model/envoy-defaults.ts';
import type {
  EnvoyCodecs,
  WireCluster,
  WireClusterInput,
  WireMetadata,
  WireMetadataInput,
  WireTransportSocket,
  WireTransportSocketInput,
  WireUpstreamHttp,
} from '../codec-envoy.ts';
import type { Codec } from '../codec.ts';
import { balancerFromWire, balancerToWire } from './balancer.ts';
import {
  healthCheckFromWire,
  healthCheckToWire,
  limitsFromWire,
  limitsToWire,
  outliersFromWire,
  outliersToWire,
} from './cluster-health.ts';
import type { Decoded } from './decoded.ts';
import { loadAssignmentFromWire, loadAssignmentToWire } from './load-assignment.ts';
import { decodeResource, holds, pack, unpack, type Reading } from './reading.ts';
import { durationFromWire, durationToWire, FROM_ADS, wrap } from './scalars.ts';
import { tlsFromWire, tlsToWire } from './tls.ts';

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const TLS_SOCKET = 'envoy.transport_sockets.tls';
const RAW_SOCKET = 'envoy.transport_sockets.raw_buffer';
const PROXY_PROTOCOL_SOCKET = 'envoy.transport_sockets.upstream_proxy_protocol';
/** istiod's key in a cluster's metadata: { services: [{ host, name, namespace }] } */
const METADATA = 'istio';
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DNS_FAMILIES = { auto: 'AUTO', v4: 'V4_ONLY', v6: 'V6_ONLY', all: 'ALL' } as const;

export function encodeCluster({ envoy }: Codec, cluster: Cluster): Uint8Array {
  const { outliers } = cluster;
  return envoy.cluster.encode({
    name: cluster.name,
    ...discoveryToWire(cluster),
    ...balancerToWire(envoy, cluster.balancer),
    connect_timeout: durationToWire(cluster.connectTimeoutMs),
    typed_extension_protocol_options: { [HTTP_OPTIONS]: httpToWire(envoy, cluster) },
    upstream_connection_options: keepaliveToWire(cluster),
    circuit_breakers: limitsToWire(cluster.limits),
    outlier_detection: outliers ? outliersToWire(outliers) : null,
    health_checks: cluster.healthChecks.map(healthCheckToWire),
    transport_socket: socketToWire(envoy, cluster),
    metadata: cluster.service ? serviceToWire(cluster.service) : null,
  });
}

export function decodeCluster({ envoy }: Codec, bytes: Uint8Array): Decoded<Cluster> {
  return decodeResource(envoy, envoy.cluster, bytes, (wire, reading): Cluster => {
    if (wire.name === '') reading.error('name', 'is missing');
    const options = unpack(wire.typed_extension_protocol_options[HTTP_OPTIONS], envoy.httpOptions);
    for (const key of Object.keys(wire.typed_extension_protocol_options)) {
      if (key !== HTTP_OPTIONS) reading.warn(`typed_extension_protocol_options["${key}"]`);
    }
    const common = options?.common_http_protocol_options;
    const socket = socketFromWire(wire.transport_socket, options, reading);
    return {
      name: wire.name,
      discovery: discoveryFromWire(wire, reading),
      connectTimeoutMs: durationFromWire(wire.connect_timeout) ?? DEFAULT_CONNECT_TIMEOUT_MS,
      balancer: balancerFromWire(wire, '', reading),
      protocol: protocolFromWire(options, reading),
      maxRequestsPerConnection: common?.max_requests_per_connection?.value || undefined,
      idleTimeoutMs: durationFromWire(common?.idle_timeout ?? null) ?? IDLE_TIMEOUT_MS,
      maxConnectionMs: durationFromWire(common?.max_connection_duration ?? null),
      tcpKeepalive: keepaliveFromWire(wire),
      limits: limitsFromWire(wire.circuit_breakers, 'circuit_breakers', reading),
      outliers: outliersFromWire(wire.outlier_detection, 'outlier_detection', reading),
      healthChecks: wire.health_checks.flatMap((check, index) =>
        healthCheckFromWire(check, `health_checks[${index}]`, reading),
      ),
      ...socket,
      service: serviceFromWire(wire.metadata),
    };
  });
}

function discoveryToWire({ discovery }: Cluster): WireClusterInput {
  switch (discovery.type) {
    case 'eds':
      return {
        type: 'EDS',
        eds_cluster_config: { eds_config: FROM_ADS, service_name: discovery.service },
      };
    case 'static':
      return { type: 'STATIC', load_assignment: loadAssignmentToWire(discovery.endpoints) };
    case 'strict-dns':
    case 'logical-dns':
      return {
        type: discovery.type === 'strict-dns' ? 'STRICT_DNS' : 'LOGICAL_DNS',
        load_assignment: loadAssignmentToWire(discovery.endpoints),
        dns_refresh_rate: durationToWire(discovery.refreshMs),
        dns_lookup_family: DNS_FAMILIES[discovery.family],
      };
    case 'original-destination':
      return { type: 'ORIGINAL_DST' };
  }
}

function discoveryFromWire(wire: WireCluster, reading: Reading): Cluster['discovery'] {
  const endpoints = () => {
    const { load_assignment } = wire;
    if (load_assignment) return loadAssignmentFromWire(load_assignment, 'load_assignment', reading);
    return { name: wire.name, localities: [], overprovisioning: 140 };
  };
  // Without a type it is STATIC, the enum's 0.
  switch (wire.cluster_discovery_type === undefined ? 'STATIC' : wire.type) {
    case 'EDS':
      return { type: 'eds', service: wire.eds_cluster_config?.service_name || wire.name };
    case 'STATIC':
      return { type: 'static', endpoints: endpoints() };
    case 'STRICT_DNS':
    case 'LOGICAL_DNS': {
      const type = wire.type === 'STRICT_DNS' ? 'strict-dns' : 'logical-dns';
      const family = Object.entries(DNS_FAMILIES).find(
        ([, kind]) => kind === wire.dns_lookup_family,
      );
      if (!family) reading.warn('dns_lookup_family');
      return {
        type,
        endpoints: endpoints(),
        refreshMs: durationFromWire(wire.dns_refresh_rate) ?? DNS_REFRESH_MS,
        family: (family?.[0] ?? 'auto') as keyof typeof DNS_FAMILIES,
      };
    }
    case 'ORIGINAL_DST':
      return { type: 'original-destination' };
    default:
      reading.error('type', `${String(wire.type)} is not known`);
      return { type: 'original-destination' };
  }
}

function httpToWire(codec: EnvoyCodecs, cluster: Cluster) {
  const { protocol, tls } = cluster;
  const http2 = { http2_protocol_options: {} };
  const http1 = { http_protocol_options: {} };
  return pack(codec.httpOptions, {
    common_http_protocol_options: {
      idle_timeout: durationToWire(cluster.idleTimeoutMs),
      max_connection_duration: durationToWire(cluster.maxConnectionMs),
      max_requests_per_connection: wrap(cluster.maxRequestsPerConnection),
    },
    upstream_http_protocol_options: tls?.autoSni
      ? {
          auto_sni: true,
          auto_san_validation: tls.validation?.subjectAltNames.length === 0,
        }
      : null,
    ...(protocol === 'as-downstream'
      ? { use_downstream_protocol_config: { ...http1, ...http2 } }
      : { explicit_http_config: protocol === 'http2' ? http2 : http1 }),
  });
}

function protocolFromWire(
  options: WireUpstreamHttp | undefined,
  { warn }: Reading,
): Cluster['protocol'] {
  if (options?.use_downstream_protocol_config) return 'as-downstream';
  const explicit = options?.explicit_http_config;
  if (options && !explicit) warn(`typed_extension_protocol_options["${HTTP_OPTIONS}"]`);
  return explicit?.http2_protocol_options ? 'http2' : 'http1';
}

function socketToWire(
  codec: EnvoyCodecs,
  { tls, proxyProtocol }: Cluster,
): WireTransportSocketInput | null {
  const inner = tls && {
    name: TLS_SOCKET,
    typed_config: pack(codec.upstreamTls, { common_tls_context: tlsToWire(tls), sni: tls.sni }),
  };
  if (proxyProtocol === undefined) return inner ?? null;
  return {
    name: PROXY_PROTOCOL_SOCKET,
    typed_config: pack(codec.proxyProtocol, {
      config: { version: proxyProtocol === 1 ? 'V1' : 'V2' },
      transport_socket: inner ?? {
        name: RAW_SOCKET,
        typed_config: pack(codec.rawBuffer, {}),
      },
    }),
  };
}

function socketFromWire(
  wire: WireTransportSocket | null | undefined,
  options: WireUpstreamHttp | undefined,
  reading: Reading,
): Pick<Cluster, 'tls' | 'proxyProtocol'> {
  const { codec } = reading;
  const any = wire?.typed_config;
  const proxied = unpack(any, codec.proxyProtocol);
  if (proxied) {
    const { tls } = socketFromWire(proxied.transport_socket, options, reading);
    return { tls, proxyProtocol: proxied.config?.version === 'V2' ? 2 : 1 };
  }
  if (!any || holds(any, codec.rawBuffer)) return { tls: undefined, proxyProtocol: undefined };
  const context = unpack(any, codec.upstreamTls);
  if (!context) reading.error('transport_socket', `${any.type_url} is not supported`);
  const tls: UpstreamTls = {
    ...tlsFromWire(context?.common_tls_context ?? null, 'transport_socket.typed_config', reading),
    sni: context?.sni ?? '',
    autoSni: options?.upstream_http_protocol_options?.auto_sni === true,
  };
  return { tls, proxyProtocol: undefined };
}

function keepaliveToWire({ tcpKeepalive }: Cluster) {
  if (tcpKeepalive === undefined) return null;
  return {
    tcp_keepalive: {
      keepalive_probes: wrap(tcpKeepalive.probes),
      keepalive_time: wrap(tcpKeepalive.timeS),
      keepalive_interval: wrap(tcpKeepalive.intervalS),
    },
  };
}

function keepaliveFromWire(wire: WireCluster): Cluster['tcpKeepalive'] {
  const keepalive = wire.upstream_connection_options?.tcp_keepalive;
  if (!keepalive) return undefined;
  return {
    probes: keepalive.keepalive_probes?.value,
    timeS: keepalive.keepalive_time?.value,
    intervalS: keepalive.keepalive_interval?.value,
  };
}

function serviceToWire(service: NonNullable<Cluster['service']>): WireMetadataInput {
  const { host, name, namespace } = service;
  const fields = Object.fromEntries(
    Object.entries({ host, name, namespace }).map(([key, text]) => [key, { stringValue: text }]),
  );
  const services = { listValue: { values: [{ structValue: { fields } }] } };
  return { filter_metadata: { [METADATA]: { fields: { services } } } };
}

function serviceFromWire(metadata: WireMetadata | null): Cluster['service'] {
  const list = metadata?.filter_metadata[METADATA]?.fields['services']?.listValue;
  const fields = list?.values[0]?.structValue?.fields;
  if (!fields) return undefined;
  const text = (key: string) => fields[key]?.stringValue ?? '';
  return { namespace: text('namespace'), name: text('name'), host: text('host') };
}
