/**
 * The command line's side of the admin API: one request over the unix socket, parsed.
 */
import { request } from 'node:http';
import { Option } from 'commander';
import { DEFAULT_ADMIN_SOCKET, DEFAULT_CONTROL_ADMIN_SOCKET } from '../config/defaults.ts';
import { PodwireError } from '../errors.ts';

interface Peer {
  readonly name: string;
  readonly start: string;
}

const AGENT: Peer = { name: 'agent', start: 'podwire agent --config DIR' };
const CONTROL: Peer = { name: 'control', start: 'podwire control' };
const TIMEOUT_MS = 10_000;

export function adminOption(): Option {
  return new Option('--admin <socket>', 'admin socket of the agent').default(DEFAULT_ADMIN_SOCKET);
}

export function controlAdminOption(): Option {
  return new Option('--admin <socket>', 'admin socket of control').default(
    DEFAULT_CONTROL_ADMIN_SOCKET,
  );
}

/** Throws PodwireError: ERR_NO_AGENT when nobody answers, ERR_NOT_ROOT when the socket is another user's. */
export function getAdmin<T>(socketPath: string, path: string): Promise<T> {
  return ask<T>(AGENT, 'GET', socketPath, path);
}

/** Of `podwire control`; throws as `getAdmin`. */
export function askControl<T>(
  method: 'GET' | 'POST',
  socketPath: string,
  path: string,
): Promise<T> {
  return ask<T>(CONTROL, method, socketPath, path);
}

async function ask<T>(
  peer: Peer,
  method: 'GET' | 'POST',
  socketPath: string,
  path: string,
): Promise<T> {
  const { status, body } = await send(method, socketPath, path).catch((cause: unknown) => {
    throw explain(peer, socketPath, cause);
  });
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new PodwireError(
      'ERR_NO_AGENT',
      `what answers on ${socketPath} is no podwire ${peer.name}`,
      {
        cause,
      },
    );
  }
  if (status === 200 || status === 202) return value as T;
  const message = (value as { error?: string } | null)?.error ?? body;
  throw new PodwireError('ERR_INTERNAL', `${peer.name} answered ${status} to ${path}: ${message}`, {
    hint: status === 404 ? `${peer.name} is of another version than this command` : 'see its log',
  });
}

function send(
  method: string,
  socketPath: string,
  path: string,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { method, socketPath, path, agent: false, timeout: TIMEOUT_MS };
    const asked = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    asked.once('error', reject);
    asked.end();
  });
}

function explain(peer: Peer, socketPath: string, cause: unknown): PodwireError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    return new PodwireError('ERR_NOT_ROOT', `the admin socket ${socketPath} is another user's`, {
      cause,
      hint: `run the command as the user of ${peer.name}`,
    });
  }
  return new PodwireError('ERR_NO_AGENT', `no ${peer.name} answers on ${socketPath}`, {
    cause,
    hint: `start one (${peer.start}), or name its socket with --admin SOCKET`,
  });
}
