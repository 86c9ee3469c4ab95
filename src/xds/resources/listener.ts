/**
 * envoy.config.listener.v3.Listener ↔ Listener.
 *
 * podwire's listeners bind nothing: addresses are what a client wants to reach.  Which way they look is Envoy's traffic
 * direction, where "unspecified" stands for a gateway.
 */
import { IDLE_TIMEOUT_MS } from '../../model/envoy-defaults.ts';
import { parseIp, type Ip } from '../../model/ip.ts';
import type {
  ConnectionHandler,
  DownstreamTls,
  FilterChain,
  FilterChainMatch,
  Listener,
  TcpProxy,
} from '../../model/listener.ts';
import type {
  EnvoyCodecs,
  WireEnvoyAddress,
  WireEnvoyAddressInput,
  WireFilter,
  WireFilterChain,
  WireFilterChainInput,
  WireFilterChainMatch,
  WireFilterChainMatchInput,
  WireListener,
  WireTcpProxy,
  WireTcpProxyInput,
} from '../codec-envoy.ts';
import type { Codec } from '../codec.ts';
import { managerFromWire, managerToWire } from './connection-manager.ts';
import { MAX_PORT, type Decoded } from './decoded.ts';
import { isHarmlessFilter } from './protection.ts';
import { decodeResource, holds, pack, unpack, type Reading } from './reading.ts';
import { plainChoice } from './route-action.ts';
import { cidrFromWire, cidrToWire, durationFromWire, durationToWire, wrap } from './scalars.ts';
import { tlsFromWire, tlsToWire } from './tls.ts';

const ANY_ADDRESS = '0.0.0.0';
const ANY_ADDRESSES: readonly string[] = [ANY_ADDRESS, '::'];
const TLS_SOCKET = 'envoy.transport_sockets.tls';
const DIRECTIONS = { outbound: 'OUTBOUND', inbound: 'INBOUND', gateway: 'UNSPECIFIED' } as const;

export function encodeListener({ envoy }: Codec, listener: Listener): Uint8Array {
  const [first = ANY_ADDRESS, ...more] = listener.addresses;
  const { defaultChain, inspectTls, inspectHttp } = listener;
  const inspectors = [
    inspectTls && {
      name: 'envoy.filters.listener.tls_inspector',
      typed_config: pack(envoy.tlsInspector, {}),
    },
    inspectHttp && {
      name: 'envoy.filters.listener.http_inspector',
      typed_config: pack(envoy.httpInspector, {}),
    },
  ];
  return envoy.listener.encode({
    name: listener.name,
    traffic_direction: DIRECTIONS[listener.direction],
    address: addressToWire(first, listener.port),
    additional_addresses: more.map((ip) => ({ address: addressToWire(ip, listener.port) })),
    bind_to_port: { value: false },
    listener_filters: inspectors.filter((filter) => filter !== false),
    filter_chains: listener.chains.map((chain) => chainToWire(envoy, chain)),
    default_filter_chain: defaultChain ? chainToWire(envoy, defaultChain) : null,
  });
}

export function decodeListener({ envoy }: Codec, bytes: Uint8Array): Decoded<Listener> {
  return decodeResource(envoy, envoy.listener, bytes, (wire, reading): Listener => {
    if (wire.name === '') reading.error('name', 'is missing');
    const direction = (Object.keys(DIRECTIONS) as Listener['direction'][]).find(
      (name) => DIRECTIONS[name] === wire.traffic_direction,
    );
    if (!direction) reading.error('traffic_direction', 'is not known');
    const filters = wire.listener_filters;
    filters.forEach(({ typed_config, name }, index) => {
      const isKnown =
        holds(typed_config, envoy.tlsInspector) || holds(typed_config, envoy.httpInspector);
      const type = typed_config?.type_url ?? name;
      if (isKnown) return;
      if (isHarmlessFilter(type)) reading.warn(`listener_filters[${index}] (${type})`);
      else reading.error(`listener_filters[${index}]`, `${type} is not supported`);
    });
    return {
      name: wire.name,
      direction: direction ?? 'inbound',
      ...addressesFromWire(wire, reading),
      chains: wire.filter_chains.map((chain, index) =>
        chainFromWire(chain, `filter_chains[${index}]`, reading),
      ),
      defaultChain: wire.default_filter_chain
        ? chainFromWire(wire.default_filter_chain, 'default_filter_chain', reading)
        : undefined,
      inspectTls: filters.some(({ typed_config }) => holds(typed_config, envoy.tlsInspector)),
      inspectHttp: filters.some(({ typed_config }) => holds(typed_config, envoy.httpInspector)),
    };
  });
}

function addressToWire(address: string, port: number): WireEnvoyAddressInput {
  return { socket_address: { address, port_value: port } };
}

function addressesFromWire(wire: WireListener, { error }: Reading) {
  const all: [string, WireEnvoyAddress | null][] = [
    ['address', wire.address],
    ...wire.additional_addresses.map(({ address }, index): [string, WireEnvoyAddress | null] => [
      `additional_addresses[${index}].address`,
      address,
    ]),
  ];
  let port: number | undefined;
  const addresses: Ip[] = [];
  for (const [path, address] of all) {
    const socket = address?.socket_address;
    const ip = parseIp(socket?.address ?? '');
    const found = socket?.port_value;
    if (!socket || ip === undefined || socket.protocol !== 'TCP') {
      error(`${path}.socket_address`, 'is no address of TCP');
    } else if (found === undefined || found < 1 || found > MAX_PORT) {
      error(`${path}.socket_address.port_value`, `${found ?? 'nothing'} is no port`);
    } else if (port !== undefined && found !== port) {
      error(`${path}.socket_address.port_value`, `${found} is not ${port}, the first one's`);
    } else {
      port = found;
      addresses.push(ip);
    }
  }
  const isAny = addresses.some((ip) => ANY_ADDRESSES.includes(ip));
  return { addresses: isAny ? [] : addresses, port: port ?? 0 };
}

function chainToWire(codec: EnvoyCodecs, chain: FilterChain): WireFilterChainInput {
  const { name, match, tls, handler } = chain;
  const filter =
    handler.type === 'tcp'
      ? {
          name: 'envoy.filters.network.tcp_proxy',
          typed_config: pack(codec.tcpProxy, tcpToWire(handler)),
        }
      : {
          name: 'envoy.filters.network.http_connection_manager',
          typed_config: pack(codec.connectionManager, managerToWire(codec, handler)),
        };
  return {
    name,
    filter_chain_match: matchToWire(match),
    transport_socket: tls
      ? {
          name: TLS_SOCKET,
          typed_config: pack(codec.downstreamTls, {
            common_tls_context: tlsToWire(tls),
            require_client_certificate: { value: tls.requireClientCertificate },
          }),
        }
      : null,
    filters: [filter],
  };
}

function chainFromWire(wire: WireFilterChain, path: string, reading: Reading): FilterChain {
  const tls = tlsSocketFromWire(wire, `${path}.transport_socket`, reading);
  return {
    name: wire.name,
    match: matchFromWire(wire.filter_chain_match, `${path}.filter_chain_match`, reading),
    tls,
    handler: handlerFromWire(wire.filters, `${path}.filters`, reading),
  };
}

function tlsSocketFromWire(
  { transport_socket }: WireFilterChain,
  path: string,
  reading: Reading,
): DownstreamTls | undefined {
  const any = transport_socket?.typed_config;
  if (!any || holds(any, reading.codec.rawBuffer)) return undefined;
  const context = unpack(any, reading.codec.downstreamTls);
  if (!context) reading.error(path, `${any.type_url} is not supported`);
  return {
    ...tlsFromWire(context?.common_tls_context ?? null, `${path}.typed_config`, reading),
    requireClientCertificate: context?.require_client_certificate?.value === true,
  };
}

/** The last filter handles the connection; one before it that is not known may be what keeps callers out. */
function handlerFromWire(
  filters: readonly WireFilter[],
  path: string,
  reading: Reading,
): ConnectionHandler {
  const { codec, error, warn } = reading;
  filters.slice(0, -1).forEach(({ typed_config, name }, index) => {
    const type = typed_config?.type_url ?? name;
    if (isHarmlessFilter(type)) warn(`${path}[${index}] (${type})`);
    else error(`${path}[${index}]`, `${type} is not supported`);
  });
  const any = filters.at(-1)?.typed_config;
  const at = `${path}[${filters.length - 1}].typed_config`;
  const manager = unpack(any, codec.connectionManager);
  if (manager) return { type: 'http', ...managerFromWire(manager, at, reading) };
  const tcp = unpack(any, codec.tcpProxy);
  if (!tcp) error(path, `${any?.type_url ?? 'nothing'} is no handler that is known`);
  return { type: 'tcp', ...tcpFromWire(tcp, at, reading) };
}

function tcpToWire({ clusters, idleTimeoutMs, hash }: TcpProxy): WireTcpProxyInput {
  const [only] = clusters;
  return {
    stat_prefix: only?.cluster ?? 'tcp',
    ...(only && clusters.length === 1 && only.weight === 1
      ? { cluster: only.cluster }
      : {
          weighted_clusters: {
            clusters: clusters.map(({ cluster, weight }) => ({ name: cluster, weight })),
          },
        }),
    idle_timeout: durationToWire(idleTimeoutMs),
    hash_policy: hash.some(({ source }) => source.type === 'source-ip') ? [{ source_ip: {} }] : [],
  };
}

function tcpFromWire(wire: WireTcpProxy | undefined, path: string, reading: Reading): TcpProxy {
  const weighted = wire?.weighted_clusters?.clusters ?? [];
  const clusters = wire?.cluster
    ? [plainChoice(wire.cluster, 1)]
    : weighted.map(({ name, weight }) => plainChoice(name, weight));
  if (wire && clusters.length === 0) reading.error(`${path}.cluster_specifier`, 'names no cluster');
  const hashes = wire?.hash_policy ?? [];
  return {
    clusters,
    idleTimeoutMs: durationFromWire(wire?.idle_timeout ?? null) ?? IDLE_TIMEOUT_MS,
    hash: hashes.some(({ source_ip }) => source_ip)
      ? [{ source: { type: 'source-ip' }, terminal: false }]
      : [],
  };
}

function matchToWire(match: FilterChainMatch): WireFilterChainMatchInput {
  return {
    destination_port: wrap(match.destinationPort),
    prefix_ranges: match.destinations.map(cidrToWire),
    server_names: [...match.serverNames],
    transport_protocol: match.transport ?? '',
    application_protocols: [...match.applicationProtocols],
    source_prefix_ranges: match.sources.map(cidrToWire),
  };
}

function matchFromWire(
  wire: WireFilterChainMatch | null,
  path: string,
  reading: Reading,
): FilterChainMatch {
  const transport = wire?.transport_protocol ?? '';
  if (!['', 'tls', 'raw_buffer'].includes(transport)) {
    reading.error(`${path}.transport_protocol`, `"${transport}" is not supported`);
  }
  return {
    destinationPort: wire?.destination_port?.value,
    destinations: (wire?.prefix_ranges ?? []).flatMap((range, index) =>
      cidrFromWire(range, `${path}.prefix_ranges[${index}]`, reading),
    ),
    serverNames: wire?.server_names ?? [],
    transport: transport === '' ? undefined : (transport as 'tls' | 'raw_buffer'),
    applicationProtocols: wire?.application_protocols ?? [],
    sources: (wire?.source_prefix_ranges ?? []).flatMap((range, index) =>
      cidrFromWire(range, `${path}.source_prefix_ranges[${index}]`, reading),
    ),
  };
}
