/**
 * The admission webhook: HTTPS, POST /validate, AdmissionReview in and out.
 *
 * It is a courtesy to whoever applies a resource.  Control checks everything again when it reads it and never relies on what
 * was admitted, so that the API server should be told `failurePolicy: Ignore`: control that is away must not keep a cluster
 * from being mended.
 */
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PodwireError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { review, type ReviewContext } from './review.ts';

export interface WebhookCertificate {
  /** PEM, chain included; names the Service: NAME.NAMESPACE.svc */
  readonly cert: string;
  readonly key: string;
}

export interface WebhookOptions extends ReviewContext, WebhookCertificate {
  readonly host?: string;
  /** 0: any */
  readonly port: number;
  readonly log: Log;
  readonly limits?: Partial<WebhookLimits>;
}

export interface WebhookLimits {
  /** An AdmissionReview holds the object twice at an update, each at most 1.5 MiB in etcd. */
  readonly bodyBytes: number;
  /** from the first byte to the last: the API server waits for 10 s unless told otherwise */
  readonly requestMs: number;
  readonly connections: number;
}

const LIMITS: WebhookLimits = { bodyBytes: 8 << 20, requestMs: 10_000, connections: 256 };
const CHECK_MS = 1000;

export class Webhook {
  readonly #options: WebhookOptions;
  readonly #limits: WebhookLimits;
  readonly #server: Server;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    const { requestMs } = this.#limits;
    this.#server = createServer(
      {
        cert: options.cert,
        key: options.key,
        minVersion: 'TLSv1.2',
        requestTimeout: requestMs,
        headersTimeout: requestMs,
        handshakeTimeout: requestMs,
        connectionsCheckingInterval: Math.min(CHECK_MS, requestMs),
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = this.#limits.connections;
  }

  /** Resolves with the port.  Throws PodwireError ERR_CONFIG when it cannot be had. */
  async start(): Promise<number> {
    const { host = '0.0.0.0', port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        reject(new PodwireError('ERR_CONFIG', `webhook: ${cause.message}`, { cause }));
      });
      this.#server.listen(port, host, resolve);
    });
    this.#server.on('error', (err) => this.#options.log.error({ err }, 'webhook'));
    return (this.#server.address() as AddressInfo).port;
  }

  /** For connections from now on. */
  renew({ cert, key }: WebhookCertificate): void {
    this.#server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' });
  }

  /** May be called twice. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const [path] = (request.url ?? '').split('?');
      if (path !== '/validate') return send(response, 404, { error: 'not found' });
      if (request.method !== 'POST') return send(response, 405, { error: 'use POST' });
      const text = await this.#body(request);
      if (text === undefined) {
        response.setHeader('connection', 'close');
        return send(response, 413, { error: 'the review is too large' });
      }
      const answer = review(parse(text), this.#options);
      if (answer === undefined)
        return send(response, 400, { error: 'is no AdmissionReview of v1' });
      return send(response, 200, answer);
    } catch (err) {
      if (request.destroyed && !request.complete) return;
      this.#options.log.error({ err }, 'a review failed');
      if (!response.headersSent) send(response, 500, { error: 'the review failed' });
    }
  }

  /** undefined: larger than allowed; the rest is not read */
  async #body(request: IncomingMessage): Promise<string | undefined> {
    const { bodyBytes } = this.#limits;
    if (Number(request.headers['content-length'] ?? 0) > bodyBytes) return undefined;
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > bodyBytes) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
