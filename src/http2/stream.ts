/**
 * One stream of a session, as a Link: whoever can join two sockets can join a socket and a stream. Half-close is END_STREAM,
 * a reset is RST_STREAM. What cannot be sent or delivered yet is queued: sent bytes up to what the user gives after
 * send() said false, received ones up to the window.
 */
import type { Link, LinkHandlers } from '../proxy/transport.ts';
import { ErrorCode, StreamError } from './error.ts';
import type { FieldList } from './fields.ts';
import type { Outbound } from './outbound.ts';
import { ReceiveQueue } from './receive-queue.ts';

export interface StreamEvents {
  /** the response (1xx too) or the trailers; a request's fields come with the stream itself */
  fields?(fields: FieldList, endStream: boolean): void;
  /** once, whether start() was called or not; `error` unless both directions ended in order */
  closed?(error?: Error): void;
}

/** What a stream needs of its session. */
export interface StreamHost {
  readonly outbound: Outbound;
  /** `bytes` have reached the user: the peer may send as many more. */
  consumed(stream: Http2Stream, bytes: number): void;
  /** Nothing of it is kept any more. */
  released(stream: Http2Stream): void;
  /** Ends the stream on the wire with RST_STREAM. */
  resetStream(stream: Http2Stream, code: number): void;
  /** Both directions are over on the wire. */
  streamDone(stream: Http2Stream): void;
}

export class Http2Stream implements Link {
  readonly fd = -1;
  readonly id: number;
  readonly #host: StreamHost;
  /** what the peer still allows */
  sendWindow: number;
  /** what the peer may still send */
  receiveWindow: number;
  /** what the peer may have on its way at most */
  windowSize: number;
  /** when the peer last heard that it may send more, ms since 1970 */
  windowOpenedAt = 0;
  /** consumed, and not yet given back to the peer */
  unacknowledged = 0;
  bytesRead = 0;
  bytesWritten = 0;
  events: StreamEvents = {};
  /** the code that close() ends with */
  resetCode: number = ErrorCode.CANCEL;
  /** RST_STREAM with NO_ERROR or CANCEL is the end of the peer's bytes and no error, as ztunnel reads it */
  cancelIsEnd = false;
  /** final response fields have been sent (server) or have come (client) */
  answered = false;
  #handlers: LinkHandlers | undefined;
  readonly #received = new ReceiveQueue();
  #toSend: Buffer[] | undefined;
  #endAsked = false;
  #localEnded = false;
  #remoteEnded = false;
  /** the peer cancelled: nothing can be sent, what has come is still delivered */
  #broken: Error | undefined;
  #closed = false;
  #error: Error | undefined;

  constructor(
    options: Pick<Http2Stream, 'id' | 'sendWindow' | 'receiveWindow' | 'windowSize'> & {
      host: StreamHost;
    },
  ) {
    this.id = options.id;
    this.#host = options.host;
    this.sendWindow = options.sendWindow;
    this.receiveWindow = options.receiveWindow;
    this.windowSize = options.windowSize;
  }

  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The server's response, or trailers; `endStream` ends this direction. */
  sendFields(fields: FieldList, endStream = false): void {
    if (this.#closed || this.#localEnded || this.#broken) return;
    if (!(fields[0] === ':status' && fields[1]?.startsWith('1'))) this.answered = true;
    this.#host.outbound.headers(this.id, fields, endStream);
    if (endStream) this.#sendingEnded();
  }

  start(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    if (this.#closed) handlers.close(this.#error);
    else this.#deliver();
  }

  send(chunk: Uint8Array): boolean {
    if (this.#closed || this.#endAsked) return false;
    if (this.#broken) {
      this.#finishSoon(this.#broken);
      return false;
    }
    this.bytesWritten += chunk.length;
    const { outbound } = this.#host;
    if (this.#toSend) {
      this.#toSend.push(Buffer.from(chunk));
      return false;
    }
    if (outbound.blocked) {
      this.#toSend = [Buffer.from(chunk)];
      outbound.waitForLink(this);
      return false;
    }
    const taken = outbound.data(this, chunk);
    if (taken < chunk.length) this.#toSend = [Buffer.from(chunk.subarray(taken))];
    return this.#mayGoOn();
  }

  /** True when there is nothing to wait for; otherwise the stream is among those that wait for it. */
  #mayGoOn(): boolean {
    const { outbound } = this.#host;
    if (!this.#toSend) {
      if (!outbound.blocked) return true;
      outbound.waitForLink(this);
    } else if (this.sendWindow > 0) {
      if (outbound.window <= 0) outbound.waitForWindow(this);
      else outbound.waitForLink(this);
    }
    return false;
  }

  serve(quantum: number): void {
    if (this.#closed) return;
    const queue = this.#toSend;
    let left = quantum;
    while (queue && left > 0) {
      const chunk = queue[0];
      if (!chunk) break;
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      const taken = this.#host.outbound.data(this, part);
      left -= taken;
      if (taken === chunk.length) queue.shift();
      else queue[0] = chunk.subarray(taken);
      if (taken < part.length) break;
    }
    if (queue?.length === 0) this.#toSend = undefined;
    if (!this.#toSend && this.#endAsked && !this.#localEnded) this.#sendEnd();
    else if (this.#mayGoOn() && !this.#endAsked) this.#handlers?.drain();
  }

  /** The peer opened the window, or with a negative number closed it. */
  windowOpened(increment: number): void {
    const before = this.sendWindow;
    this.sendWindow += increment;
    if (this.#toSend && before <= 0 && this.sendWindow > 0) this.#host.outbound.ready(this);
  }

  pause(): void {
    this.#received.paused = true;
  }

  resume(): void {
    if (!this.#received.paused) return;
    this.#received.paused = false;
    this.#deliver();
  }

  end(): void {
    if (this.#endAsked || this.#closed) return;
    this.#endAsked = true;
    if (this.#broken) this.#finishIfOver();
    else if (!this.#toSend) this.#sendEnd();
  }

  #sendEnd(): void {
    this.#host.outbound.endStream(this.id);
    this.#sendingEnded();
  }

  #sendingEnded(): void {
    this.#endAsked = true;
    this.#localEnded = true;
    if (this.#remoteEnded) this.#host.streamDone(this);
    this.#finishIfOver();
  }

  /** Unless both directions have ended: `reset` is RST_STREAM with `resetCode`; otherwise the end, and no more is read. */
  close(reset: boolean): void {
    if (this.#closed) return;
    if (!this.#broken && !(this.#localEnded && this.#remoteEnded)) {
      /* An end after bytes that never left would pass for the whole. */
      const lost = reset || this.#toSend !== undefined;
      if (!lost && !this.#localEnded) {
        this.#host.outbound.endStream(this.id);
        this.#localEnded = true;
      }
      if (lost) this.#host.resetStream(this, this.resetCode);
      else if (this.#remoteEnded) this.#host.streamDone(this);
      else this.#host.resetStream(this, ErrorCode.CANCEL);
    }
    this.#finishSoon(undefined);
  }

  /** Part of a DATA frame. */
  receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.bytesRead += chunk.length;
    if (this.#handlers && this.#received.isOpen) {
      this.#handlers.data(chunk);
      this.#host.consumed(this, chunk.length);
    } else {
      this.#received.add(chunk);
    }
  }

  /** END_STREAM came. */
  receivedEnd(): void {
    this.#remoteEnded = true;
    if (this.#localEnded) this.#host.streamDone(this);
    this.#deliver();
  }

  /** RST_STREAM came; the session has forgotten the stream. */
  peerReset(code: number): void {
    const error = new StreamError(code, 'reset by the peer', { byPeer: true });
    const asEnd = code === ErrorCode.NO_ERROR || code === ErrorCode.CANCEL;
    if (!this.cancelIsEnd || !asEnd || !this.answered) {
      this.fail(error);
      return;
    }
    this.#broken = error;
    this.#toSend = undefined;
    this.#remoteEnded = true;
    this.#host.outbound.forget(this);
    this.#deliver();
  }

  /** RST_STREAM, and an end with `error`. */
  abort(error: Error): void {
    if (this.#closed) return;
    if (!this.#broken && !(this.#localEnded && this.#remoteEnded))
      this.#host.resetStream(this, this.resetCode);
    this.#finish(error);
  }

  /** The end without order, for which nothing is sent. */
  fail(error: Error): void {
    if (!this.#closed) this.#finish(error);
  }

  #deliver(): void {
    const handlers = this.#handlers;
    if (!handlers || this.#received.delivering) return;
    this.#received.deliver((chunk) => {
      handlers.data(chunk);
      this.#host.consumed(this, chunk.length);
    });
    if (!this.#remoteEnded || this.#closed || !this.#received.isEmpty) return;
    if (this.#received.takeEnd()) handlers.end();
    this.#finishIfOver();
  }

  #finishIfOver(): void {
    const sent = this.#localEnded || (this.#broken !== undefined && this.#endAsked);
    if (sent && this.#received.endTaken && !this.#closed) this.#finish(undefined);
  }

  /** As a socket does: not inside the call that caused it. */
  #finishSoon(error: Error | undefined): void {
    this.#closing();
    this.#error = error;
    process.nextTick(() => this.#tell());
  }

  #finish(error: Error | undefined): void {
    this.#closing();
    this.#error = error;
    this.#tell();
  }

  #closing(): void {
    this.#closed = true;
    this.#toSend = undefined;
    this.#host.outbound.forget(this);
    this.#received.clear();
    this.#host.released(this);
  }

  #tell(): void {
    this.events.closed?.(this.#error);
    this.#handlers?.close(this.#error);
  }
}
