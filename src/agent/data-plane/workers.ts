/** The data-plane workers of the agent, one thread and one listener slot each. */
import type { Log } from '../../log.ts';
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';
import type { PlanState } from '../../compile/kernel/plan.ts';
import type { ToWorker, WorkerSetup, WorkerStats } from './messages.ts';
import { PolicyFeed } from './policy-feed.ts';
import { NO_STATS, WorkerThread, type WorkerHost, type WorkerObserver } from './worker-thread.ts';

export class Workers {
  readonly #threads: readonly WorkerThread[];
  readonly #feed = new PolicyFeed();

  constructor(options: {
    count: number;
    setup: WorkerSetup;
    log: Log;
    /** the worker with this slot was replaced and needs its listeners again */
    onRestart: (worker: number) => void;
    closeFd: (fd: number) => void;
    host: Omit<WorkerHost, 'policies'>;
  }) {
    const { count, onRestart, host, ...each } = options;
    const whole: WorkerHost = { ...host, policies: () => this.#feed.all };
    this.#threads = Array.from(
      { length: count },
      (_, worker) => new WorkerThread({ ...each, host: whole, onRestart: () => onRestart(worker) }),
    );
  }

  /** Before the kernel is told of it. False: the policies in force at this node's pods stay as they are. */
  plan(state: PlanState): boolean {
    const changes = this.#feed.next(state);
    if (!changes) return false;
    this.tell({ kind: 'policies', changes });
    return true;
  }

  get count(): number {
    return this.#threads.length;
  }

  listen(worker: number, listener: ListenerInfo, fd: number): void {
    this.#threads[worker]?.listen(listener, fd);
  }

  unlisten(podId: number, roles: readonly ListenerInfo['role'][]): void {
    for (const thread of this.#threads) thread.unlisten(podId, roles);
  }

  observe(observer: WorkerObserver): void {
    for (const thread of this.#threads) thread.observer = observer;
  }

  tell(message: ToWorker): void {
    for (const thread of this.#threads) thread.tell(message);
  }

  /** Added up over the workers. */
  async stats(): Promise<WorkerStats> {
    const all = await Promise.all(this.#threads.map((thread) => thread.stats()));
    return all.reduce(
      (sum, one) => ({
        live: sum.live + one.live,
        opened: sum.opened + one.opened,
        failed: sum.failed + one.failed,
        refused: sum.refused + one.refused,
        denied: sum.denied + one.denied,
        tunnels: {
          outbound: sum.tunnels.outbound + one.tunnels.outbound,
          inbound: sum.tunnels.inbound + one.tunnels.inbound,
          connections: sum.tunnels.connections + one.tunnels.connections,
        },
      }),
      NO_STATS,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}
