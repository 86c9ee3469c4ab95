/**
 * Slow housekeeping: older generations without sockets go, long-lived spliced connections get a keepalive, numbers of names
 * that are gone are forgotten.
 */
import { readFileSync } from 'node:fs';
import { ConnFlags } from '../kernel/abi/layout.gen.ts';
import type { Connections } from '../kernel/connections.ts';
import type { DataPath } from '../kernel/data-path.ts';
import type { Generation } from '../kernel/generations.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Log } from '../log.ts';
import type { Mesh } from './mesh.ts';

const SWEEP_MS = 2000;
const KEEPALIVE_MS = 30_000;
const PRUNE_MS = 600_000;
const MAX_KEEPALIVE_S = 3600;
const CONNTRACK_TIMEOUT = '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established';

/** Seconds of idleness after which spliced sockets probe their peer: well under what conntrack remembers. */
export function keepaliveSeconds(): number {
  try {
    const timeout = Number(readFileSync(CONNTRACK_TIMEOUT, 'utf8'));
    return Math.max(1, Math.min(MAX_KEEPALIVE_S, Math.floor(timeout / 2)));
  } catch {
    return MAX_KEEPALIVE_S; /* no conntrack in this namespace; pods may have their own */
  }
}

export class Upkeep {
  readonly #connections: Connections;
  readonly #path: DataPath;
  readonly #reconciler: Reconciler;
  readonly #mesh: Mesh;
  readonly #beforeRemoval: (generation: Generation) => void;
  readonly #log: Log;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: {
    connections: Connections;
    path: DataPath;
    reconciler: Reconciler;
    mesh: Mesh;
    /** its last events and counters: with its pins they are gone */
    beforeRemoval: (generation: Generation) => void;
    log: Log;
  }) {
    this.#connections = options.connections;
    this.#path = options.path;
    this.#reconciler = options.reconciler;
    this.#mesh = options.mesh;
    this.#beforeRemoval = options.beforeRemoval;
    this.#log = options.log;
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#guard(() => this.#sweep()), SWEEP_MS),
      setInterval(() => this.#guard(() => this.#keepalive()), KEEPALIVE_MS),
      setInterval(() => this.#guard(() => this.#prune()), PRUNE_MS),
    ];
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #sweep(): void {
    for (const generation of this.#connections.empty()) {
      this.#beforeRemoval(generation);
      this.#path.generations.remove(generation);
      this.#log.info(
        { generation: generation.number },
        'an older generation has no connections left: removed',
      );
    }
  }

  #keepalive(): void {
    const spliced = new Set(
      this.#connections
        .views()
        .filter(({ flags }) => flags & ConnFlags.IN_SOCKHASH)
        .map(({ netns }) => netns),
    );
    for (const pod of this.#reconciler.captured()) {
      if (spliced.has(pod.netnsCookie)) this.#path.armKeepalive(pod.entry.netnsPath);
    }
  }

  #prune(): void {
    const views = this.#connections.views();
    this.#mesh.pruneNumbers(
      new Set(views.flatMap((view) => [view.sourceIdentity, view.destinationIdentity])),
    );
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (err) {
      this.#log.error({ err }, 'upkeep failed');
    }
  }
}
