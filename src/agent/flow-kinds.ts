/**
 * What telemetry keeps for each kind of connection, found by the raw bytes of an event: who, where to, by which path and
 * why are the same for thousands of connections between two pods.
 *
 * Names behind the numbers change with the mesh and with the pods of this node, so everything is forgotten then.
 */
import type { FlowEvent } from '../kernel/abi/layout.gen.ts';
import type { FlowRecord } from '../kernel/flow-record.ts';

/** Clients from outside have an address each: a scan of the node must not fill the memory. */
const MAX_KINDS = 2048;

interface Entry<T> {
  readonly generation: number;
  readonly words: Uint32Array;
  readonly kept: T;
}

export interface FlowKindsOptions<T> {
  /** values that are all the same objects, or numbers, for as long as what was kept is right */
  readonly validity: () => readonly [unknown, unknown];
  readonly make: (event: FlowEvent, generation: number) => T;
}

export class FlowKinds<T> {
  readonly #options: FlowKindsOptions<T>;
  /** by hash; of two kinds with the same hash the last one is kept */
  readonly #entries = new Map<number, Entry<T>>();
  #validity: readonly [unknown, unknown] = [undefined, undefined];

  constructor(options: FlowKindsOptions<T>) {
    this.#options = options;
  }

  of(record: FlowRecord, generation: number): T {
    this.#forgetStale();
    const hash = record.kindHash(generation);
    const entry = this.#entries.get(hash);
    if (entry && entry.generation === generation && record.isOfKind(entry.words)) return entry.kept;
    const kept = this.#options.make(record.event(), generation);
    if (this.#entries.size >= MAX_KINDS) this.#entries.clear();
    this.#entries.set(hash, { generation, words: record.kindWords(), kept });
    return kept;
  }

  #forgetStale(): void {
    const now = this.#options.validity();
    if (now[0] === this.#validity[0] && now[1] === this.#validity[1]) return;
    this.#entries.clear();
    this.#validity = now;
  }
}
