/**
 * Flow control of what is read: what peers may still send, and when they hear that they may send more.
 *
 * The connection's window opens with every byte that has come: were it held back for streams that are not read, a few of them
 * would stop all others. What is not read is bounded by the streams' windows, which are small at first, grow to what a reader
 * has taken in the last 0.4 s, and share one allowance for the whole connection.
 */
import { ConnectionError, ErrorCode } from './error.ts';
import { DEFAULT_WINDOW, windowUpdateFrame } from './frame.ts';
import type { Outbound } from './outbound.ts';
import type { LocalSettings } from './settings.ts';
import type { Http2Stream } from './stream.ts';

/** A window is opened again when this part of it was used: fewer would stall, more would be frames for nothing. */
const PART = 0.25;
/** A reader that takes this part in less is quick enough for a larger window. */
const QUICK_MS = 100;

export class ReceiveWindow {
  readonly #outbound: Outbound;
  readonly #settings: LocalSettings;
  #isAnnounced = false;
  #left = DEFAULT_WINDOW;
  #unacknowledged = 0;
  /** of the allowance, not yet with a stream */
  #growth: number;

  constructor(options: { outbound: Outbound; settings: LocalSettings }) {
    this.#outbound = options.outbound;
    this.#settings = options.settings;
    this.#growth = options.settings.streamWindowGrowth;
  }

  /** The frame that brings the connection's window from the default to its size; empty when it may not be larger. */
  opening(): Buffer {
    const increment = this.#settings.connectionWindow - DEFAULT_WINDOW;
    if (increment <= 0) return Buffer.alloc(0);
    this.#left += increment;
    return windowUpdateFrame(0, increment);
  }

  /** What the peer may send on a new stream. Until it has acknowledged our SETTINGS it may go by the default. */
  get initial(): number {
    const { streamWindow } = this.#settings;
    return this.#isAnnounced ? streamWindow : Math.max(streamWindow, DEFAULT_WINDOW);
  }

  /** SETTINGS were acknowledged; returns by how much the windows of all streams change. */
  announced(): number {
    const before = this.initial;
    this.#isAnnounced = true;
    return this.initial - before;
  }

  /** @throws ConnectionError when the peer sends more than it may */
  receive(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0)
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window exceeded');
    this.#unacknowledged += bytes;
    if (this.#unacknowledged < this.#settings.connectionWindow * PART) return;
    this.#outbound.write(windowUpdateFrame(0, this.#unacknowledged));
    this.#left += this.#unacknowledged;
    this.#unacknowledged = 0;
  }

  /** `bytes` of `stream` are done with. */
  consumed(stream: Http2Stream, bytes: number): void {
    if (stream.remoteEnded || stream.closed) return;
    stream.unacknowledged += bytes;
    if (stream.unacknowledged < stream.windowSize * PART) return;
    const now = Date.now();
    if (now - stream.windowOpenedAt < QUICK_MS) this.#grow(stream);
    stream.windowOpenedAt = now;
    this.#outbound.write(windowUpdateFrame(stream.id, stream.unacknowledged));
    stream.receiveWindow += stream.unacknowledged;
    stream.unacknowledged = 0;
  }

  /** The stream has ended: others may have what it had grown by. */
  released(stream: Http2Stream): void {
    this.#growth += stream.windowSize - this.#settings.streamWindow;
    stream.windowSize = this.#settings.streamWindow;
  }

  #grow(stream: Http2Stream): void {
    const by = Math.min(stream.windowSize, this.#settings.maxStreamWindow - stream.windowSize);
    if (by <= 0 || by > this.#growth) return;
    this.#growth -= by;
    stream.windowSize += by;
    stream.unacknowledged += by;
  }
}
