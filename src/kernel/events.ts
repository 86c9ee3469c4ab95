/**
 * Events of the kernel: the ends of connections, refusals, executables met for the first time. The programs send no
 * wake-up for the first two (each would cost microseconds of the connection), so the rings are looked into ten times a second.
 * Rings of older generations are read as well: their connections still end.
 */
import { EventType, FlowEvent, TrustEvent } from './abi/layout.gen.ts';
import type { Binding, BpfMap, RingBuffer } from './binding.ts';

export interface EventHandlers {
  closed(event: FlowEvent, generation: number): void;
  denied(event: FlowEvent, generation: number): void;
  trust(event: TrustEvent): void;
}

export interface EventRing {
  readonly map: BpfMap;
  /** its number */
  readonly generation: number;
}

const POLL_MS = 100;

/** More than the connections that two generations can both have seen, in the moment when one took over. */
const MAX_TOLD = 65_536;

export class Events {
  readonly #rings = new Map<number, RingBuffer>();
  readonly #handlers: EventHandlers;
  readonly #binding: Binding;
  readonly #told = new Set<bigint>();
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
    this.#timer = setInterval(() => this.poll(), POLL_MS);
    this.#timer.unref();
  }

  poll(): void {
    for (const ring of this.#rings.values()) ring.consume();
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
    clearInterval(this.#timer);
    for (const ring of this.#rings.values()) ring.close();
    this.#rings.clear();
  }

  #deliver(batch: Uint8Array, generation: number): void {
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
    for (let at = 0; at + 8 <= batch.length;) {
      const length = view.getUint32(at, true);
      this.#one(batch.subarray(at + 8, at + 8 + length), generation);
      at += 8 + ((length + 7) & ~7);
    }
  }

  #one(record: Uint8Array, generation: number): void {
    if (record.length < 4) return;
    const type = new DataView(record.buffer, record.byteOffset).getUint32(0, true);
    if (type === EventType.TRUST) {
      this.#handlers.trust(TrustEvent.decode(grown(record, TrustEvent.size)));
      return;
    }
    const event = FlowEvent.decode(grown(record, FlowEvent.size));
    if (type === EventType.CLOSE && this.#first(event)) this.#handlers.closed(event, generation);
    else if (type === EventType.DENIED) this.#handlers.denied(event, generation);
  }

  /** False when another generation has told of this connection's end already. */
  #first(event: FlowEvent): boolean {
    const cookie = event.cookie || event.serverCookie;
    if (this.#rings.size < 2) return true;
    if (this.#told.has(cookie)) return false;
    if (this.#told.size === MAX_TOLD) this.#told.clear();
    this.#told.add(cookie);
    return true;
  }
}

/** An older generation's record is shorter: what it does not have reads as zero. */
function grown(record: Uint8Array, size: number): Uint8Array {
  if (record.length >= size) return record;
  const whole = new Uint8Array(size);
  whole.set(record);
  return whole;
}
