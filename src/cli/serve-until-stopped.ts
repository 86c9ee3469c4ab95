/**
 * The life of a program that serves: started, told to stop by a signal or over its admin socket, closed.
 */
import { once } from 'node:events';
import { PodwireError } from '../errors.ts';
import type { Log } from '../log.ts';
import { LevelSwitch } from './level-switch.ts';
import { StopRequest } from './stop-request.ts';

export interface ServeDeps {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly setLogLevel: (level: string) => boolean;
  readonly onShutdown: () => void;
}

/** `start` gives what closes the program. A second signal gives up the waiting. */
export async function serveUntilStopped(
  log: Log,
  start: (deps: ServeDeps) => Promise<() => Promise<void>>,
): Promise<void> {
  const stop = new StopRequest();
  try {
    await Promise.race([live(log, stop, start), stop.abandoned]);
  } finally {
    stop.release();
  }
}

async function live(
  log: Log,
  stop: StopRequest,
  start: (deps: ServeDeps) => Promise<() => Promise<void>>,
): Promise<void> {
  const { signal } = stop;
  const levels = new LevelSwitch(log);
  let close;
  try {
    close = await start({
      log,
      signal,
      setLogLevel: (level) => levels.set(level),
      onShutdown: () => stop.request('POST /v1/shutdown'),
    });
  } catch (error) {
    // told to stop while it was still starting: no failure
    if (!signal.aborted || error instanceof PodwireError) throw error;
    log.info({ reason: String(signal.reason) }, 'stopped before the start was complete');
    return;
  }
  if (!signal.aborted) await once(signal, 'abort');
  log.info({ reason: String(signal.reason) }, 'stopping');
  await close();
  log.info('stopped');
}
