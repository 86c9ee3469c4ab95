/**
 * Requests to one Kubernetes API server: JSON in and out, and watch streams.
 *
 * @kubernetes/client-node gives the credentials (kubeconfig, in-cluster account, exec plug-ins, token files that are read
 * again).  Its typed API and its Watch are not used: they cannot page with a bound on size, drop watch lines they cannot
 * parse in silence, and open a TLS connection per request.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest, type AgentOptions, type RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { KubernetesError } from './error.ts';

/** Of a whole answer: a page of 500 objects of etcd's largest size would be larger, and is no mesh. */
const MAX_BODY_BYTES = 128 * 1024 * 1024;
/** Of one event; etcd refuses objects above 1.5 MiB. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;
/** TCP's own probes find a peer that has vanished within half a minute. */
const TCP_KEEP_ALIVE_MS = 15_000;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly query?: Query;
  readonly body?: unknown;
  /** of the body; application/json when absent */
  readonly contentType?: string;
  readonly accept?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface StreamOptions {
  readonly query?: Query;
  /** nothing was read for so long: the stream is taken for lost */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
  /** the server has accepted */
  readonly onOpen: () => void;
  /** one line; what it throws ends the stream */
  readonly onLine: (line: string) => void;
}

export class KubernetesClient {
  readonly #config: KubeConfig;
  readonly #server: string;
  #agent: Agent | undefined;
  #agentKey = '';

  /** `config` has the context of this cluster as its current one. */
  constructor(config: KubeConfig) {
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new KubernetesError(0, 'NoCluster', 'the context has no cluster');
    this.#config = config;
    this.#server = cluster.server.replace(/\/+$/, '');
  }

  get server(): string {
    return this.#server;
  }

  /** The decoded answer, the text of one that is no JSON (/readyz); throws KubernetesError. */
  async call(path: string, options: CallOptions = {}): Promise<unknown> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    const response = await this.#open(path, options, either);
    const text = await readText(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299)
      throw KubernetesError.ofAnswer(status, text, response.headers);
    return response.headers['content-type']?.includes('json') ? parse(text) : text;
  }

  /** Resolves when the server ends the stream; throws KubernetesError. */
  async stream(path: string, options: StreamOptions): Promise<void> {
    const { query, silenceMs, signal, onOpen, onLine } = options;
    const aborter = new AbortController();
    const either = AbortSignal.any([signal, aborter.signal]);
    const timer = setTimeout(
      () => aborter.abort(new Error(`nothing read for ${silenceMs} ms`)),
      silenceMs,
    );
    timer.unref();
    try {
      const response = await this.#open(path, { query: query ?? {} }, either);
      const status = response.statusCode ?? 0;
      if (status !== 200) {
        throw KubernetesError.ofAnswer(status, await readText(response), response.headers);
      }
      timer.refresh();
      onOpen();
      let parts: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        timer.refresh();
        let start = 0;
        for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
          const rest = chunk.subarray(start, end);
          onLine(parts.length === 0 ? rest.toString() : Buffer.concat([...parts, rest]).toString());
          parts = [];
          bytes = 0;
          start = end + 1;
        }
        if (start === chunk.length) continue;
        parts.push(chunk.subarray(start));
        bytes += chunk.length - start;
        if (bytes > MAX_LINE_BYTES)
          throw new KubernetesError(0, 'TooLarge', 'an event is too large');
      }
    } catch (error) {
      throw KubernetesError.of(either.aborted ? either.reason : error);
    } finally {
      clearTimeout(timer);
      aborter.abort();
    }
  }

  close(): void {
    this.#agent?.destroy();
  }

  async #open(path: string, options: CallOptions, signal: AbortSignal): Promise<IncomingMessage> {
    const { method = 'GET', query = {}, body, accept = 'application/json' } = options;
    const url = new URL(this.#server + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    try {
      const credentials = await this.#credentials();
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const headers: Record<string, string | number> = {
        ...(credentials.headers as Record<string, string>),
        accept,
        'user-agent': 'podwire',
      };
      if (payload !== undefined) {
        headers['content-type'] = options.contentType ?? 'application/json';
        headers['content-length'] = payload.length;
      }
      const request = { ...credentials, method, headers, signal };
      try {
        return await send(url, request, payload);
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
        return await send(url, request, payload);
      }
    } catch (error) {
      throw KubernetesError.of(error);
    }
  }

  /** Certificates and tokens are read again for every request: both are rotated in place. */
  async #credentials(): Promise<RequestOptions> {
    const options: RequestOptions = { headers: {} };
    await this.#config.applyToHTTPSOptions(options);
    if (this.#config.getCurrentCluster()?.proxyUrl !== undefined) return options;
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
    const agentKey = Object.values(tls).map(String).join('\n');
    if (this.#agent === undefined || agentKey !== this.#agentKey) {
      // Requests under way keep the old one until they end.
      const known = Object.entries(tls).filter(([, value]) => value !== undefined);
      this.#agent = new Agent({
        ...(Object.fromEntries(known) as AgentOptions),
        keepAlive: true,
        keepAliveMsecs: TCP_KEEP_ALIVE_MS,
      });
      this.#agentKey = agentKey;
    }
    if (this.#server.startsWith('http:')) return { headers: options.headers ?? {} };
    return { headers: options.headers ?? {}, auth: options.auth ?? null, agent: this.#agent };
  }
}

/**
 * The server had closed an idle connection when it was used again.  Should it have died while it carried the request out, a
 * write meets its own trace: writes name the version they replace, and what exists is not created twice.
 */
class StaleConnection extends Error {}

function send(url: URL, options: RequestOptions, payload?: Buffer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request: ClientRequest = start(url, options);
    request.on('response', resolve);
    request.on('error', (error: NodeJS.ErrnoException) => {
      const { signal } = options;
      if (signal?.aborted === true) reject(signal.reason as Error);
      else if (request.reusedSocket && error.code === 'ECONNRESET') reject(new StaleConnection());
      else reject(error);
    });
    request.end(payload);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES)
        throw new KubernetesError(0, 'TooLarge', 'the answer is too large');
      chunks.push(chunk);
    }
  } catch (error) {
    throw KubernetesError.of(error);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KubernetesError(0, 'Garbage', `the answer is no JSON: ${(error as Error).message}`);
  }
}
