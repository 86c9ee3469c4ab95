/**
 * The TCP page: /metrics and readiness, GET only, nothing of the admin API.
 *
 * A web page that a user of this machine has open can make the browser ask here under a name that it lets point to
 * 127.0.0.1 (DNS rebinding); a Host that is a name other than localhost is refused.  Prometheus and the kubelet ask by
 * address.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import type { ListenAddress } from '../config/agent-options.ts';
import { PodwireError } from '../errors.ts';
import type { Log } from '../log.ts';
import { hostPort } from '../model/host-port.ts';
import { closeHttpServer, createHttpServer, textReply, type Reply } from './http-server.ts';

export interface ReadinessView {
  readonly ready: boolean;
  readonly blockers: readonly string[];
}

export interface MetricsServerOptions {
  readonly listen: ListenAddress;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly readiness: () => ReadinessView;
  readonly log: Log;
}

export interface MetricsServer {
  /** "HOST:PORT" with the port that was bound */
  readonly address: string;
  close(): Promise<void>;
}

export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const { listen, metrics, readiness } = options;
  const log = options.log.child({ component: 'metrics' });
  const server = createHttpServer({
    log,
    guard: refuseNames,
    routes: [
      {
        method: 'GET',
        path: '/metrics',
        handle: async () => {
          const { contentType, text } = await metrics();
          return { status: 200, contentType, body: text };
        },
      },
      { method: 'GET', path: '/healthz/ready', handle: () => readinessReply(readiness()) },
      { method: 'GET', path: '/healthz/live', handle: () => textReply(200, 'ok') },
    ],
  });
  server.listen({ host: listen.host, port: listen.port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new PodwireError(
      'ERR_BAD_OPTION',
      `--metrics ${hostPort(listen.host, listen.port)} cannot be listened on`,
      { cause, hint: 'give a free address of this node: --metrics IP:PORT, or turn it off' },
    );
  }
  server.on('error', (err) => log.error({ err }, 'the metrics page failed'));
  const { address, port } = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    address: hostPort(address, port),
    close: () => (closed ??= closeHttpServer(server)),
  };
}

function readinessReply({ ready, blockers }: ReadinessView): Reply {
  return ready ? textReply(200, 'ready') : textReply(503, `not ready: ${blockers.join(', ')}`);
}

function refuseNames(request: IncomingMessage): Reply | undefined {
  const host = hostname(request.headers.host ?? '');
  if (host === 'localhost' || isIP(host) !== 0) return undefined;
  return textReply(403, 'the Host header must be an address or localhost');
}

/** "[::1]:15020" → "::1"; '' for what is neither a name nor an address with or without a port */
function hostname(host: string): string {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::[0-9]{1,5})?$/.exec(host);
  return (match?.[1] ?? match?.[2] ?? '').toLowerCase();
}
