/** The data-plane workers of the agent, one thread and one listener slot each. */
import type { Log } from '../../log.ts';
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';
import type { PlanState } from '../../compile/kernel/plan.ts';
import type { ProxyDenial, WorkerSetup, WorkerStats } from './messages.ts';
import { PolicyFeed } from './policy-feed.ts';
import { NO_STATS, WorkerThread } from './worker-thread.ts';

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
    /** policy refused a connection that had reached a listener of the agent */
    onDenied: (denial: ProxyDenial) => void;
  }) {
    const { count, setup, log, onRestart, closeFd, onDenied } = options;
    const allPolicies = () => this.#feed.all;
    this.#threads = Array.from({ length: count }, (_, worker) => {
      const restart = (): void => onRestart(worker);
      return new WorkerThread({ setup, log, onRestart: restart, closeFd, allPolicies, onDenied });
    });
  }

  /** Before the kernel is told of it. False: the policies in force at this node's pods stay as they are. */
  plan(state: PlanState): boolean {
    const changes = this.#feed.next(state);
    if (!changes) return false;
    for (const thread of this.#threads) thread.setPolicies(changes);
    return true;
  }

  get count(): number {
    return this.#threads.length;
  }

  listen(worker: number, listener: ListenerInfo, fd: number): void {
    this.#threads[worker]?.listen(listener, fd);
  }

  unlisten(podId: number): void {
    for (const thread of this.#threads) thread.unlisten(podId);
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
      }),
      NO_STATS,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}
