/**
 * The xDS server under test on loopback, and a foreign client: raw streams that answer when they are told to.
 */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ChannelCredentials,
  type ClientDuplexStream,
  type StatusObject,
} from '@grpc/grpc-js';
import { createLog } from '../../src/log.ts';
import type { DeltaRequestInput, DeltaResponse, SotwResponse } from '../../src/xds/codec.ts';
import { RESOURCE_TYPES, type ResourceKey } from '../../src/xds/resource-types.ts';
import { NotAdmittedError } from '../../src/xds/server/admission.ts';
import { NO_LIMITS } from '../../src/xds/server/scope.ts';
import { XdsServer, type XdsServerOptions } from '../../src/xds/server/server.ts';
import type { StreamEvents } from '../../src/xds/server/stream.ts';
import { codec } from './xds-client.ts';

export const silentLog = createLog({ level: 'silent', pretty: false });

export interface Seen {
  readonly pushes: {
    readonly key: ResourceKey;
    readonly bytes: number;
    readonly delayMs: number;
  }[];
  readonly nacks: string[];
  readonly acks: { readonly key: ResourceKey; readonly delayMs: number }[];
  stale: number;
  readonly unknown: string[];
}

export interface ServerUnderTest {
  readonly server: XdsServer;
  readonly grpc: Server;
  readonly port: number;
  readonly seen: Seen;
  readonly stop: () => void;
}

/** Everybody is admitted, as the account and node of the header `test-node`. */
export async function startServer(
  options: Partial<XdsServerOptions> = {},
): Promise<ServerUnderTest> {
  const seen: Seen = { pushes: [], nacks: [], acks: [], stale: 0, unknown: [] };
  const events: StreamEvents = {
    pushed: (key, { bytes, delayMs }) => void seen.pushes.push({ key, bytes, delayMs }),
    acked: (key, delayMs) => void seen.acks.push({ key, delayMs }),
    nacked: (_key, { message }) => void seen.nacks.push(message),
    staleNonce: () => void seen.stale++,
    unknownType: (typeUrl) => void seen.unknown.push(typeUrl),
  };
  const server = new XdsServer({
    codec,
    log: silentLog,
    scopes: NO_LIMITS,
    admit: async ({ metadata }) => {
      const node = String(metadata.get('test-node')[0] ?? 'node-1');
      if (node === 'stranger') throw new NotAdmittedError(status.UNAUTHENTICATED, 'token', 'no');
      const identity = {
        trustDomain: 'cluster.local',
        namespace: 'podwire',
        serviceAccount: 'agent',
      };
      return { identity, node };
    },
    events,
    ...options,
  });
  const grpc = new Server({ 'grpc.max_receive_message_length': server.limits.requestBytes });
  server.addTo(grpc);
  const port = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    server,
    grpc,
    port,
    seen,
    stop: () => {
      server.close();
      grpc.forceShutdown();
    },
  };
}

export interface RawOptions {
  readonly variant?: 'delta' | 'sotw';
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: ChannelCredentials;
  /** answer every response at once */
  readonly ack?: boolean;
}

export interface RawResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  readonly names: readonly string[];
  readonly removed: readonly string[];
  readonly versions: ReadonlyMap<string, string>;
  readonly contents: readonly (Uint8Array | undefined)[];
  /** performance.now() */
  readonly at: number;
}

export class RawStream {
  readonly responses: RawResponse[] = [];
  ended: { readonly code: status; readonly details: string } | undefined;
  onResponse: ((response: RawResponse) => void) | undefined;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<object, unknown>;
  readonly #delta: boolean;

  constructor(target: string, options: RawOptions = {}) {
    const {
      variant = 'delta',
      headers = {},
      tls = credentials.createInsecure(),
      ack = true,
    } = options;
    this.#delta = variant === 'delta';
    this.#client = new Client(target, tls, {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
    });
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const method =
      codec.discovery[this.#delta ? 'DeltaAggregatedResources' : 'StreamAggregatedResources']!;
    this.#call = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize as (bytes: Buffer) => unknown,
      metadata,
    );
    this.#call.on('data', (message: unknown) => {
      const response = this.#delta ? readDelta(message) : readSotw(message);
      this.responses.push(response);
      if (ack) this.ack(response);
      this.onResponse?.(response);
    });
    this.#call.on('error', () => {});
    this.#call.on('status', ({ code, details }: StatusObject) => {
      this.ended = { code, details };
    });
  }

  send(request: object): void {
    this.#call.write(request);
  }

  subscribe(key: ResourceKey, more: DeltaRequestInput = {}): void {
    this.send({ type_url: RESOURCE_TYPES[key].typeUrl, ...more });
  }

  ack({ typeUrl, nonce, version }: RawResponse, names: readonly string[] = []): void {
    const sotw = { version_info: version, resource_names: names };
    this.send({ type_url: typeUrl, response_nonce: nonce, ...(this.#delta ? {} : sotw) });
  }

  nack({ typeUrl, nonce }: RawResponse, message: string): void {
    this.send({ type_url: typeUrl, response_nonce: nonce, error_detail: { code: 3, message } });
  }

  of(key: ResourceKey): RawResponse[] {
    return this.responses.filter(({ typeUrl }) => typeUrl === RESOURCE_TYPES[key].typeUrl);
  }

  async until(what: string, is: () => boolean, timeoutMs = 10_000): Promise<void> {
    await until(`${what} (${JSON.stringify(this.ended)})`, is, timeoutMs);
  }

  /** The n-th response of the type, from 0. */
  async response(key: ResourceKey, index: number): Promise<RawResponse> {
    await this.until(`response ${index} of ${key}`, () => this.of(key).length > index);
    return this.of(key)[index]!;
  }

  /** Stops reading: what the server sends stays in its memory and the kernel's. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

export async function until(
  what: string,
  is: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await is())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(2);
  }
}

export function open(t: TestContext, port: number, options: RawOptions = {}): RawStream {
  const stream = new RawStream(`127.0.0.1:${port}`, options);
  t.after(() => stream.close());
  return stream;
}

function readDelta(message: unknown): RawResponse {
  const response = message as DeltaResponse;
  return {
    typeUrl: response.type_url,
    nonce: response.nonce,
    version: response.system_version_info,
    names: response.resources.map(({ name }) => name),
    removed: response.removed_resources,
    versions: new Map(response.resources.map(({ name, version }) => [name, version])),
    contents: response.resources.map(({ resource }) => resource?.value),
    at: performance.now(),
  };
}

function readSotw(message: unknown): RawResponse {
  const response = message as SotwResponse;
  return {
    typeUrl: response.type_url,
    nonce: response.nonce,
    version: response.version_info,
    names: [],
    removed: [],
    versions: new Map(),
    contents: response.resources.map(({ value }) => value),
    at: performance.now(),
  };
}
