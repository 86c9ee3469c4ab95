/** Two links that are joined in memory, or one whose other end is the test: bytes in pieces of any size, and a reader that may stop. */
import type { Link, LinkHandlers } from '../../src/proxy/transport.ts';

export class MemoryLink implements Link {
  readonly fd = -1;
  bytesRead = 0;
  bytesWritten = 0;
  /** what the owner has sent, for a test without a peer */
  readonly sent: Buffer[] = [];
  ended = false;
  closed = false;
  wasReset = false;
  /** bytes that may be on their way before send() says false */
  highWater = 64 * 1024;
  /** how many bytes of what was sent the peer takes at a time; 0: it does not read */
  pieceBytes = Infinity;
  peer: MemoryLink | undefined;
  #handlers: LinkHandlers | undefined;
  #queue: Buffer[] = [];
  #queued = 0;
  #blocked = false;
  #paused = false;
  #endSent = false;
  #pumping = false;

  start(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    this.peer?.pump();
  }

  send(chunk: Uint8Array): boolean {
    if (this.closed || this.ended) return false;
    const copy = Buffer.from(chunk);
    this.bytesWritten += copy.length;
    if (!this.peer) {
      this.sent.push(copy);
      return true;
    }
    this.#queue.push(copy);
    this.#queued += copy.length;
    this.pump();
    this.#blocked = this.#queued > this.highWater;
    return !this.#blocked;
  }

  /** Moves what is queued to the peer, later. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#move();
    });
  }

  #move(): void {
    const { peer } = this;
    if (!peer || peer.closed) return;
    while (this.#queue.length > 0 && peer.#handlers && !peer.#paused && this.pieceBytes > 0) {
      const chunk = this.#queue.shift() ?? Buffer.alloc(0);
      const piece = chunk.subarray(0, this.pieceBytes);
      if (piece.length < chunk.length) this.#queue.unshift(chunk.subarray(piece.length));
      this.#queued -= piece.length;
      peer.receive(piece);
    }
    if (this.#blocked && this.#queued === 0) {
      this.#blocked = false;
      this.#handlers?.drain();
    }
    if (this.ended && !this.#endSent && this.#queue.length === 0 && peer.#handlers) {
      this.#endSent = true;
      peer.#handlers.end();
      if (peer.ended) this.#closeBoth();
    }
  }

  #closeBoth(): void {
    this.finish();
    this.peer?.finish();
  }

  /** Bytes from the other end; the test's, or the peer's. They are overwritten afterwards, as a transport may do. */
  receive(bytes: Uint8Array): void {
    if (this.closed) return;
    const lent = Buffer.from(bytes);
    this.bytesRead += lent.length;
    this.#handlers?.data(lent);
    lent.fill(0xee);
  }

  finish(error?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.#handlers?.close(error);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.peer?.pump();
  }

  end(): void {
    this.ended = true;
    this.pump();
  }

  close(reset: boolean): void {
    this.wasReset ||= reset;
    setImmediate(() => {
      this.finish();
      this.peer?.finish(reset ? new Error('reset') : undefined);
    });
  }
}

export function linkPair(): [MemoryLink, MemoryLink] {
  const [a, b] = [new MemoryLink(), new MemoryLink()];
  a.peer = b;
  b.peer = a;
  return [a, b];
}
