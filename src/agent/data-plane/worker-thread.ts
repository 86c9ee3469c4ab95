/**
 * One data-plane thread: started on the first listener, replaced with back-off when it dies. A dead worker loses its own
 * connections only; its slots are filled anew.
 */
import { Worker } from 'node:worker_threads';
import { Backoff } from '../../lifecycle/backoff.ts';
import type { Log } from '../../log.ts';
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';
import type {
  Answer,
  FromWorker,
  ProxyDenial,
  Question,
  ToWorker,
  TunnelFailure,
  WorkerSetup,
  WorkerStats,
} from './messages.ts';
import type { PolicyChanges } from './policy-view.ts';

const DRAIN_MS = 5000;
export const NO_STATS: WorkerStats = {
  live: 0,
  opened: 0,
  failed: 0,
  refused: 0,
  denied: 0,
  tunnels: { outbound: 0, inbound: 0, connections: 0 },
};

/** What a worker needs of the agent. */
export interface WorkerHost {
  /** what a new thread is told first */
  greeting(): readonly ToWorker[];
  /** all of them */
  policies(): PolicyChanges;
  /** a connection waits for the certificate of this identity */
  wanted(spiffe: string): void;
  answer(question: Question): Answer;
}

/** Who is told what became of connections. */
export interface WorkerObserver {
  /** policy refused a connection that had reached the agent */
  refused(denial: ProxyDenial): void;
  tunnelFailed(failure: TunnelFailure): void;
}

export class WorkerThread {
  readonly #setup: WorkerSetup;
  readonly #log: Log;
  readonly #onRestart: () => void;
  readonly #closeFd: (fd: number) => void;
  readonly #host: WorkerHost;
  /** undefined: nobody listens yet */
  observer: WorkerObserver | undefined;
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 10_000 });
  /** listening descriptors that no worker has taken yet */
  readonly #pending = new Set<number>();
  #restart: NodeJS.Timeout | undefined;
  #worker: Worker | undefined;
  #nextStats = 1;
  readonly #waiting = new Map<number, (stats: WorkerStats) => void>();
  #drained: (() => void) | undefined;
  #closing = false;

  constructor(options: {
    setup: WorkerSetup;
    log: Log;
    onRestart: () => void;
    closeFd: (fd: number) => void;
    host: WorkerHost;
  }) {
    this.#setup = options.setup;
    this.#log = options.log;
    this.#onRestart = options.onRestart;
    this.#closeFd = options.closeFd;
    this.#host = options.host;
  }

  listen(listener: ListenerInfo, fd: number): void {
    this.#pending.add(fd);
    this.#send({ kind: 'listen', listener, fd });
  }

  unlisten(podId: number, roles: readonly ListenerInfo['role'][]): void {
    if (this.#worker) this.#send({ kind: 'unlisten', podId, roles });
  }

  /** A thread that is not there yet learns it by its greeting. */
  tell(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  stats(): Promise<WorkerStats> {
    if (!this.#worker) return Promise.resolve(NO_STATS);
    const id = this.#nextStats++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#send({ kind: 'stats', id });
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#restart);
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
    const worker = new Worker(new URL('./worker-main.js', import.meta.url), {
      workerData: this.#setup,
    });
    worker.on('message', (message: FromWorker) => this.#hear(worker, message));
    worker.on('error', (err) => this.#log.error({ err }, 'a data-plane worker failed'));
    worker.on('exit', () => this.#ended(worker));
    const policies: ToWorker = { kind: 'policies', changes: this.#host.policies() };
    for (const message of [policies, ...this.#host.greeting()]) worker.postMessage(message);
    return worker;
  }

  #hear(worker: Worker, message: FromWorker): void {
    const host = this.#host;
    switch (message.kind) {
      case 'listening':
        this.#pending.delete(message.fd);
        this.#backoff.reset();
        break;
      case 'stats':
        this.#waiting.get(message.id)?.(message.stats);
        this.#waiting.delete(message.id);
        break;
      case 'want':
        host.wanted(message.spiffe);
        break;
      case 'question':
        worker.postMessage({
          kind: 'answer',
          id: message.id,
          answer: host.answer(message.question),
        } satisfies ToWorker);
        break;
      case 'denied':
        this.observer?.refused(message.denial);
        break;
      case 'failed':
        this.observer?.tunnelFailed(message.failure);
        break;
      case 'drained':
        if (message.cut > 0)
          this.#log.warn({ cut: message.cut }, 'connections cut at the drain deadline');
        this.#drained?.();
        break;
    }
  }

  /**
   * Its listeners went with it: the kernel sees empty slots and lets connections go straight where nothing needs the
   * agent. Those it had not taken are closed here, or they would accept and never answer.
   */
  #ended(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const fd of this.#pending) this.#closeFd(fd);
    this.#pending.clear();
    for (const answer of this.#waiting.values()) answer(NO_STATS);
    this.#waiting.clear();
    if (this.#closing) return;
    const delayMs = this.#backoff.nextMs();
    this.#log.error(
      { delayMs },
      'a data-plane worker ended: its connections are lost, it is replaced',
    );
    this.#restart = setTimeout(this.#onRestart, delayMs);
  }
}
