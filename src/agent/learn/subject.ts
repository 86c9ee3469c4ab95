/**
 * One executable (or one program of an interpreter) that is being learnt: what has been seen of it so far.
 *
 * Only what happens while the observer is attached counts: connections that closed before say nothing, and of older
 * live ones only new bytes do.
 */
import type { Executable } from './executable.ts';
import type { Evidence, BehaviourName } from './trust-policy.ts';
import type { TrustKey } from '../../kernel/abi/layout.gen.ts';

export interface Sighting {
  /** trust.quiet: connections closed after having received data */
  readonly closedQuiet: number;
  /** trust.connections */
  readonly connections: number;
  /** bytes received by each live connection, by cookie */
  readonly live: ReadonlyMap<bigint, bigint>;
  readonly nowMs: number;
}

export class Subject {
  readonly key: TrustKey;
  readonly behaviours = new Set<BehaviourName>();
  tgid: number;
  executable: Executable | undefined;
  inspectedMs = -Infinity;
  inspecting = false;
  movedMs: number;
  #observedMs = 0;
  #quiet = 0;
  #liveQuiet = 0;
  #attachedMs: number | undefined;
  #lastClosed: number;
  #lastConnections: number;
  /** bytes that live connections had received when the observer was attached */
  #base = new Map<bigint, bigint>();

  constructor(options: {
    key: TrustKey;
    tgid: number;
    nowMs: number;
    closedQuiet?: number;
    connections?: number;
  }) {
    this.key = options.key;
    this.tgid = options.tgid;
    this.movedMs = options.nowMs;
    this.#lastClosed = options.closedQuiet ?? 0;
    this.#lastConnections = options.connections ?? 0;
  }

  /** The observer is attached from now on; `live` are the connections that exist already. */
  attached(nowMs: number, live: ReadonlyMap<bigint, bigint>): void {
    this.#attachedMs = nowMs;
    this.#base = new Map(live);
  }

  detached(): void {
    this.#attachedMs = undefined;
    this.#liveQuiet = 0;
  }

  see(sighting: Sighting): void {
    const { closedQuiet, connections, live, nowMs } = sighting;
    let liveQuiet = 0;
    for (const [cookie, received] of live) {
      if (received > (this.#base.get(cookie) ?? 0n)) liveQuiet++;
    }
    const moved =
      closedQuiet !== this.#lastClosed ||
      connections !== this.#lastConnections ||
      liveQuiet > this.#liveQuiet;
    if (moved) this.movedMs = nowMs;
    if (this.#attachedMs !== undefined) {
      this.#observedMs += nowMs - this.#attachedMs;
      this.#attachedMs = nowMs;
      this.#quiet += Math.max(0, closedQuiet - this.#lastClosed);
      this.#liveQuiet = liveQuiet;
    }
    this.#lastClosed = closedQuiet;
    this.#lastConnections = connections;
  }

  evidence(): Evidence {
    return {
      executable: this.executable,
      hasArguments: this.key.argv !== 0n,
      behaviours: this.behaviours,
      quietConnections: this.#quiet + this.#liveQuiet,
      observedMs: this.#observedMs,
    };
  }

  /** For the log. */
  summary(): { quietConnections: number; observedMs: number } {
    const { quietConnections, observedMs } = this.evidence();
    return { quietConnections, observedMs: Math.round(observedMs) };
  }
}
