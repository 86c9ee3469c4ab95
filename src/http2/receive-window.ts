/** Flow control of what is read: what peers may still send, and when they hear that they may send more. */
import { ConnectionError, ErrorCode } from './error.ts';
import { DEFAULT_WINDOW, windowUpdateFrame } from './frame.ts';
import type { Outbound } from './outbound.ts';
import type { LocalSettings } from './settings.ts';
import type { Http2Stream } from './stream.ts';

/** A window is opened again when this part of it was used: fewer would stall, more would be frames for nothing. */
const PART = 0.25;

export class ReceiveWindow {
  readonly #outbound: Outbound;
  readonly #streamPart: number;
  readonly #connectionPart: number;
  readonly #connectionWindow: number;
  readonly #streamWindow: number;
  #isAnnounced = false;
  #left = DEFAULT_WINDOW;
  #unacknowledged = 0;

  constructor(options: { outbound: Outbound; settings: LocalSettings }) {
    const { streamWindow, connectionWindow } = options.settings;
    this.#outbound = options.outbound;
    this.#connectionWindow = connectionWindow;
    this.#streamWindow = streamWindow;
    this.#streamPart = streamWindow * PART;
    this.#connectionPart = connectionWindow * PART;
  }

  /** The frame that brings the connection's window from the default to its size; empty when it may not be larger. */
  opening(): Buffer {
    const increment = this.#connectionWindow - DEFAULT_WINDOW;
    if (increment <= 0) return Buffer.alloc(0);
    this.#left += increment;
    return windowUpdateFrame(0, increment);
  }

  /** What the peer may send on a new stream. Until it has acknowledged our SETTINGS it may go by the default. */
  get initial(): number {
    return this.#isAnnounced ? this.#streamWindow : Math.max(this.#streamWindow, DEFAULT_WINDOW);
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
  }

  /** `bytes` of `stream` are done with; undefined: of a stream that is gone. */
  consumed(stream: Http2Stream | undefined, bytes: number): void {
    this.#unacknowledged += bytes;
    if (this.#unacknowledged >= this.#connectionPart) {
      this.#outbound.write(windowUpdateFrame(0, this.#unacknowledged));
      this.#left += this.#unacknowledged;
      this.#unacknowledged = 0;
    }
    if (!stream || stream.remoteEnded || stream.closed) return;
    stream.unacknowledged += bytes;
    if (stream.unacknowledged >= this.#streamPart) {
      this.#outbound.write(windowUpdateFrame(stream.id, stream.unacknowledged));
      stream.receiveWindow += stream.unacknowledged;
      stream.unacknowledged = 0;
    }
  }
}
