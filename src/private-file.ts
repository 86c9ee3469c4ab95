/**
 * Files that hold secrets: readable by their owner only, in folders of their owner, and durable once written.
 */
import { randomUUID } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PodwireError } from './errors.ts';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const BY_OTHERS = 0o077;
const MAX_BYTES = 64 * 1024;

/** What a writer that died may leave behind. */
export const UNFINISHED = /^\.new-/;

/** Makes the folder if need be. Throws PodwireError when others can use it. */
export async function openPrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  } catch (cause) {
    throw new PodwireError('ERR_CONFIG', `folder ${path} cannot be made`, { cause });
  }
  await checkPrivate(path);
}

/** Keys that others can read, or a folder where others can swap them, are no secret: throws PodwireError. */
export async function checkPrivate(path: string): Promise<void> {
  checkOwner(path, await stat(path));
}

/**
 * The text of a file that only its owner can use. Throws PodwireError for any other; undefined: there is none.
 *
 * What was opened is what is checked: another user's link or pipe in its place is not followed or waited for.
 */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let file;
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stats = await file.stat();
    checkOwner(path, stats);
    if (!stats.isFile() || stats.size > MAX_BYTES) {
      throw new PodwireError('ERR_CONFIG', `${path} is no file of at most ${MAX_BYTES} bytes`);
    }
    return await file.readFile('utf8');
  } catch (cause) {
    if (cause instanceof PodwireError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new PodwireError('ERR_CONFIG', `${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  } finally {
    await file?.close();
  }
}

function checkOwner(path: string, { uid, mode }: Stats): void {
  const self = process.geteuid?.() ?? 0;
  if (uid !== 0 && uid !== self) {
    throw new PodwireError('ERR_CONFIG', `${path} belongs to user ${uid}`, {
      hint: `chown ${self} ${path}, if its content can be trusted`,
    });
  }
  if ((mode & BY_OTHERS) !== 0) {
    throw new PodwireError('ERR_CONFIG', `${path} can be used by others than its owner`, {
      hint: `chmod go= ${path}, if its content can be trusted`,
    });
  }
}

/**
 * Makes the file whole or not at all; false: there is one already, which stays.
 *
 * link(2) is what one of several processes wins; open with O_EXCL would let the losers read a file that is half written.
 */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  return writeBeside(path, text, async (beside) => {
    try {
      await link(beside, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  });
}

export async function replacePrivateFile(path: string, text: string): Promise<void> {
  await writeBeside(path, text, (beside) => rename(beside, path));
}

async function writeBeside<T>(
  path: string,
  text: string,
  place: (beside: string) => Promise<T>,
): Promise<T> {
  const folder = dirname(path);
  const beside = join(folder, `.new-${randomUUID()}`);
  try {
    const file = await open(beside, 'wx', FILE_MODE);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    return await place(beside);
  } finally {
    await rm(beside, { force: true });
    await syncFolder(folder);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
