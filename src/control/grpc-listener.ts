/**
 * Control's gRPC port: xDS and CA, TLS by its own CA, or in the clear for this machine.
 */
import { rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { dirname } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ListenAddress } from '../config/agent-options.ts';
import type { ControlListen } from '../config/control-options.ts';
import { PodwireError } from '../errors.ts';
import { hostPort } from '../model/host-port.ts';
import { openPrivateFolder } from '../private-file.ts';
import { ConnectionGate } from './connection-gate.ts';

export interface GrpcListenerOptions {
  readonly listen: ControlListen;
  /** undefined: in the clear */
  readonly credentials: ServerCredentials | undefined;
  readonly requestBytes: number;
  readonly connectionAgeMs: number;
}

const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** An agent needs one for xDS and a few for certificates. */
const STREAMS_PER_CONNECTION = 64;
const AGE_GRACE_MS = 60_000;
const SHUTDOWN_MS = 1000;

export class GrpcListener {
  readonly server: Server;
  /** of TCP connections; those of a unix socket are the administrator's own */
  readonly gate = new ConnectionGate();
  readonly #options: GrpcListenerOptions;
  #bound = '';
  #tcp:
    | {
        readonly server: TcpServer;
        /** settles when the last connection has ended */
        readonly ended: Promise<void>;
        readonly drain: (graceMs: number) => void;
      }
    | undefined;

  constructor(options: GrpcListenerOptions) {
    this.#options = options;
    this.server = new Server({
      'grpc.max_receive_message_length': options.requestBytes,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      // Streams end before, so that nothing is cut; grpc-js spreads it by a tenth either way.
      'grpc.max_connection_age_ms': options.connectionAgeMs,
      'grpc.max_connection_age_grace_ms': AGE_GRACE_MS,
    });
  }

  /** "HOST:PORT" with the port that was bound, or "unix:PATH"; "" before `start` */
  get address(): string {
    return this.#bound;
  }

  /** Throws PodwireError ERR_BAD_OPTION. */
  async start(): Promise<void> {
    const { listen } = this.#options;
    if (listen.kind === 'unix') {
      // Whoever may open the folder may use the socket.
      await openPrivateFolder(dirname(listen.path));
      rmSync(listen.path, { force: true });
    }
    const target =
      listen.kind === 'unix'
        ? `unix:${listen.path}`
        : hostPort(listen.address.host, listen.address.port);
    try {
      this.#bound =
        listen.kind === 'unix' ? await this.#bindUnix(target) : await this.#bindTcp(listen.address);
    } catch (cause) {
      throw new PodwireError('ERR_BAD_OPTION', `--listen ${target} cannot be listened on`, {
        cause,
        hint: 'give a free address of this machine: --listen IP:PORT or unix:PATH',
      });
    }
  }

  /** No new connections; those there are get a GOAWAY, and their streams go on for `graceMs`. */
  stopListening(graceMs: number): void {
    if (this.#bound === '') return;
    if (this.#tcp !== undefined) {
      this.#tcp.server.close();
      this.#tcp.drain(graceMs);
      return;
    }
    this.server.drain(this.#bound, graceMs);
    this.server.unbind(this.#bound);
  }

  async close(): Promise<void> {
    this.#tcp?.server.close();
    this.gate.close();
    const timer = setTimeout(() => this.server.forceShutdown(), SHUTDOWN_MS);
    await new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()));
    // gRPC does not wait for connections it was handed, and what was written last would be lost.
    await this.#tcp?.ended;
    clearTimeout(timer);
    const { listen } = this.#options;
    if (listen.kind === 'unix') rmSync(listen.path, { force: true });
  }

  async #bindUnix(target: string): Promise<string> {
    const { credentials = ServerCredentials.createInsecure() } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.server.bindAsync(target, credentials, (error) => (error ? reject(error) : resolve()));
    });
    return target;
  }

  /** The sockets are accepted here, because gRPC's own listener knows no limit. */
  async #bindTcp({ host, port }: ListenAddress): Promise<string> {
    const { credentials = ServerCredentials.createInsecure() } = this.#options;
    const injector = this.server.createConnectionInjector(credentials);
    const server = createServer({ noDelay: true }, (socket) => {
      // Without a listener a connection that is reset before gRPC has it would end the process.
      socket.on('error', () => {});
      if (this.gate.enter(socket)) injector.injectConnection(socket);
    });
    await new Promise<void>((resolve, reject) => {
      // It stays: an error of accept is one connection's, and must not end the process.
      server.on('error', reject);
      server.listen(port, host, resolve);
    });
    const ended = new Promise<void>((resolve) => void server.once('close', () => resolve()));
    this.#tcp = { server, ended, drain: (graceMs) => injector.drain(graceMs) };
    return hostPort(host, (server.address() as AddressInfo).port);
  }
}
