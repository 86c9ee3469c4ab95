/**
 * HTTP for operators: small, bounded, and the same for the unix socket and the TCP page.  A request becomes a Route's
 * result or an error with a JSON body; every limit is low, because whoever asks is a person, a script or Prometheus.
 */
import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../log.ts';

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface AdminRequest {
  readonly query: URLSearchParams;
  readonly body: string;
}

export type Handler = (request: AdminRequest) => Reply | Promise<Reply>;

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handle: Handler;
}

export interface HttpServerOptions {
  readonly routes: readonly Route[];
  readonly log: Pick<Log, 'error'>;
  /** refuses a request by what its headers say */
  readonly guard?: (request: IncomingMessage) => Reply | undefined;
}

const LIMITS = {
  headerBytes: 8 * 1024,
  bodyBytes: 16 * 1024,
  urlBytes: 2 * 1024,
  connections: 64,
  headersMs: 5_000,
  requestMs: 10_000,
  idleMs: 5_000,
} as const;

export function jsonReply(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, plain)}\n` };
}

export function textReply(status: number, text: string): Reply {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

export function errorReply(status: number, message: string): Reply {
  return jsonReply(status, { error: message });
}

/** Kernel numbers are 64 bits: exact as a number where it can be, else in decimal text. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : `${value}`;
}

/** Not listening yet. */
export function createHttpServer(options: HttpServerOptions): Server {
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.headersMs,
      requestTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.idleMs,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      void respond(options, request, response);
    },
  );
  server.maxConnections = LIMITS.connections;
  server.on('clientError', (_error: Error, socket: Socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  return server;
}

/** Finishes what is being answered, within the limits of a request; idle connections end now. */
export function closeHttpServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), 1_000);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function respond(
  options: HttpServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let reply: Reply;
  try {
    reply = await answer(options, request);
  } catch (err) {
    options.log.error({ err, path: request.url }, 'an admin request failed');
    reply = errorReply(500, err instanceof Error ? err.message : String(err));
  }
  // a body that was not read to its end would be taken for the next request
  if (!request.complete) response.shouldKeepAlive = false;
  response.writeHead(reply.status, {
    'content-type': reply.contentType,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(reply.status === 405 ? { allow: allowed(options.routes, request) } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}

async function answer(options: HttpServerOptions, request: IncomingMessage): Promise<Reply> {
  const refused = options.guard?.(request);
  if (refused !== undefined) return refused;
  const target = request.url ?? '';
  // origin form only: this is no proxy
  if (!target.startsWith('/')) return errorReply(400, 'the request target must be a path');
  if (target.length > LIMITS.urlBytes) return errorReply(414, STATUS_CODES[414] ?? '');
  const { path, query } = split(target);
  const here = options.routes.filter((route) => route.path === path);
  if (here.length === 0) return errorReply(404, `no such path: ${path}`);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const route = here.find((candidate) => candidate.method === method);
  if (route === undefined) return errorReply(405, `${request.method} is not allowed on ${path}`);
  const body = await readBody(request);
  if (body === undefined) return errorReply(413, `a body has at most ${LIMITS.bodyBytes} bytes`);
  return await route.handle({ query, body });
}

function split(target: string): { path: string; query: URLSearchParams } {
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: new URLSearchParams() };
  return { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

function allowed(routes: readonly Route[], request: IncomingMessage): string {
  const { path } = split(request.url ?? '');
  return routes
    .filter((route) => route.path === path)
    .map(({ method }) => method)
    .join(', ');
}

/** undefined when it is too long: the rest stays unread, and the connection ends after the reply. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > LIMITS.bodyBytes) return undefined;
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    const bytes = part as Buffer;
    length += bytes.length;
    if (length > LIMITS.bodyBytes) return undefined;
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}
