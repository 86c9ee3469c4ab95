/**
 * Events of the kernel: the ends of connections, refusals, executables and addresses met for the first time. The programs send no
 * wake-up for the first two (each would cost microseconds of the connection), so the rings are looked into ten times a second,
 * less often while nothing happens. Rings of older generations are read as well: their connections still end.
 */
import { EventType, FlowEvent, readTrustEvent, type TrustEvent } from './abi/layout.gen.ts';
import type { Binding, BpfMap, RingBuffer } from './binding.ts';
import { FlowRecord } from './flow-record.ts';

/** The record is valid during the call only. */
export interface EventHandlers {
  closed(record: FlowRecord, generation: number): void;
  denied(record: FlowRecord, generation: number): void;
  trust(event: TrustEvent): void;
  /** a pod dials an address of nobody known; on demand only */
  met(event: FlowEvent): void;
  /** a handler threw: the event is lost, those behind it are not */
  failed(error: unknown): void;
  /** the end of a batch */
  delivered(): void;
}

export interface EventRing {
  readonly map: BpfMap;
  /** its number */
  readonly generation: number;
}

const POLL_MS = 100;

/** What an idle agent waits at most. The ring has room for 0.8 s of 25,000 connections a second. */
const IDLE_POLL_MS = 400;

/** More than the connections that two generations can both have seen, in the moment when one took over. */
const MAX_TOLD = 65_536;

export class Events {
  readonly #rings = new Map<number, RingBuffer>();
  readonly #handlers: EventHandlers;
  readonly #binding: Binding;
  readonly #told = new Set<number>();
  readonly #record = new FlowRecord();
  #pollMs = POLL_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { binding: Binding; handlers: EventHandlers }) {
    this.#binding = options.binding;
    this.#handlers = options.handlers;
  }

  start(rings: readonly EventRing[]): void {
    for (const { map, generation } of rings) {
      const ring = this.#binding.openRingBuffer(map, (batch) => this.#deliver(batch, generation));
      this.#rings.set(generation, ring);
    }
    this.#schedule();
  }

  /** Delivers what is waiting; the number of events. */
  poll(): number {
    let events = 0;
    for (const ring of this.#rings.values()) events += ring.consume();
    return events;
  }

  /** A generation is about to be removed: its last events. */
  end(generation: number): void {
    const ring = this.#rings.get(generation);
    ring?.consume();
    ring?.close();
    this.#rings.delete(generation);
    if (this.#rings.size === 1) this.#told.clear();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const ring of this.#rings.values()) ring.close();
    this.#rings.clear();
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      const events = this.poll();
      this.#pollMs = events > 0 ? POLL_MS : Math.min(2 * this.#pollMs, IDLE_POLL_MS);
      if (this.#rings.size > 0) this.#schedule();
    }, this.#pollMs).unref();
  }

  #deliver(batch: Uint8Array, generation: number): void {
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
    for (let at = 0; at + 8 <= batch.length;) {
      const length = view.getUint32(at, true);
      try {
        if (length >= FlowEvent.size) this.#one(view, at + 8, generation);
        else if (length >= 4)
          this.#one(grown(batch.subarray(at + 8, at + 8 + length)), 0, generation);
      } catch (error) {
        this.#handlers.failed(error);
      }
      at += 8 + ((length + 7) & ~7);
    }
    this.#handlers.delivered();
  }

  #one(view: DataView, at: number, generation: number): void {
    const type = view.getUint32(at, true);
    if (type === EventType.TRUST) {
      this.#handlers.trust(readTrustEvent(view, at));
      return;
    }
    const record = this.#record;
    record.read(view, at);
    if (type === EventType.CLOSE && this.#first(record.id))
      this.#handlers.closed(record, generation);
    else if (type === EventType.DENIED) this.#handlers.denied(record, generation);
    else if (type === EventType.MET) this.#handlers.met(record.event());
  }

  /** False when another generation has told of this connection's end already. */
  #first(cookie: number): boolean {
    if (this.#rings.size < 2) return true;
    if (this.#told.has(cookie)) return false;
    if (this.#told.size === MAX_TOLD) this.#told.clear();
    this.#told.add(cookie);
    return true;
  }
}

/** A record that is shorter than struct flow_event (another struct, an older generation's): what it lacks reads as zero. */
function grown(record: Uint8Array): DataView {
  const whole = new Uint8Array(FlowEvent.size);
  whole.set(record);
  return new DataView(whole.buffer);
}
