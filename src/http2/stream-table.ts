/** The streams of a session by number, and what a number that is not among them means (RFC 9113, 5.1). */
import type { Http2Stream } from './stream.ts';

/** Frames for these may still be under way when we have sent RST_STREAM. */
const REMEMBERED_RESETS = 128;

export class StreamTable {
  readonly #streams = new Map<number, Http2Stream>();
  readonly #reset = new Set<number>();
  /** highest number the peer has used */
  lastPeerId = 0;
  /** the next number of our own */
  nextId: number;
  readonly #ownParity: number;

  constructor(role: 'client' | 'server') {
    this.nextId = role === 'client' ? 1 : 2;
    this.#ownParity = this.nextId & 1;
  }

  get size(): number {
    return this.#streams.size;
  }

  get(id: number): Http2Stream | undefined {
    return this.#streams.get(id);
  }

  add(stream: Http2Stream): void {
    this.#streams.set(stream.id, stream);
  }

  delete(id: number): void {
    this.#streams.delete(id);
  }

  rememberReset(id: number): void {
    this.#reset.add(id);
    if (this.#reset.size <= REMEMBERED_RESETS) return;
    const [oldest] = this.#reset;
    if (oldest !== undefined) this.#reset.delete(oldest);
  }

  wasReset(id: number): boolean {
    return this.#reset.has(id);
  }

  isOwn(id: number): boolean {
    return (id & 1) === this.#ownParity;
  }

  /** Never used so far. */
  isIdle(id: number): boolean {
    return this.isOwn(id) ? id >= this.nextId : id > this.lastPeerId;
  }

  /** A copy: streams end while one goes through them. */
  all(): Http2Stream[] {
    return [...this.#streams.values()];
  }
}
