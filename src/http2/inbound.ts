/** What a session does with the frames it reads: the rules of RFC 9113 that depend on the state of a stream. */
import { ConnectionError, ErrorCode, StreamError } from './error.ts';
import { type FieldList, requestFault, responseFault, trailersFault } from './fields.ts';
import type { FloodGuard } from './flood-guard.ts';
import { Cost } from './flood-guard.ts';
import { protocol } from './frame-checks.ts';
import type { FrameSink } from './frame-reader.ts';
import {
  Flag,
  FrameType,
  MAX_WINDOW,
  pingFrame,
  rstStreamFrame,
  settingsAckFrame,
} from './frame.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { DEFAULT_HEADER_TABLE_SIZE } from './frame.ts';
import type { Outbound } from './outbound.ts';
import type { ReceiveWindow } from './receive-window.ts';
import type { LocalSettings } from './settings.ts';
import type { StreamTable } from './stream-table.ts';
import type { Http2Stream } from './stream.ts';

/** What Inbound needs of the session around it. */
export interface InboundEvents {
  /** a new request; false: it came after the last stream that GOAWAY promised to serve */
  accepts(streamId: number): boolean;
  newStream(streamId: number): Http2Stream;
  request(stream: Http2Stream, fields: FieldList, endStream: boolean): void;
  goaway(lastStreamId: number, code: number): void;
  settings(): void;
  pong(opaque: Buffer): void;
  streamDone(stream: Http2Stream): void;
}

export class Inbound implements FrameSink {
  readonly #role: 'client' | 'server';
  readonly #settings: LocalSettings;
  readonly #streams: StreamTable;
  readonly #outbound: Outbound;
  readonly #guard: FloodGuard;
  readonly #window: ReceiveWindow;
  readonly #events: InboundEvents;
  readonly #decoder: HpackDecoder;
  /** of the DATA frame in hand; undefined: its bytes are for nobody */
  #current: Http2Stream | undefined;
  /** bytes of that frame that nobody has been credited for: at its end, the padding */
  #uncredited = 0;
  #empty = false;

  constructor(options: {
    role: 'client' | 'server';
    settings: LocalSettings;
    streams: StreamTable;
    outbound: Outbound;
    guard: FloodGuard;
    window: ReceiveWindow;
    events: InboundEvents;
  }) {
    this.#role = options.role;
    this.#settings = options.settings;
    this.#streams = options.streams;
    this.#outbound = options.outbound;
    this.#guard = options.guard;
    this.#window = options.window;
    this.#events = options.events;
    this.#decoder = new HpackDecoder({
      maxTableSize: DEFAULT_HEADER_TABLE_SIZE,
      maxListSize: options.settings.maxHeaderListSize,
      maxFields: options.settings.maxHeaderFields,
    });
  }

  dataBegin(streamId: number, length: number): void {
    this.#window.receive(length);
    this.#empty = length === 0;
    const stream = this.#streams.get(streamId);
    this.#current = stream && this.#mayHaveData(stream, length) ? stream : undefined;
    this.#uncredited = this.#current ? length : 0;
    if (!stream) this.#dataForNobody(streamId);
  }

  #mayHaveData(stream: Http2Stream, length: number): boolean {
    let fault: number | undefined;
    if (stream.remoteEnded) fault = ErrorCode.STREAM_CLOSED;
    else if (this.#role === 'client' && !stream.answered) fault = ErrorCode.PROTOCOL_ERROR;
    stream.receiveWindow -= length;
    /* Below 0 already when our SETTINGS made it smaller: an empty frame may still come. */
    if (length > 0 && stream.receiveWindow < 0) fault ??= ErrorCode.FLOW_CONTROL_ERROR;
    if (fault !== undefined) this.#streamError(stream, fault, 'DATA');
    return fault === undefined;
  }

  #dataForNobody(streamId: number): void {
    if (this.#streams.isIdle(streamId)) throw protocol(`DATA on idle stream ${streamId}`);
    if (this.#streams.wasReset(streamId)) return;
    this.#guard.take(Cost.RESET, 'frames for closed streams');
    this.#outbound.write(rstStreamFrame(streamId, ErrorCode.STREAM_CLOSED));
  }

  data(chunk: Buffer): void {
    if (!this.#current) return;
    this.#uncredited -= chunk.length;
    this.#current.receive(chunk);
  }

  dataEnd(endStream: boolean): void {
    const stream = this.#current;
    this.#current = undefined;
    if (this.#empty && !endStream) this.#guard.take(Cost.SMALL, 'empty DATA frames');
    if (!stream) return;
    if (this.#uncredited > 0) this.#window.consumed(stream, this.#uncredited);
    if (endStream && !stream.closed) stream.receivedEnd();
  }

  headers(streamId: number, endStream: boolean, block: Buffer): void {
    const fields = this.#decoder.decode(block);
    const stream = this.#streams.get(streamId);
    if (stream) this.#moreFields(stream, fields, endStream);
    else if (this.#role === 'server') this.#request(streamId, fields, endStream);
    else if (this.#streams.isIdle(streamId)) throw protocol(`HEADERS on idle stream ${streamId}`);
    else this.#guard.take(Cost.SMALL, 'frames for closed streams');
  }

  /** A response, or trailers of either side. */
  #moreFields(stream: Http2Stream, fields: FieldList | undefined, endStream: boolean): void {
    if (stream.remoteEnded) return this.#streamError(stream, ErrorCode.STREAM_CLOSED, 'HEADERS');
    if (!fields) return this.#streamError(stream, ErrorCode.ENHANCE_YOUR_CALM, 'too many fields');
    const isResponse = this.#role === 'client' && !stream.answered;
    const isInterim = isResponse && fields[1]?.startsWith('1') === true;
    let fault = isResponse ? responseFault(fields) : trailersFault(fields);
    if (!isResponse && !endStream) fault ??= 'trailers without an end';
    if (isInterim && endStream) fault ??= 'interim response with an end';
    if (fault !== undefined) return this.#streamError(stream, ErrorCode.PROTOCOL_ERROR, fault);
    if (isInterim) this.#guard.take(Cost.SMALL, 'interim responses');
    if (isResponse && !isInterim) stream.answered = true;
    stream.events.fields?.(fields, endStream);
    if (endStream && !stream.closed) stream.receivedEnd();
  }

  #request(streamId: number, fields: FieldList | undefined, endStream: boolean): void {
    const streams = this.#streams;
    if (streams.isOwn(streamId)) throw protocol(`a request on stream ${streamId}`);
    if (streamId <= streams.lastPeerId) {
      if (streams.wasReset(streamId)) return;
      throw new ConnectionError(ErrorCode.STREAM_CLOSED, `HEADERS on closed stream ${streamId}`);
    }
    streams.lastPeerId = streamId;
    if (!this.#events.accepts(streamId)) return;
    if (fields === undefined) {
      this.#guard.take(Cost.RESET, 'requests with too many fields');
      this.#outbound.headers(streamId, [':status', '431'], true);
      this.#refuse(streamId, ErrorCode.NO_ERROR);
    } else if (requestFault(fields) !== undefined) {
      this.#guard.take(Cost.RESET, 'malformed requests');
      this.#refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    } else if (streams.size >= this.#settings.maxConcurrentStreams) {
      this.#guard.take(Cost.RESET, 'too many streams');
      this.#refuse(streamId, ErrorCode.REFUSED_STREAM);
    } else {
      const stream = this.#events.newStream(streamId);
      this.#events.request(stream, fields, endStream);
      if (endStream && !stream.closed) stream.receivedEnd();
    }
  }

  #refuse(streamId: number, code: number): void {
    this.#streams.rememberReset(streamId);
    this.#outbound.write(rstStreamFrame(streamId, code));
  }

  frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    switch (type) {
      case FrameType.WINDOW_UPDATE:
        this.#windowUpdate(streamId, payload.readUInt32BE(0) & MAX_WINDOW);
        break;
      case FrameType.RST_STREAM:
        this.#rstStream(streamId, payload.readUInt32BE(0));
        break;
      case FrameType.SETTINGS:
        this.#settingsFrame(flags, payload);
        break;
      case FrameType.PING:
        if (flags & Flag.ACK) {
          this.#events.pong(payload);
        } else {
          this.#guard.take(Cost.SMALL, 'PING');
          this.#outbound.write(pingFrame(payload, true));
        }
        break;
      case FrameType.GOAWAY:
        this.#guard.take(Cost.SMALL, 'GOAWAY');
        this.#events.goaway(payload.readUInt32BE(0) & MAX_WINDOW, payload.readUInt32BE(4));
        break;
      default:
        this.#guard.take(Cost.SMALL, 'PRIORITY');
    }
  }

  skipped(): void {
    this.#guard.take(Cost.SMALL, 'unknown frames');
  }

  #settingsFrame(flags: number, payload: Buffer): void {
    this.#guard.take(Cost.SETTINGS, 'SETTINGS');
    if (flags & Flag.ACK) {
      const smaller = this.#window.announced();
      if (smaller < 0) for (const stream of this.#streams.all()) stream.receiveWindow += smaller;
      return;
    }
    const change = this.#outbound.applySettings(payload, this.#role);
    if (change !== 0) {
      for (const stream of this.#streams.all()) {
        if (stream.sendWindow + change > MAX_WINDOW)
          throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE');
        stream.windowOpened(change);
      }
    }
    this.#outbound.write(settingsAckFrame());
    this.#events.settings();
  }

  #windowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      if (increment === 0) throw protocol('WINDOW_UPDATE of 0');
      this.#outbound.addWindow(increment);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (!stream) {
      if (this.#streams.isIdle(streamId))
        throw protocol(`WINDOW_UPDATE on idle stream ${streamId}`);
    } else if (increment === 0) {
      this.#streamError(stream, ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    } else if (stream.sendWindow + increment > MAX_WINDOW) {
      this.#streamError(stream, ErrorCode.FLOW_CONTROL_ERROR, 'window too large');
    } else {
      stream.windowOpened(increment);
    }
  }

  #rstStream(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId);
    if (!stream) {
      if (this.#streams.isIdle(streamId)) throw protocol(`RST_STREAM on idle stream ${streamId}`);
      return;
    }
    if (this.#role === 'server' && !stream.answered)
      this.#guard.take(Cost.RESET, 'requests reset before their answer');
    this.#events.streamDone(stream);
    stream.peerReset(code);
  }

  /** The peer did wrong on one stream. */
  #streamError(stream: Http2Stream, code: number, detail: string): void {
    this.#guard.take(Cost.RESET, 'stream errors');
    this.#events.streamDone(stream);
    this.#refuse(stream.id, code);
    stream.fail(new StreamError(code, detail));
  }
}
