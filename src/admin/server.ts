/**
 * The admin API on its unix socket: everything under /v1, and the only place where anything can be changed.
 */
import { LOG_LEVELS, type Log } from '../log.ts';
import {
  closeHttpServer,
  createHttpServer,
  errorReply,
  jsonReply,
  type AdminRequest,
  type Reply,
  type Route,
} from './http-server.ts';
import { isResourceKind, RESOURCE_KINDS } from './resource-view.ts';
import { listenOnSocket } from './socket.ts';
import type { AdminActions, AdminView } from './view.ts';

export interface AdminServerOptions {
  readonly socket: string;
  readonly view: AdminView;
  readonly actions: AdminActions;
  readonly log: Log;
}

export interface AdminServer {
  /** may be called twice */
  close(): Promise<void>;
}

/** Throws PodwireError ERR_LOCKED when another agent answers on the socket. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const log = options.log.child({ component: 'admin' });
  const routes = [...reading(options.view), ...changing(options.actions)];
  const server = createHttpServer({ routes, log });
  const bound = await listenOnSocket(server, options.socket);
  server.on('error', (err) => log.error({ err }, 'the admin socket failed'));
  let closed: Promise<void> | undefined;
  return {
    close: () => {
      if (closed === undefined) {
        bound.unlink();
        closed = closeHttpServer(server);
      }
      return closed;
    },
  };
}

function reading(view: AdminView): Route[] {
  const show = (name: string, read: () => unknown): Route => ({
    method: 'GET',
    path: `/v1/${name}`,
    handle: async () => jsonReply(200, await read()),
  });
  return [
    show('status', () => view.status()),
    show('pods', () => view.pods()),
    show('connections', () => view.connections()),
    show('services', () => view.services()),
    show('policies', () => view.policies()),
    {
      method: 'GET',
      path: '/v1/resources',
      handle: async ({ query }) => {
        const type = query.get('type') ?? undefined;
        if (type === undefined || isResourceKind(type)) {
          return jsonReply(200, await view.resources(type));
        }
        return errorReply(400, `type must be one of ${RESOURCE_KINDS.join(', ')}`);
      },
    },
    show('counters', () => view.counters()),
    show('trust', () => view.trust()),
    show('certificates', () => view.certificates()),
    show('doctor', () => view.doctor()),
    show('findings', () => view.findings()),
    show('config_dump', () => view.configDump()),
  ];
}

export function changing(actions: AdminActions): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/shutdown',
      handle: () => {
        actions.shutdown();
        return jsonReply(202, { shutdown: 'requested' });
      },
    },
    { method: 'POST', path: '/v1/loglevel', handle: (request) => setLevel(actions, request) },
  ];
}

/** {"level": "debug"} or ?level=debug */
function setLevel(actions: AdminActions, { query, body }: AdminRequest): Reply {
  let level: unknown = query.get('level');
  if (body !== '') {
    try {
      level = (JSON.parse(body) as { level?: unknown } | null)?.level;
    } catch {
      return errorReply(400, 'the body must be JSON: {"level": "debug"}');
    }
  }
  if (typeof level !== 'string' || !actions.setLogLevel(level)) {
    return errorReply(400, `level must be one of ${LOG_LEVELS.join(', ')}`);
  }
  return jsonReply(200, { level });
}
