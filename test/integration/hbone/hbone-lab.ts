/** An HBONE server with an application behind it, and clients, all on loopback. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { HboneClient, type TunnelRequest } from '../../../src/hbone/client.ts';
import {
  HboneServer,
  type HboneServerEvents,
  type InboundRequest,
  type RefusalReason,
} from '../../../src/hbone/server.ts';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import { EarlyLink } from '../../../src/proxy/early-link.ts';
import { join } from '../../../src/proxy/pipe.ts';
import type { TlsRefusal, Transport } from '../../../src/proxy/transport.ts';
import { freshSocket, listeningSocket } from '../../support/sockets.ts';
import { SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { id, TRUST_DOMAIN, until } from '../transport/transport-lab.ts';

export interface Identities {
  readonly authority: SpiffeAuthority;
  readonly client: TlsCredentials;
  readonly server: TlsCredentials;
}

export async function identities(): Promise<Identities> {
  const authority = await SpiffeAuthority.create();
  return {
    authority,
    client: await authority.issue(id('client')),
    server: await authority.issue(id('server')),
  };
}

export async function application(
  t: TestContext,
  onConnection: (socket: Socket) => void,
): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1', 4096);
  await until(() => server.listening, 'application');
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

export interface ServerLab {
  readonly port: number;
  readonly server: HboneServer;
  readonly requests: InboundRequest[];
  readonly refusals: [RefusalReason, Partial<InboundRequest>][];
  readonly tlsRefusals: TlsRefusal[];
}

export function hboneServer(
  t: TestContext,
  transport: Transport,
  credentials: () => TlsCredentials | undefined,
  events: Partial<HboneServerEvents> = {},
  options: { isForbidden?: () => boolean; connectTimeoutMs?: number } = {},
): ServerLab {
  const requests: InboundRequest[] = [];
  const refusals: [RefusalReason, Partial<InboundRequest>][] = [];
  const tlsRefusals: TlsRefusal[] = [];
  const server = new HboneServer({
    transport,
    isForbidden: options.isForbidden ?? (() => false),
    ...(options.connectTimeoutMs === undefined
      ? {}
      : { connectTimeoutMs: options.connectTimeoutMs }),
    events: {
      allows: () => true,
      socket: () => freshSocket(),
      ...events,
      opened: (tunnel) => {
        requests.push(tunnel.request);
        events.opened?.(tunnel);
      },
      refused: (reason, request) => refusals.push([reason, request]),
    },
  });
  const { fd, port } = listeningSocket();
  const listener = transport.listenTls(
    fd,
    { credentials, trustDomains: [TRUST_DOMAIN], handshakeTimeoutMs: 10_000 },
    (accepted) => server.accept(accepted),
    (reason) => tlsRefusals.push(reason),
  );
  t.after(() => {
    listener.close();
    server.close();
  });
  return { port, server, requests, refusals, tlsRefusals };
}

export function hboneClient(
  t: TestContext,
  transport: Transport,
  credentials: (identity: string) => TlsCredentials | undefined,
  options: { connectTimeoutMs?: number; idleMs?: number } = {},
): HboneClient {
  const client = new HboneClient({
    transport,
    credentials,
    socket: () => freshSocket(),
    ...options,
  });
  t.after(() => client.close());
  return client;
}

/** A request to the application on `appPort` behind the server on `port`. */
export function request(
  port: number,
  appPort: number,
  more: Partial<TunnelRequest> = {},
): TunnelRequest {
  return {
    identity: id('client'),
    acceptedIds: [id('server')],
    destination: { address: '127.0.0.1', port },
    pod: 'pod-a',
    address: '127.0.0.1',
    authority: `127.0.0.1:${appPort}`,
    ...more,
  };
}

/** Where applications connect; every connection goes through the same tunnel request. */
export function front(
  t: TestContext,
  transport: Transport,
  client: HboneClient,
  asked: TunnelRequest,
): { dial: () => Socket; errors: unknown[] } {
  const errors: unknown[] = [];
  const { fd, port } = listeningSocket();
  const listener = transport.listen(fd, ({ link }) => {
    const early = new EarlyLink(link);
    client.connect(asked, early).then(
      (tunnel) => join(early, tunnel.link, () => undefined),
      (error: unknown) => {
        errors.push(error);
        early.close(true);
      },
    );
  });
  const sockets: Socket[] = [];
  t.after(() => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  });
  const dial = (): Socket => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  };
  return { dial, errors };
}

/** What comes back of `bytes` and their end, sent as soon as the socket takes them. */
export async function echoed(socket: Socket, bytes: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.end(bytes);
  await until(() => socket.readableEnded || socket.destroyed, 'the echo', 30_000);
  return Buffer.concat(chunks);
}
