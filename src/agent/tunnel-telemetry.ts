/** What the kernel does not see of tunnels: those that did not come about. */
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Log } from '../log.ts';
import type { TunnelFailure } from './data-plane/messages.ts';

export interface TunnelFailureCount {
  readonly direction: TunnelFailure['direction'];
  readonly reason: string;
  readonly count: number;
}

/** A peer that cannot prove itself tries again and again. */
const LOG_EVERY_MS = 1000;

export class TunnelTelemetry {
  readonly #reconciler: Reconciler;
  readonly #log: Log;
  readonly #counts = new Map<string, TunnelFailureCount>();
  /** by kind of failure: when it was logged last, and how many since */
  readonly #logged = new Map<string, { at: number; since: number }>();

  constructor(options: { reconciler: Reconciler; log: Log }) {
    this.#reconciler = options.reconciler;
    this.#log = options.log;
  }

  /** By policy; telemetry tells of it as of any connection. */
  refused(): void {
    this.#count('inbound', 'policy');
  }

  failed({ direction, podId, peer, reason }: TunnelFailure): void {
    this.#count(direction, reason);
    const kind = `${direction} ${podId} ${reason}`;
    const before = this.#logged.get(kind);
    const now = Date.now();
    if (before && now - before.at < LOG_EVERY_MS) {
      before.since++;
      return;
    }
    this.#logged.set(kind, { at: now, since: 0 });
    const pod = this.#reconciler.uidOf(podId);
    const repeated = before?.since || undefined;
    this.#log.warn({ direction, pod, peer, reason, repeated }, 'no tunnel');
  }

  counts(): readonly TunnelFailureCount[] {
    return [...this.#counts.values()];
  }

  #count(direction: TunnelFailure['direction'], reason: string): void {
    const key = `${direction} ${reason}`;
    const count = (this.#counts.get(key)?.count ?? 0) + 1;
    this.#counts.set(key, { direction, reason, count });
  }
}
