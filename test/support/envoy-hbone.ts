/** Envoy as one end of HBONE: TCP in and CONNECT over mTLS out, or the other way round. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TlsCredentials } from '../../src/model/tls-credentials.ts';

const TYPE = 'type.googleapis.com/envoy.';
const UNLIMITED = 4_294_967_295;
const START_MS = 20_000;
const LOOPBACK = '127.0.0.1';
/** those of ztunnel and of ours, so that a comparison is of the programs */
const HTTP2 = {
  initial_stream_window_size: 4 << 20,
  initial_connection_window_size: 16 << 20,
};

type Json = { readonly [key: string]: unknown };

interface Place {
  readonly host: string;
  readonly port: number;
}

export interface EnvoyEnd {
  /** where it listens; loopback when absent */
  readonly host?: string;
  readonly port: number;
  readonly credentials: TlsCredentials;
  /** SPIFFE id of the other end */
  readonly peer: string;
}

function address({ host = LOOPBACK, port }: Partial<Place>): Json {
  return { socket_address: { address: host, port_value: port } };
}

function typed(name: string, type: string, config: Json): Json {
  return { name, typed_config: { '@type': `${TYPE}${type}`, ...config } };
}

function tls(side: 'Downstream' | 'Upstream', { credentials, peer }: EnvoyEnd): Json {
  const inline = (text: string): Json => ({ inline_string: text });
  return typed(
    'envoy.transport_sockets.tls',
    `extensions.transport_sockets.tls.v3.${side}TlsContext`,
    {
      ...(side === 'Downstream' && { require_client_certificate: true }),
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_params: {
          tls_minimum_protocol_version: 'TLSv1_3',
          tls_maximum_protocol_version: 'TLSv1_3',
        },
        tls_certificates: [
          {
            certificate_chain: inline(credentials.certificateChain),
            private_key: inline(credentials.privateKey),
          },
        ],
        validation_context: {
          trusted_ca: inline(credentials.roots),
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peer } }],
        },
      },
    },
  );
}

function cluster(name: string, to: Place, more: Json = {}): Json {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '10s',
    circuit_breakers: {
      thresholds: [
        { max_connections: UNLIMITED, max_pending_requests: UNLIMITED, max_requests: UNLIMITED },
      ],
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(to) } }] }],
    },
    ...more,
  };
}

function bootstrap(name: string, end: EnvoyEnd, listener: Json, clusters: readonly Json[]): Json {
  return {
    node: { id: name, cluster: name },
    /* Applications may end connections with resets; by default 500 of them within a second each end the whole session. */
    layered_runtime: {
      layers: [
        {
          name: 'static',
          static_layer: { 'overload.premature_reset_total_stream_count': UNLIMITED },
        },
      ],
    },
    static_resources: {
      listeners: [{ name, address: address(end), ...listener }],
      clusters,
    },
  };
}

/** Every TCP connection to `port` becomes a CONNECT request to `server`. */
export function envoyHboneClient(
  end: EnvoyEnd & {
    readonly server: Place;
    /** undefined: connections are redirected here by iptables, and each asks for its original destination */
    readonly authority: string | undefined;
  },
): Json {
  const { authority, server } = end;
  const proxy = typed(
    'envoy.filters.network.tcp_proxy',
    'extensions.filters.network.tcp_proxy.v3.TcpProxy',
    {
      ...{ stat_prefix: 'to', cluster: 'to' },
      tunneling_config: { hostname: authority ?? '%DOWNSTREAM_LOCAL_ADDRESS%' },
    },
  );
  const to = cluster('to', server, {
    transport_socket: tls('Upstream', end),
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}extensions.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: HTTP2 },
      },
    },
  });
  const original = typed(
    'envoy.filters.listener.original_dst',
    'extensions.filters.listener.original_dst.v3.OriginalDst',
    {},
  );
  const listener = {
    filter_chains: [{ filters: [proxy] }],
    ...(authority === undefined && { listener_filters: [original] }),
  };
  return bootstrap('hbone-client', end, listener, [to]);
}

/** Where CONNECT requests for `authority` ("*": for all) go. */
export interface EnvoyApp extends Place {
  readonly authority: string;
}

/** CONNECT requests on `port` become TCP connections to `apps`. */
export function envoyHboneServer(
  end: EnvoyEnd & {
    readonly apps: readonly EnvoyApp[];
    /** of the connections to the applications */
    readonly sourceAddress?: string;
  },
): Json {
  const { apps, sourceAddress } = end;
  const from = sourceAddress !== undefined && {
    upstream_bind_config: { source_address: { address: sourceAddress, port_value: 0 } },
  };
  const upgrade = { upgrade_type: 'CONNECT' };
  const manager = typed(
    'envoy.filters.network.http_connection_manager',
    'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix: 'hbone',
      codec_type: 'HTTP2',
      http2_protocol_options: { ...HTTP2, allow_connect: true },
      upgrade_configs: [upgrade],
      route_config: {
        virtual_hosts: apps.map(({ authority }) => ({
          name: authority,
          domains: [authority],
          routes: [
            {
              match: { connect_matcher: {} },
              route: {
                cluster: authority,
                timeout: '0s',
                upgrade_configs: [{ ...upgrade, connect_config: {} }],
              },
            },
          ],
        })),
      },
      http_filters: [
        typed('envoy.filters.http.router', 'extensions.filters.http.router.v3.Router', {}),
      ],
    },
  );
  const chain = { transport_socket: tls('Downstream', end), filters: [manager] };
  const clusters = apps.map((app) => cluster(app.authority, app, from || {}));
  return bootstrap('hbone-server', end, { filter_chains: [chain] }, clusters);
}

export interface RunningEnvoy {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Resolves when the listener on `port` accepts. */
export async function startEnvoy(envoy: string, config: Json, port: number): Promise<RunningEnvoy> {
  const folder = await mkdtemp(join(tmpdir(), 'podwire-envoy-hbone-'));
  const file = join(folder, 'bootstrap.json');
  const log = join(folder, 'log');
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--use-dynamic-base-id'];
  const child = spawn(envoy, [...args, '-l', 'warning', '--log-path', log], { stdio: 'ignore' });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await listening(child, port);
  } catch (error) {
    const text = await readFile(log, 'utf8').catch(() => '');
    await stop();
    throw new Error(`Envoy: ${String(error)}\n${text.slice(-1500)}`);
  }
  return { pid: child.pid ?? 0, stop };
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(20)) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
  }
  throw new Error('not ready in time');
}
