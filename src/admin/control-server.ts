/**
 * The admin API of `podwire control` on its unix socket.
 */
import type { Log } from '../log.ts';
import {
  closeHttpServer,
  createHttpServer,
  errorReply,
  jsonReply,
  type AdminRequest,
  type Reply,
  type Route,
} from './http-server.ts';
import { changing, type AdminServer } from './server.ts';
import { listenOnSocket } from './socket.ts';
import type { AdminActions } from './view.ts';

/** What is asked about: a node of a cluster, all types or one. */
export interface ConfigQuestion {
  readonly node: string | undefined;
  readonly cluster: string | undefined;
  readonly type: string | undefined;
}

export interface ControlAdminView {
  status(): unknown;
  nodes(): unknown;
  findings(): unknown;
  roots(): unknown;
  webhook(): unknown;
  syncz(): unknown;
  /** undefined: there is no such type */
  configDump(question: ConfigQuestion): unknown;
}

export interface ControlActions extends AdminActions {
  /** Begins a rotation of the CA's roots and tells where it stands; undefined: they are not control's own. */
  readonly rotate: (() => Promise<unknown>) | undefined;
}

export interface ControlAdminOptions {
  readonly socket: string;
  readonly view: ControlAdminView;
  readonly actions: ControlActions;
  readonly log: Log;
}

/** Throws PodwireError ERR_LOCKED when another process answers on the socket. */
export async function startControlAdmin(options: ControlAdminOptions): Promise<AdminServer> {
  const log = options.log.child({ component: 'admin' });
  const { view } = options;
  const show = (path: string, read: () => unknown): Route => ({
    method: 'GET',
    path,
    handle: () => jsonReply(200, read()),
  });
  const dump = ({ query }: AdminRequest): Reply => {
    const part = (name: string): string | undefined => query.get(name) ?? undefined;
    const question = { node: part('node'), cluster: part('cluster'), type: part('type') };
    const found = view.configDump(question);
    return found === undefined ? errorReply(400, 'no such type') : jsonReply(200, found);
  };
  const rotate = async (): Promise<Reply> => {
    if (options.actions.rotate === undefined) {
      return errorReply(409, 'the roots were given: rotate them where they come from');
    }
    return jsonReply(202, await options.actions.rotate());
  };
  const server = createHttpServer({
    log,
    routes: [
      show('/v1/status', () => view.status()),
      show('/v1/nodes', () => view.nodes()),
      show('/v1/findings', () => view.findings()),
      show('/v1/roots', () => view.roots()),
      show('/v1/webhook', () => view.webhook()),
      show('/debug/syncz', () => view.syncz()),
      { method: 'GET', path: '/debug/config_dump', handle: dump },
      { method: 'POST', path: '/v1/ca/rotate', handle: rotate },
      ...changing(options.actions),
    ],
  });
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
