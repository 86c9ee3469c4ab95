/**
 * An xDS server that does exactly what a test says, right or wrong: grpc-js with the streams handed to the test.
 */
import { once } from 'node:events';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type status,
} from '@grpc/grpc-js';
import {
  createCodec,
  type DeltaRequest,
  type DeltaResponseInput,
  type SotwRequest,
  type SotwResponseInput,
} from '../../src/xds/codec.ts';

type Request = DeltaRequest & SotwRequest;
type Response = DeltaResponseInput & SotwResponseInput;

export interface ScriptedStream {
  readonly variant: 'delta' | 'sotw';
  readonly metadata: Metadata;
  readonly requests: readonly Request[];
  send(response: Response): void;
  /** an error code ends it as a failure, none as a success */
  end(code?: status, details?: string): void;
  /** the next request that fits, also one that has come already and was not taken */
  request(fits?: (request: Request) => boolean, timeoutMs?: number): Promise<Request>;
}

export interface ScriptedServerOptions {
  readonly port?: number;
  /** what it does with each stream */
  readonly onStream?: (stream: ScriptedStream) => void;
  readonly delta?: boolean;
  /** sent before the first response */
  readonly headers?: Readonly<Record<string, string>>;
}

const codec = createCodec();

export class ScriptedServer {
  readonly streams: ScriptedStream[] = [];
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server, port: number, streams: ScriptedStream[]) {
    this.#server = server;
    this.port = port;
    this.streams = streams;
  }

  static async start(options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
    const server = new Server({ 'grpc.max_receive_message_length': -1 });
    const streams: ScriptedStream[] = [];
    const handler =
      (variant: 'delta' | 'sotw') =>
      (call: ServerDuplexStream<Request, Response>): void => {
        const stream = new CallStream(variant, call);
        if (options.headers !== undefined) {
          const metadata = new Metadata();
          for (const [key, value] of Object.entries(options.headers)) metadata.set(key, value);
          call.sendMetadata(metadata);
        }
        streams.push(stream);
        options.onStream?.(stream);
      };
    server.addService(codec.discovery, {
      StreamAggregatedResources: handler('sotw'),
      ...(options.delta === false ? {} : { DeltaAggregatedResources: handler('delta') }),
    });
    const address = `127.0.0.1:${options.port ?? 0}`;
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return new ScriptedServer(server, port, streams);
  }

  /** Connections are cut, as a crash would. */
  stop(): void {
    this.#server.forceShutdown();
  }
}

class CallStream implements ScriptedStream {
  readonly requests: Request[] = [];
  readonly metadata: Metadata;
  readonly variant: 'delta' | 'sotw';
  readonly #call: ServerDuplexStream<Request, Response>;
  #taken = new Set<Request>();

  constructor(variant: 'delta' | 'sotw', call: ServerDuplexStream<Request, Response>) {
    this.variant = variant;
    this.#call = call;
    this.metadata = call.metadata;
    call.on('data', (request: Request) => {
      this.requests.push(request);
      call.emit('scripted');
    });
    call.on('error', () => {});
    call.on('end', () => call.end());
  }

  send(response: Response): void {
    this.#call.write(response);
  }

  end(code?: status, details = 'told to'): void {
    if (code === undefined) this.#call.end();
    else this.#call.emit('error', { code, details });
  }

  async request(
    fits: (request: Request) => boolean = () => true,
    timeoutMs = 5000,
  ): Promise<Request> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const found = this.requests.find((one) => !this.#taken.has(one) && fits(one));
      if (found !== undefined) {
        this.#taken.add(found);
        return found;
      }
      await once(this.#call, 'scripted', { signal });
    }
  }
}
