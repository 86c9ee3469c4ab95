/**
 * Bytes of a stream that its user does not take yet. They are bounded by the stream's window; small chunks share blocks, so that
 * many small frames need no more memory than one large one.
 */
const FIRST_BLOCK_BYTES = 256;
const MAX_BLOCK_BYTES = 16 * 1024;

interface Block {
  readonly bytes: Buffer;
  used: number;
}

export class ReceiveQueue {
  paused = false;
  /** inside deliver(): what comes meanwhile goes to the end of the queue */
  delivering = false;
  /** the end was handed on */
  endTaken = false;
  #blocks: Block[] | undefined;

  /** What comes may be handed on at once. */
  get isOpen(): boolean {
    return !this.paused && this.#blocks === undefined && !this.delivering;
  }

  get isEmpty(): boolean {
    return this.#blocks === undefined;
  }

  /** Copies: the bytes were lent. */
  add(chunk: Buffer): void {
    const blocks = (this.#blocks ??= []);
    const last = blocks.at(-1);
    let at = 0;
    if (last) {
      at = chunk.copy(last.bytes, last.used);
      last.used += at;
      if (at === chunk.length) return;
    }
    const wanted = last ? Math.min(MAX_BLOCK_BYTES, last.bytes.length * 2) : FIRST_BLOCK_BYTES;
    const bytes = Buffer.allocUnsafe(Math.max(wanted, chunk.length - at));
    blocks.push({ bytes, used: chunk.copy(bytes, 0, at) });
  }

  /** Hands on until the user pauses or nothing is left. */
  deliver(take: (chunk: Buffer) => void): void {
    this.delivering = true;
    try {
      while (this.#blocks && !this.paused) {
        const block = this.#blocks.shift();
        if (this.#blocks.length === 0) this.#blocks = undefined;
        if (block) take(block.bytes.subarray(0, block.used));
      }
    } finally {
      this.delivering = false;
    }
  }

  /** True once. */
  takeEnd(): boolean {
    if (this.endTaken) return false;
    this.endTaken = true;
    return true;
  }

  clear(): void {
    this.#blocks = undefined;
  }
}
