/** The client of HBONE: a TCP connection's way to a pod on another node, as a CONNECT request on a pooled mTLS connection. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorCode, StreamError } from '../http2/error.ts';
import { type FieldList, fieldValue } from '../http2/fields.ts';
import type { Http2Stream } from '../http2/stream.ts';
import type { TlsCredentials } from '../model/tls-credentials.ts';
import type { EarlyLink } from '../proxy/early-link.ts';
import type { TlsPeer, Transport } from '../proxy/transport.ts';
import { TlsError } from '../proxy/transport.ts';
import type { Baggage } from './headers.ts';
import { Pool, type PooledConnection, type PoolKey } from './pool.ts';
import { asTunnel, baggageOf, CONNECT_TIMEOUT_MS, TunnelFailed, TunnelRefused } from './tunnel.ts';

export interface TunnelRequest extends PoolKey {
  /** where the connection is to end: what the application dialled when the destination is a waypoint */
  readonly authority: string;
  /** telemetry: see headers.ts */
  readonly baggage?: string;
  readonly forwarded?: string;
  readonly traceparent?: string;
}

export interface OutboundTunnel {
  readonly request: TunnelRequest;
  /** to be joined with the application's link */
  readonly link: Http2Stream;
  /** who answers, proven */
  readonly peer: TlsPeer;
  /** what the destination says of itself */
  readonly baggage?: Baggage;
}

/** How long another node's agent may be away, as when it drains and is started anew, before its peers' connections fail. */
const RESTART_MS = CONNECT_TIMEOUT_MS;
const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 250;
/** A request that the peer has certainly not looked at may be made again. */
const MAX_ATTEMPTS = 3;
/** Bytes go with a request only to who was there a moment ago: lost with a connection, they could not be sent again. */
const LIVELY_MS = 1000;

export class HboneClient {
  readonly #pool: Pool;
  readonly #timeoutMs: number;
  readonly #live = new Set<OutboundTunnel>();

  constructor(options: {
    transport: Transport;
    /** a socket in the source's pod */
    socket: (key: PoolKey) => number;
    /** asked at each connect, so that a rotation drops nothing; undefined: there are none yet */
    credentials: (identity: string) => TlsCredentials | undefined;
    connectTimeoutMs?: number;
    restartMs?: number;
    idleMs?: number;
  }) {
    const { transport, socket, credentials, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    const { restartMs = RESTART_MS } = options;
    this.#timeoutMs = connectTimeoutMs;
    this.#pool = new Pool({
      ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }),
      connect: (key) =>
        patiently(restartMs, () => {
          const own = credentials(key.identity);
          if (!own) throw new TlsError('no-credentials', key.identity);
          return transport.connectTls(socket(key), key.destination, {
            credentials: own,
            acceptedIds: key.acceptedIds,
            handshakeTimeoutMs: connectTimeoutMs,
          });
        }),
    });
  }

  /** mTLS connections that can take new tunnels. */
  get connections(): number {
    return this.#pool.size;
  }

  /** mTLS connections ever begun. */
  get connects(): number {
    return this.#pool.connects;
  }

  get tunnels(): number {
    return this.#live.size;
  }

  /**
   * Resolves when the other end has accepted; then join `link`. The first bytes of `early` may go with the request, for RFC 9113
   * (8.5) lets a client send DATA before the answer: the peer is proven, and an application hears of them only when policy
   * allows it.
   *
   * @throws TunnelRefused for another status than 200, TlsError, TunnelFailed, or an Error with an errno's `code`
   */
  async connect(request: TunnelRequest, early?: EarlyLink): Promise<OutboundTunnel> {
    for (let attempt = 1; ; attempt++) {
      const connection = await this.#pool.take(request);
      const { session, answeredAt } = connection;
      const isFresh = session.streamCount === 0 && !session.hasOpened;
      const mayCarry = isFresh || Date.now() - answeredAt < LIVELY_MS || early?.isCarried === true;
      try {
        return await this.#open(connection, request, mayCarry ? early : undefined);
      } catch (error) {
        const isFirstUse = isFresh || early?.hasSent === true;
        if (attempt === MAX_ATTEMPTS || !mayRepeat(error, isFirstUse)) throw error;
      }
    }
  }

  #open(
    connection: PooledConnection,
    request: TunnelRequest,
    early: EarlyLink | undefined,
  ): Promise<OutboundTunnel> {
    return new Promise((resolve, reject) => {
      let tunnel: OutboundTunnel | undefined;
      const timer = setTimeout(() => {
        reject(new TunnelFailed('no answer in time'));
        stream.close(true);
      }, this.#timeoutMs * 2);
      const answered = (fields: FieldList, link: Http2Stream): void => {
        const status = Number(fieldValue(fields, ':status'));
        if (status < 200) return;
        clearTimeout(timer);
        connection.answeredAt = Date.now();
        if (status !== 200) {
          reject(new TunnelRefused(status));
          link.close(true);
          return;
        }
        const baggage = baggageOf(fields);
        tunnel = { request, link, peer: connection.peer, ...(baggage && { baggage }) };
        this.#live.add(tunnel);
        resolve(tunnel);
      };
      const stream: Http2Stream = connection.open(fieldsOf(request), {
        fields: (fields) => tunnel || answered(fields, stream),
        closed: (error) => {
          clearTimeout(timer);
          if (tunnel) this.#live.delete(tunnel);
          else reject(error ?? new TunnelFailed('closed before an answer'));
        },
      });
      asTunnel(stream);
      early?.carry(stream);
    });
  }

  /** Ends live tunnels with a reset; returns how many. */
  closeWhere(condition: (tunnel: OutboundTunnel) => boolean): number {
    const named = [...this.#live].filter(condition);
    for (const { link } of named) link.abort(new TunnelFailed('no longer allowed'));
    return named.length;
  }

  /** Ends mTLS connections with all their tunnels, for example of a revoked certificate. */
  closeConnectionsWhere(condition: (connection: PooledConnection) => boolean): number {
    return this.#pool.closeWhere(condition);
  }

  /** No new tunnels; connections end with the last of theirs. */
  shutdown(): void {
    this.#pool.shutdown();
  }

  /** Ends everything now. */
  close(): void {
    this.#pool.shutdown();
    this.#pool.closeWhere(() => true);
  }
}

/** Again while nobody is there, or whoever was there went during the handshake. */
async function patiently<T>(forMs: number, connect: () => Promise<T>): Promise<T> {
  const end = Date.now() + forMs;
  for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(LAST_RETRY_MS, 2 * delayMs)) {
    try {
      return await connect();
    } catch (error) {
      if (!isAbsence(error) || Date.now() + delayMs > end) throw error;
    }
    await sleep(delayMs);
  }
}

function isAbsence(error: unknown): boolean {
  if (error instanceof TlsError) return error.reason === 'closed';
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' || code === 'ECONNRESET';
}

function fieldsOf(request: TunnelRequest): FieldList {
  const fields = [':method', 'CONNECT', ':authority', request.authority];
  if (request.baggage) fields.push('baggage', request.baggage);
  if (request.forwarded) fields.push('forwarded', request.forwarded);
  if (request.traceparent) fields.push('traceparent', request.traceparent);
  return fields;
}

/** The peer refused the stream unseen, or a connection that had been idle was dead already and nothing but the request is lost. */
function mayRepeat(error: unknown, isFirstUse: boolean): boolean {
  if (error instanceof TunnelRefused || error instanceof TunnelFailed) return false;
  if (error instanceof StreamError)
    return error.byPeer && (error.code === ErrorCode.REFUSED_STREAM || error.unseen);
  return !isFirstUse;
}
