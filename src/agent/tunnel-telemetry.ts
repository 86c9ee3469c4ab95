/** What the kernel does not see of tunnels: connections refused after their handshake, and tunnels that did not come about. */
import { addrFromText } from '../kernel/abi/address.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Log } from '../log.ts';
import type { FlowKind } from '../telemetry/flow-info.ts';
import type { TunnelDenial, TunnelFailure } from './data-plane/messages.ts';
import type { Flows } from './flows.ts';

export interface TunnelFailureCount {
  readonly direction: TunnelFailure['direction'];
  readonly reason: string;
  readonly count: number;
}

/** A peer that cannot prove itself tries again and again. */
const LOG_EVERY_MS = 1000;

export class TunnelTelemetry {
  readonly #flows: Flows;
  readonly #reconciler: Reconciler;
  readonly #log: Log;
  readonly #counts = new Map<string, TunnelFailureCount>();
  /** by kind of failure: when it was logged last, and how many since */
  readonly #logged = new Map<string, { at: number; since: number }>();

  constructor(options: { flows: Flows; reconciler: Reconciler; log: Log }) {
    this.#flows = options.flows;
    this.#reconciler = options.reconciler;
    this.#log = options.log;
  }

  /** undefined: its pod is gone */
  denied(denial: TunnelDenial): FlowKind | undefined {
    const { podId, source, sourceAddress, port, policy } = denial;
    this.#count('inbound', 'policy');
    const uid = this.#reconciler.uidOf(podId);
    const like = sourceAddress.address.includes(':');
    const address = this.#reconciler
      .captured()
      .find(({ entry }) => entry.uid === uid)
      ?.entry.addrs.find((own) => own.includes(':') === like);
    if (address === undefined) return undefined;
    return this.#flows.tunnelDenied({
      podId,
      source,
      from: addrFromText(sourceAddress.address),
      to: { addr: addrFromText(address), port },
      policy: policy ?? '',
    });
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
