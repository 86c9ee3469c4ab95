/**
 * The listener of a class of workloads at one port, and the cluster behind it: the address that was dialled.
 *
 * Where nothing says what is spoken, HTTP is sniffed for, and a connection without it is closed: nobody behind the listener
 * could hold it against the policies.
 */
import type { Cluster } from '../../../../model/cluster.ts';
import { IDLE_TIMEOUT_MS } from '../../../../model/envoy-defaults.ts';
import type { HttpFilter } from '../../../../model/http-filter.ts';
import type { Listener } from '../../../../model/listener.ts';
import { NO_HEADER_EDITS } from '../../../../model/matcher.ts';
import type { MeshConfig } from '../../../mesh-config.ts';
import {
  chain,
  httpHandler,
  listener,
  pathSettings,
  routeConfiguration,
  SNIFFED_HTTP,
} from '../http-listener.ts';
import type { PortProtocol } from '../port-protocol.ts';
import { ANY_REQUEST, forwardAction, plainRoute, virtualHost } from '../route-defaults.ts';
import type { TelemetrySettings } from './telemetry.ts';

export interface InboundListenerParts {
  readonly port: number;
  /** "<namespace>/<hash>" */
  readonly className: string;
  readonly protocol: PortProtocol;
  /** without the router */
  readonly filters: readonly HttpFilter[];
  readonly telemetry: TelemetrySettings;
  readonly mesh: MeshConfig;
}

export function inboundListener(parts: InboundListenerParts): Listener {
  const { port, className, protocol, filters, telemetry, mesh } = parts;
  const name = `inbound|${port}|${className}`;
  const action = forwardAction(
    [
      {
        cluster: inboundClusterName(port),
        weight: 1,
        requestHeaders: NO_HEADER_EDITS,
        responseHeaders: NO_HEADER_EDITS,
        hostRewrite: undefined,
      },
    ],
    { retry: undefined },
  );
  const routes = [
    virtualHost(`inbound|http|${port}`, ['*'], [plainRoute('default', ANY_REQUEST, action)]),
  ];
  const handler = httpHandler(name, {
    ...pathSettings(mesh),
    ...telemetry,
    routes: { type: 'inline', config: routeConfiguration(name, routes) },
    filters: [...filters, { type: 'router' }],
    statPrefix: `inbound_${port}`,
    acceptHttp10: true,
    // Who the caller is comes from the connection, whatever it says of itself.
    clientCertificate: 'sanitize-set',
  });
  return protocol === 'auto'
    ? listener(
        name,
        'inbound',
        port,
        [],
        [chain('http', handler, { applicationProtocols: SNIFFED_HTTP })],
      )
    : listener(name, 'inbound', port, [], [], chain('http', handler));
}

export function inboundClusterName(port: number): string {
  return `inbound|${port}||`;
}

export function inboundCluster(port: number): Cluster {
  return {
    name: inboundClusterName(port),
    discovery: { type: 'original-destination' },
    connectTimeoutMs: 10_000,
    balancer: {
      policy: { type: 'passthrough' },
      slowStartMs: undefined,
      panicThreshold: 0,
      localityWeighted: false,
    },
    protocol: 'as-downstream',
    maxRequestsPerConnection: undefined,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    maxConnectionMs: undefined,
    tcpKeepalive: undefined,
    limits: {
      maxConnections: undefined,
      maxPendingRequests: undefined,
      maxRequests: undefined,
      maxRetries: undefined,
      retryBudget: undefined,
    },
    outliers: undefined,
    healthChecks: [],
    tls: undefined,
    proxyProtocol: undefined,
    service: undefined,
  };
}
