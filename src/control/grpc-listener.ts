/**
 * Control's gRPC port: xDS and CA, TLS by its own CA, or in the clear for this machine.
 */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ControlListen } from '../config/control-options.ts';
import { PodwireError } from '../errors.ts';
import { openPrivateFolder } from '../private-file.ts';

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
  readonly #options: GrpcListenerOptions;
  #bound = '';

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
    const { listen, credentials = ServerCredentials.createInsecure() } = this.#options;
    if (listen.kind === 'unix') {
      // Whoever may open the folder may use the socket.
      await openPrivateFolder(dirname(listen.path));
      rmSync(listen.path, { force: true });
    }
    const target = listen.kind === 'unix' ? `unix:${listen.path}` : format(listen.address);
    try {
      const port = await new Promise<number>((resolve, reject) => {
        this.server.bindAsync(target, credentials, (error, bound) =>
          error ? reject(error) : resolve(bound),
        );
      });
      this.#bound = listen.kind === 'unix' ? target : format({ ...listen.address, port });
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
    this.server.drain(this.#bound, graceMs);
    this.server.unbind(this.#bound);
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.server.forceShutdown(), SHUTDOWN_MS);
    await new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()));
    clearTimeout(timer);
    const { listen } = this.#options;
    if (listen.kind === 'unix') rmSync(listen.path, { force: true });
  }
}

function format({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
