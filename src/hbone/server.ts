/** The server of HBONE: CONNECT requests of proven peers become connections to the application of this pod. */
import { ErrorCode } from '../http2/error.ts';
import { type FieldList, fieldValue } from '../http2/fields.ts';
import { Session } from '../http2/session.ts';
import type { Http2Stream } from '../http2/stream.ts';
import { type Ip, parseIp } from '../model/ip.ts';
import { join } from '../proxy/pipe.ts';
import type { AcceptedSecureLink, Endpoint, Link, TlsPeer, Transport } from '../proxy/transport.ts';
import { isNeverTunnelled, MESH_PORTS, parseAuthority } from './authority.ts';
import { type Baggage, forwardedHost, parseTraceparent } from './headers.ts';
import { asTunnel, baggageOf, CONNECT_TIMEOUT_MS, TunnelFailed } from './tunnel.ts';

/** A request whose form is right; who and whence are proven, the rest is hearsay. */
export interface InboundRequest {
  /** the mTLS client's */
  readonly peer: TlsPeer;
  /** of the connection that carries the tunnel: the source pod's address */
  readonly remote: Endpoint;
  /** of this pod, as the connection came in */
  readonly local: Endpoint;
  /** where the application listens */
  readonly target: Endpoint;
  readonly authority: string;
  /** telemetry only */
  readonly baggage?: Baggage;
  readonly service?: string;
  readonly traceparent?: string;
}

/** Why a request was not served, with the status it got. */
export const REFUSALS = {
  /** another method than CONNECT */
  method: 400,
  /** the authority cannot be read */
  authority: 400,
  /** an address that is not this pod's, or that is never tunnelled */
  address: 400,
  /** a port of the mesh itself */
  port: 503,
  /** a host name that means nothing here */
  host: 503,
  policy: 401,
  /** the application did not accept */
  connect: 503,
} as const satisfies { readonly [reason: string]: number };
export type RefusalReason = keyof typeof REFUSALS;

export interface InboundTunnel {
  readonly request: InboundRequest;
  readonly link: Http2Stream;
  readonly upstream: Link;
}

export interface HboneServerEvents {
  /** Policy: false is a 401. Asked before the application is. */
  allows(request: InboundRequest): boolean;
  /** a socket in the pod that speaks for the client; refusals to make one are a 503 */
  socket(request: InboundRequest): number;
  /** the Service's endpoint on this pod for a host authority; undefined: 503 */
  resolve?(host: string, port: number, local: Endpoint): Endpoint | undefined;
  /** what the answer says of this workload */
  baggage?(request: InboundRequest): string | undefined;
  opened?(tunnel: InboundTunnel): void;
  /** both directions are over; `error` when not in order */
  closed?(tunnel: InboundTunnel, error?: Error): void;
  refused?(reason: RefusalReason, request: Partial<InboundRequest>, error?: unknown): void;
}

interface Connection {
  readonly session: Session;
  readonly accepted: AcceptedSecureLink;
}

export class HboneServer {
  readonly #transport: Transport;
  readonly #events: HboneServerEvents;
  readonly #timeoutMs: number;
  readonly #isForbidden: (address: Ip) => boolean;
  readonly #connections = new Set<Connection>();
  readonly #live = new Set<InboundTunnel>();
  #draining = false;

  constructor(options: {
    transport: Transport;
    events: HboneServerEvents;
    connectTimeoutMs?: number;
    /** addresses where no tunnel may end; a test has loopback only */
    isForbidden?: (address: Ip) => boolean;
  }) {
    this.#transport = options.transport;
    this.#events = options.events;
    this.#timeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#isForbidden = options.isForbidden ?? isNeverTunnelled;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get tunnels(): number {
    return this.#live.size;
  }

  /** Serves a connection of a proven peer (Transport.listenTls). */
  accept(accepted: AcceptedSecureLink): void {
    const session: Session = new Session({
      link: accepted.link,
      role: 'server',
      events: {
        request: (stream, fields) => this.#request(connection, stream, fields),
        close: () => this.#connections.delete(connection),
      },
    });
    const connection: Connection = { session, accepted };
    this.#connections.add(connection);
    if (this.#draining) session.shutdown();
  }

  #request(connection: Connection, stream: Http2Stream, fields: FieldList): void {
    const { local, remote, link } = connection.accepted;
    const baggage = baggageOf(fields);
    const forwarded = fieldValue(fields, 'forwarded');
    const service = forwarded === undefined ? undefined : forwardedHost(forwarded);
    const traceparent = parseTraceparent(fieldValue(fields, 'traceparent') ?? '');
    const authority = fieldValue(fields, ':authority') ?? '';
    const known = {
      ...{ peer: link.peer, remote, local, authority },
      ...(baggage && { baggage }),
      ...(service && { service }),
      ...(traceparent && { traceparent }),
    };
    if (fieldValue(fields, ':method') !== 'CONNECT') return this.#refuse(stream, 'method', known);
    const target = this.#target(authority, local);
    if (typeof target === 'string') return this.#refuse(stream, target, known);
    const request: InboundRequest = { ...known, target };
    if (!this.#events.allows(request)) return this.#refuse(stream, 'policy', request);
    void this.#connect(stream, request);
  }

  #target(text: string, local: Endpoint): Endpoint | RefusalReason {
    const authority = parseAuthority(text);
    if (!authority) return 'authority';
    const own = parseIp(local.address);
    let target: Endpoint | undefined;
    if (authority.kind === 'host') {
      target = this.#events.resolve?.(authority.host, authority.port, local);
      if (!target) return 'host';
    } else {
      target = { address: authority.address, port: authority.port };
    }
    const address = parseIp(target.address);
    if (!address || address !== own || this.#isForbidden(address)) return 'address';
    return MESH_PORTS.has(target.port) ? 'port' : target;
  }

  #refuse(
    stream: Http2Stream,
    reason: RefusalReason,
    request: Partial<InboundRequest>,
    error?: unknown,
  ): void {
    stream.sendFields([':status', String(REFUSALS[reason])], true);
    /* Bytes that the client has sent already are for nobody. */
    stream.resetCode = ErrorCode.NO_ERROR;
    stream.close(true);
    this.#events.refused?.(reason, request, error);
  }

  async #connect(stream: Http2Stream, request: InboundRequest): Promise<void> {
    let upstream: Link;
    try {
      const fd = this.#events.socket(request);
      upstream = await this.#transport.connect(fd, request.target, this.#timeoutMs);
    } catch (error) {
      this.#refuse(stream, 'connect', request, error);
      return;
    }
    if (stream.closed) {
      upstream.close(true);
      return;
    }
    /* The policy may have changed while the application was asked. */
    if (!this.#events.allows(request)) {
      upstream.close(true);
      this.#refuse(stream, 'policy', request);
      return;
    }
    const baggage = this.#events.baggage?.(request);
    stream.sendFields([':status', '200', ...(baggage ? ['baggage', baggage] : [])]);
    asTunnel(stream);
    const tunnel: InboundTunnel = { request, link: stream, upstream };
    this.#live.add(tunnel);
    this.#events.opened?.(tunnel);
    join(stream, upstream, (error) => {
      this.#live.delete(tunnel);
      this.#events.closed?.(tunnel, error);
    });
  }

  /** Ends live tunnels with resets on both sides; returns how many. */
  closeWhere(condition: (tunnel: InboundTunnel) => boolean): number {
    const named = [...this.#live].filter(condition);
    for (const { link, upstream } of named) {
      link.abort(new TunnelFailed('no longer allowed'));
      upstream.close(true);
    }
    return named.length;
  }

  /** Ends connections with all their tunnels, for example of a revoked certificate. */
  closeConnectionsWhere(condition: (accepted: AcceptedSecureLink) => boolean): number {
    const named = [...this.#connections].filter(({ accepted }) => condition(accepted));
    for (const { session } of named) session.close();
    return named.length;
  }

  /** GOAWAY to all; what is open goes on until close(). */
  shutdown(): void {
    this.#draining = true;
    for (const { session } of this.#connections) session.shutdown();
  }

  /** Ends everything now. */
  close(): void {
    this.#draining = true;
    this.closeConnectionsWhere(() => true);
  }
}
