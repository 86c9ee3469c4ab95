/**
 * Operations for the addon, gathered until the turn ends: four numbers each, bytes by their place in the shared arena.
 */
import { type NativeTransport, OPS_HEAD, OpType, SLOT_MASK } from './transport-port.ts';

/** below this a loop is quicker than TypedArray.set() */
const SMALL = 24;

export class TransportRing {
  readonly arena: Buffer;
  readonly #native: NativeTransport;
  readonly #memory: ArrayBuffer;
  readonly #ops: Int32Array;
  readonly #blocked: Uint8Array;
  readonly #writeArena: number;
  readonly #writeBytes: number;
  readonly #gap: number;
  readonly #maxOps: number;
  /** where the read that is being delivered begins, while the gap before it is free; else -1 */
  #freeGapAt = -1;

  constructor(native: NativeTransport) {
    this.#native = native;
    this.#memory = native.arena;
    this.arena = Buffer.from(native.arena);
    this.#ops = native.ops;
    this.#blocked = native.blocked;
    this.#writeArena = native.writeArena;
    this.#writeBytes = native.arena.byteLength - native.writeArena;
    this.#gap = native.gap;
    this.#maxOps = (native.ops.length - OPS_HEAD) / 4;
  }

  /** A handler is about to see the read at `offset`. */
  delivering(offset: number): void {
    this.#freeGapAt = offset;
  }

  /** The addon may not see the operations before the next flush: the loop's, or when there is no more room. */
  push(type: number, id: number, a: number, b: number): void {
    const ops = this.#ops;
    if (ops[0] === this.#maxOps) this.#native.flush();
    const count = ops[0]!;
    const at = OPS_HEAD + 4 * count;
    ops[at] = type;
    ops[at + 1] = id;
    ops[at + 2] = a;
    ops[at + 3] = b;
    ops[0] = count + 1;
  }

  isBlocked(id: number): boolean {
    return this.#blocked[id & SLOT_MASK] === 1;
  }

  write(id: number, chunk: Uint8Array): void {
    const { length } = chunk;
    if (length === 0) return;
    if (chunk.buffer === this.#memory) {
      if (chunk.byteOffset !== this.#freeGapAt || !this.#joinHead(id, length)) {
        this.push(OpType.WRITE, id, chunk.byteOffset, length);
      }
      return;
    }
    const ops = this.#ops;
    let used = ops[1]!;
    if (used + length <= this.#writeBytes) {
      this.#copy(id, chunk, used);
      return;
    }
    for (let from = 0; from < length;) {
      used = ops[1]!;
      if (used === this.#writeBytes) {
        this.#native.flush();
        used = 0;
      }
      const part = chunk.subarray(from, from + this.#writeBytes - used);
      this.#copy(id, part, used);
      from += part.length;
    }
  }

  #copy(id: number, chunk: Uint8Array, used: number): void {
    const { length } = chunk;
    let at = this.#writeArena + used;
    /* May flush, and begin the arena anew. */
    if (this.#ops[0] === this.#maxOps) {
      this.#native.flush();
      at = this.#writeArena;
    }
    const { arena } = this;
    if (length <= SMALL) for (let i = 0; i < length; i++) arena[at + i] = chunk[i]!;
    else arena.set(chunk, at);
    this.#ops[1] = at - this.#writeArena + length;
    this.push(OpType.WRITE, id, at, length);
  }

  /**
   * A few bytes and then a whole read, to one link: a frame's head and its payload. The head moves into the gap, so that the
   * addon sees one piece; for TLS that saves copying the payload into a record.
   */
  #joinHead(id: number, length: number): boolean {
    const ops = this.#ops;
    const last = OPS_HEAD + 4 * (ops[0]! - 1);
    if (last < OPS_HEAD || ops[last] !== OpType.WRITE || ops[last + 1] !== id) return false;
    const from = ops[last + 2]!;
    const head = ops[last + 3]!;
    if (head > this.#gap || from < this.#writeArena) return false;
    const at = this.#freeGapAt - head;
    const { arena } = this;
    for (let i = 0; i < head; i++) arena[at + i] = arena[from + i]!;
    ops[last + 2] = at;
    ops[last + 3] = head + length;
    this.#freeGapAt = -1;
    return true;
  }
}
