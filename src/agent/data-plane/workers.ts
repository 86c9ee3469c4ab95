/**
 * The data-plane workers of the agent, one thread each (one, until a node has cores to spare): started on the first pod that
 * needs them, replaced when one dies. A dead worker loses its own connections only; its slots are filled anew.
 */
import { Worker } from 'node:worker_threads';
import type { Log } from '../../log.ts';
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';
import type { FromWorker, ToWorker, WorkerSetup, WorkerStats } from './messages.ts';

const DRAIN_MS = 5000;

export class Workers {
  readonly #setup: WorkerSetup;
  readonly #log: Log;
  readonly #onRestart: () => void;
  #worker: Worker | undefined;
  #nextStats = 1;
  readonly #waiting = new Map<number, (stats: WorkerStats) => void>();
  #drained: (() => void) | undefined;
  #closing = false;

  constructor(options: { setup: WorkerSetup; log: Log; onRestart: () => void }) {
    this.#setup = options.setup;
    this.#log = options.log;
    this.#onRestart = options.onRestart;
  }

  listen(listener: ListenerInfo, fd: number): void {
    this.#send({ kind: 'listen', listener, fd });
  }

  unlisten(podId: number): void {
    if (this.#worker) this.#send({ kind: 'unlisten', podId });
  }

  /** Ends the proxied connections of these pods: their policy or identity changed. */
  revoke(pods: readonly number[]): void {
    if (this.#worker && pods.length > 0) this.#send({ kind: 'revoke', pods });
  }

  stats(): Promise<WorkerStats> {
    if (!this.#worker) return Promise.resolve({ live: 0, opened: 0, failed: 0, refused: 0 });
    const id = this.#nextStats++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#send({ kind: 'stats', id });
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    const worker = this.#worker;
    if (!worker) return;
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
      worker.once('exit', () => resolve());
    });
    this.#send({ kind: 'drain', deadlineMs: DRAIN_MS });
    await drained;
    await worker.terminate();
    this.#worker = undefined;
  }

  #send(message: ToWorker): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(message);
  }

  #start(): Worker {
    const entry = new URL(`./worker-main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
    const worker = new Worker(entry, { workerData: this.#setup });
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'stats') {
        this.#waiting.get(message.id)?.(message.stats);
        this.#waiting.delete(message.id);
      } else if (message.kind === 'drained') {
        if (message.cut > 0) this.#log.warn({ cut: message.cut }, 'connections cut at the drain deadline');
        this.#drained?.();
      }
    });
    worker.on('error', (err) => this.#log.error({ err }, 'a data-plane worker failed'));
    worker.on('exit', () => {
      if (this.#closing || this.#worker !== worker) return;
      this.#worker = undefined;
      this.#log.error('a data-plane worker ended: its connections are lost, it is replaced');
      this.#onRestart();
    });
    return worker;
  }
}
