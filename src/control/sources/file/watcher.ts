/**
 * Calls back when something in a folder may have changed, with the names it happened to where they are known: a save in a
 * folder of a thousand files must not cost a look at each.
 *
 * fs.watch tells of saves within milliseconds, atomic renames and the ..data swap of a mounted ConfigMap included, but it
 * follows the inode: when the folder is replaced, or the file system sends no events, only the slow poll notices.  Calls
 * are debounced (an editor's save is several events), never overlap, and the last event is never lost.
 */
import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';

const DEBOUNCE_MS = 15;
/** A steady stream of events must not put the scan off for ever. */
const DEBOUNCE_MAX_MS = 200;
const POLL_MS = 5000;

export interface Watcher {
  /** no call starts after this; resolves when a running one has ended */
  close(): Promise<void>;
}

/** `names`: entries of the folder that may differ; undefined: any */
export type OnChange = (names: ReadonlySet<string> | undefined) => Promise<void>;

export function watchFolder(dir: string, onChange: OnChange): Watcher {
  let watcher: FSWatcher | undefined;
  let watchedInode: bigint | undefined;
  let timer: NodeJS.Timeout | undefined;
  let firstEventMs: number | undefined;
  let running: Promise<void> = Promise.resolve();
  let closed = false;
  let names: Set<string> | undefined = new Set();

  const run = (): void => {
    timer = undefined;
    firstEventMs = undefined;
    running = running.then(async () => {
      // The event may have been the folder's own end.
      if (await arm()) names = undefined;
      const changed = names;
      names = new Set();
      if (!closed) await onChange(changed);
    });
  };
  const schedule = (name?: string | null): void => {
    if (closed) return;
    if (name === undefined || name === null) names = undefined;
    else names?.add(name);
    const now = performance.now();
    firstEventMs ??= now;
    clearTimeout(timer);
    const waitedMs = now - firstEventMs;
    timer = setTimeout(run, Math.max(0, Math.min(DEBOUNCE_MS, DEBOUNCE_MAX_MS - waitedMs)));
  };
  const disarm = (): void => {
    watcher?.close();
    watcher = undefined;
    watchedInode = undefined;
  };
  /** True when the watch is new: what came before it was missed. */
  const arm = async (): Promise<boolean> => {
    const inode = await stat(dir, { bigint: true }).then(
      (stats) => stats.ino,
      () => undefined,
    );
    if (closed || (inode !== undefined && inode === watchedInode)) return false;
    disarm();
    if (inode === undefined) return true;
    try {
      watcher = watch(dir, { persistent: false }, (_, name) => schedule(name));
      watcher.on('error', disarm);
      watchedInode = inode;
    } catch {
      // No inotify watch to be had (limit, gone meanwhile): the poll goes on and tries again.
      disarm();
    }
    return true;
  };

  const poll = setInterval(schedule, POLL_MS);
  // A save between the first scan and the first watch.
  schedule();
  return {
    async close() {
      closed = true;
      clearInterval(poll);
      clearTimeout(timer);
      disarm();
      await running;
    },
  };
}
