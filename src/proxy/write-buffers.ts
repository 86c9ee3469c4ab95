/** Buffers in which the links of one transport put together what they write; used again when it has been written. */

/** What one read of a socket gives, and the heads of its frames. */
const BYTES = 68 * 1024;
const KEPT = 16;

export class WriteBuffers {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BYTES);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < KEPT) this.#free.push(buffer);
  }
}
