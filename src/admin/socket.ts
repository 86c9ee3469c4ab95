/**
 * The unix socket of the admin server: owner only, never taken from a process that still answers.
 *
 * It is bound under a name of its own and renamed into place: nobody can connect before its mode is set, and neither
 * libuv (which unlinks the bound name on close) nor a slow predecessor removes a successor's socket.
 */
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, statSync, type Stats } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { PodwireError } from '../errors.ts';

/** sizeof(sun_path) less the terminating zero */
const MAX_PATH_BYTES = 107;
const PROBE_MS = 1_000;

export interface BoundSocket {
  /** Removes the socket from its place, unless it is another's by now. */
  unlink(): void;
}

/** Throws PodwireError: ERR_LOCKED when somebody answers there, ERR_BAD_OPTION when the path cannot be used. */
export async function listenOnSocket(server: Server, path: string): Promise<BoundSocket> {
  const bound = `${path}.${process.pid}`;
  if (Buffer.byteLength(bound) > MAX_PATH_BYTES) {
    throw new PodwireError('ERR_BAD_OPTION', `--admin ${path} is too long for a unix socket`, {
      hint: `use a path of at most ${MAX_PATH_BYTES - 8} bytes`,
    });
  }
  prepareFolder(path);
  await refuseIfTaken(path);
  rmSync(bound, { force: true });
  server.listen(bound);
  try {
    await once(server, 'listening');
    chmodSync(bound, 0o600);
    const { ino, dev } = lstatSync(bound);
    renameSync(bound, path);
    return {
      unlink: () => {
        const now = statOf(path);
        if (now?.ino === ino && now.dev === dev) rmSync(path, { force: true });
      },
    };
  } catch (cause) {
    server.close();
    throw new PodwireError('ERR_BAD_OPTION', `the admin socket ${path} cannot be made`, {
      cause,
      hint: 'give a path in a folder of a local file system that this user may write: --admin SOCKET',
    });
  }
}

/** Whether a process accepts connections on the socket. */
export async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  const timer = setTimeout(() => socket.destroy(new Error('no answer')), PROBE_MS);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // a full backlog or a hung process still holds the socket
    return code !== 'ECONNREFUSED' && code !== 'ENOENT';
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function prepareFolder(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new PodwireError('ERR_BAD_OPTION', `the folder of --admin ${path} cannot be made`, {
      cause,
      hint: 'run as root, or give a path that this user may write: --admin SOCKET',
    });
  }
  const { mode } = statSync(folder);
  // whoever may rename files in there could put a socket of their own in its place
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) {
    throw new PodwireError('ERR_BAD_OPTION', `others may write the folder of --admin ${path}`, {
      hint: `chmod go-w ${folder}, or give another path: --admin SOCKET`,
    });
  }
}

async function refuseIfTaken(path: string): Promise<void> {
  const there = statOf(path);
  if (there === undefined) return;
  if (!there.isSocket()) {
    throw new PodwireError('ERR_BAD_OPTION', `${path} is there and is no socket`, {
      hint: 'remove it, or give another path: --admin SOCKET',
    });
  }
  if (await answers(path)) {
    throw new PodwireError('ERR_LOCKED', `another agent answers on ${path}`, {
      hint: 'stop it first, or give this one another socket: --admin SOCKET',
    });
  }
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
