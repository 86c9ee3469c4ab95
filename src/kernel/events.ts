/**
 * Events of the kernel: the ends of connections, refusals, executables met for the first time. The programs send no
 * wake-up for the first two (each would cost microseconds of the connection), so the rings are looked into ten times a second.
 */
import { EventType, FlowEvent, TrustEvent } from './abi/layout.gen.ts';
import type { Binding, BpfMap, RingBuffer } from './binding.ts';

export interface EventHandlers {
  closed(event: FlowEvent): void;
  denied(event: FlowEvent): void;
  trust(event: TrustEvent): void;
}

const POLL_MS = 100;

export class Events {
  readonly #rings: RingBuffer[] = [];
  readonly #handlers: EventHandlers;
  readonly #binding: Binding;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { binding: Binding; handlers: EventHandlers }) {
    this.#binding = options.binding;
    this.#handlers = options.handlers;
  }

  /** Rings of older generations are read as well: their connections still end. */
  start(maps: readonly BpfMap[]): void {
    for (const map of maps) {
      this.#rings.push(this.#binding.openRingBuffer(map, (batch) => this.#deliver(batch)));
    }
    this.#timer = setInterval(() => this.poll(), POLL_MS);
    this.#timer.unref();
  }

  poll(): void {
    for (const ring of this.#rings) ring.consume();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const ring of this.#rings) ring.close();
    this.#rings.length = 0;
  }

  #deliver(batch: Uint8Array): void {
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
    for (let at = 0; at + 8 <= batch.length;) {
      const length = view.getUint32(at, true);
      this.#one(batch.subarray(at + 8, at + 8 + length));
      at += 8 + ((length + 7) & ~7);
    }
  }

  #one(record: Uint8Array): void {
    if (record.length < 4) return;
    const type = new DataView(record.buffer, record.byteOffset).getUint32(0, true);
    if (type === EventType.TRUST) {
      this.#handlers.trust(TrustEvent.decode(grown(record, TrustEvent.size)));
      return;
    }
    const event = FlowEvent.decode(grown(record, FlowEvent.size));
    if (type === EventType.CLOSE) this.#handlers.closed(event);
    else if (type === EventType.DENIED) this.#handlers.denied(event);
  }
}

/** An older generation's record is shorter: what it does not have reads as zero. */
function grown(record: Uint8Array, size: number): Uint8Array {
  if (record.length >= size) return record;
  const whole = new Uint8Array(size);
  whole.set(record);
  return whole;
}
