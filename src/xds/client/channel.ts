/**
 * One ADS stream over a channel of its own.
 *
 * Every attempt makes a new channel and reads root certificates and token anew, as ztunnel does: rotation needs no
 * watcher, names are resolved again, and the pauses between attempts are ours alone (a channel that lives on has its own
 * backoff, which starts at a second).  The price is a TLS handshake per reconnect.
 */
import { readFileSync } from 'node:fs';
import {
  Client,
  connectivityState,
  credentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ServiceDefinition,
  type StatusObject,
} from '@grpc/grpc-js';
import { clientTls, type ClientCredential } from './client-tls.ts';
import type { DiscoveryProtocol } from './protocol.ts';
import type { StreamEnd } from './stream-end.ts';

export interface XdsServer {
  /** as given: what logs, status and metrics call it */
  readonly name: string;
  /** gRPC target: "host:port", "unix:/path" */
  readonly target: string;
  readonly plaintext: boolean;
}

export interface ChannelOptions {
  readonly discovery: ServiceDefinition;
  /** PEM file of the server's roots; undefined: those of the system */
  readonly rootFile: string | undefined;
  /** file with the bearer token; undefined: none is sent */
  readonly tokenFile: string | undefined;
  /** the client's certificate, towards servers with TLS; undefined: it has none */
  readonly credential?: ClientCredential | undefined;
  /** name in the server's certificate, when it is not the host */
  readonly serverName: string | undefined;
  readonly clusterId: string;
  readonly maxMessageBytes: number;
  /** quiet time before the server is asked whether it is there, and how long it may take to say so */
  readonly keepalive?: { readonly quietMs: number; readonly answerMs: number };
}

export interface StreamEvents {
  /** connected: TLS is done, the call is on its way */
  up(): void;
  headers(metadata: Metadata): void;
  message(message: unknown): void;
  bytes(count: number): void;
  /** exactly once, and nothing after it */
  ended(end: StreamEnd): void;
}

export interface AdsStream {
  send(request: object): void;
  pause(): void;
  resume(): void;
  /** no event comes after it */
  close(): void;
}

const CONNECT_MS = 5_000;
const KEEPALIVE = { quietMs: 30_000, answerMs: 10_000 };

/** Throws when a file cannot be read. */
export function openStream(
  server: XdsServer,
  protocol: DiscoveryProtocol,
  options: ChannelOptions,
  events: StreamEvents,
): AdsStream {
  return new GrpcStream(server, protocol, options, events);
}

class GrpcStream implements AdsStream {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<object, unknown>;
  readonly #events: StreamEvents;
  readonly #connectTimer: NodeJS.Timeout;
  readonly #credential: ClientCredential | undefined;
  #closed = false;

  constructor(
    server: XdsServer,
    protocol: DiscoveryProtocol,
    options: ChannelOptions,
    events: StreamEvents,
  ) {
    this.#events = events;
    this.#credential = server.plaintext ? undefined : options.credential;
    const metadata = headersOf(options);
    const { quietMs, answerMs } = options.keepalive ?? KEEPALIVE;
    this.#client = new Client(server.target, credentialsOf(server, options), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': options.maxMessageBytes,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': quietMs,
      'grpc.keepalive_timeout_ms': answerMs,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      ...(options.serverName === undefined
        ? {}
        : {
            'grpc.ssl_target_name_override': options.serverName,
            'grpc.default_authority': options.serverName,
          }),
    });
    const { path, requestSerialize, responseDeserialize } = options.discovery[protocol.method]!;
    this.#call = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      (bytes: Buffer): unknown => {
        events.bytes(bytes.length);
        return responseDeserialize(bytes);
      },
      metadata,
    );
    this.#connectTimer = setTimeout(() => {
      this.#finish({
        code: status.DEADLINE_EXCEEDED,
        details: `no connection within ${CONNECT_MS} ms`,
      });
    }, CONNECT_MS);
    this.#watch();
    this.#call.on('metadata', (received: Metadata) => {
      if (!this.#closed) events.headers(received);
    });
    this.#call.on('data', (message: unknown) => {
      if (this.#closed) return;
      this.#credential?.answered(true);
      events.message(message);
    });
    // 'status' says the same; without a listener an 'error' would be thrown
    this.#call.on('error', () => {});
    this.#call.on('status', ({ code, details }: StatusObject) => this.#finish({ code, details }));
  }

  send(request: object): void {
    if (!this.#closed) this.#call.write(request);
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    if (!this.#closed) this.#call.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#connectTimer);
    this.#call.cancel();
    this.#client.close();
  }

  #finish(end: StreamEnd): void {
    if (this.#closed) return;
    this.close();
    if (end.code === status.UNAUTHENTICATED) this.#credential?.answered(false);
    this.#events.ended(end);
  }

  #watch(): void {
    const channel = this.#client.getChannel();
    const look = (): void => {
      if (this.#closed) return; // closing the channel wakes the watch
      const state = channel.getConnectivityState(false);
      if (state === connectivityState.READY) {
        clearTimeout(this.#connectTimer);
        this.#events.up();
        return;
      }
      // the wall clock has no part in it: the connect timer ends this
      channel.watchConnectivityState(state, Infinity, look);
    };
    look();
  }
}

function credentialsOf(
  { plaintext }: XdsServer,
  { rootFile, credential }: ChannelOptions,
): ChannelCredentials {
  if (plaintext) return credentials.createInsecure();
  return clientTls(rootFile, credential?.current(), credential?.roots());
}

function headersOf({ tokenFile, clusterId }: ChannelOptions): Metadata {
  const metadata = new Metadata();
  metadata.set('clusterid', clusterId);
  if (tokenFile !== undefined) {
    const token = readFileSync(tokenFile, 'utf8').trim();
    if (token === '') throw new Error(`${tokenFile} is empty`);
    metadata.set('authorization', `Bearer ${token}`);
  }
  return metadata;
}
