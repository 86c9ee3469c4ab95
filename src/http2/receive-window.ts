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
  #left = DEFAULT_WINDOW;
  #unacknowledged = 0;

  constructor(options: { outbound: Outbound; settings: LocalSettings }) {
    const { streamWindow, connectionWindow } = options.settings;
    this.#outbound = options.outbound;
    this.#connectionWindow = connectionWindow;
    this.#streamPart = streamWindow * PART;
    this.#connectionPart = connectionWindow * PART;
  }

  /** The frame that brings the connection's window from the default to its size. */
  opening(): Buffer {
    const increment = this.#connectionWindow - DEFAULT_WINDOW;
    this.#left += increment;
    return windowUpdateFrame(0, increment);
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
