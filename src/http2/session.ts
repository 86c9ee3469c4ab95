/**
 * One HTTP/2 connection over a link, as client or server: opening and accepting streams, keepalive, graceful and hard ends. What
 * frames mean is inbound.ts's, what is sent outbound.ts's.
 */
import type { Link } from '../proxy/transport.ts';
import { ConnectionError, ErrorCode, errorName, StreamError } from './error.ts';
import type { FieldList } from './fields.ts';
import { FloodGuard } from './flood-guard.ts';
import { FrameReader } from './frame-reader.ts';
import {
  goawayFrame,
  MAX_STREAM_ID,
  PREFACE,
  pingFrame,
  rstStreamFrame,
  settingsFrame,
} from './frame.ts';
import { Inbound } from './inbound.ts';
import { KEEPALIVE, Keepalive, type KeepaliveTimes } from './keepalive.ts';
import { Outbound } from './outbound.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { SessionEvents } from './session-events.ts';
import { announced, CLIENT_SETTINGS, type LocalSettings, SERVER_SETTINGS } from './settings.ts';
import { StreamTable } from './stream-table.ts';
import { Http2Stream, type StreamEvents, type StreamHost } from './stream.ts';

const DRAIN_PING = Buffer.from('drain\0\0\0', 'latin1');
/** How long a peer has to answer the ping between the two GOAWAYs, and to read the last bytes. */
const FAREWELL_MS = 1000;

export class Session {
  readonly role: 'client' | 'server';
  readonly #link: Link;
  readonly #events: SessionEvents;
  readonly #settings: LocalSettings;
  readonly #streams: StreamTable;
  readonly #outbound: Outbound;
  readonly #window: ReceiveWindow;
  readonly #reader: FrameReader;
  readonly #host: StreamHost;
  readonly #keepalive: Keepalive;
  /** the last stream that is served; after our final GOAWAY */
  #lastServed = MAX_STREAM_ID;
  #draining = false;
  #peerGone = false;
  #ended = false;
  #farewell: NodeJS.Timeout | undefined;

  constructor(options: {
    link: Link;
    role: 'client' | 'server';
    events: SessionEvents;
    settings?: Partial<LocalSettings>;
    keepalive?: KeepaliveTimes;
  }) {
    const { link, role, events } = options;
    this.role = role;
    this.#link = link;
    this.#events = events;
    const defaults = role === 'client' ? CLIENT_SETTINGS : SERVER_SETTINGS;
    this.#settings = { ...defaults, ...options.settings };
    this.#streams = new StreamTable(role);
    this.#outbound = new Outbound({
      link,
      onOverflow: () => process.nextTick(() => this.#overflow()),
    });
    this.#window = new ReceiveWindow({ outbound: this.#outbound, settings: this.#settings });
    this.#host = {
      outbound: this.#outbound,
      consumed: (stream, bytes) => this.#window.consumed(stream, bytes),
      released: (stream) => this.#window.released(stream),
      resetStream: (stream, code) => this.#resetStream(stream, code),
      streamDone: (stream) => this.#streamDone(stream),
    };
    this.#reader = new FrameReader({
      sink: this.#inbound(),
      maxFrameSize: this.#settings.maxFrameSize,
      maxHeaderBlock: this.#settings.maxHeaderListSize,
      preface: role === 'server',
    });
    this.#keepalive = new Keepalive({
      times: options.keepalive ?? KEEPALIVE,
      ping: (opaque) => this.#send(pingFrame(opaque, false)),
      onDead: () => this.#dead(),
    });
    this.#open();
  }

  #inbound(): Inbound {
    const { role } = this;
    return new Inbound({
      role,
      settings: this.#settings,
      streams: this.#streams,
      outbound: this.#outbound,
      window: this.#window,
      guard: new FloodGuard(),
      events: {
        accepts: (id) => id <= this.#lastServed && !this.#ended,
        newStream: (id) => this.#newStream(id),
        request: (stream, fields, endStream) => this.#events.request?.(stream, fields, endStream),
        goaway: (last, code) => this.#goaway(last, code),
        settings: () => this.#events.settings?.(),
        pong: (opaque) => this.#pong(opaque),
        streamDone: (stream) => this.#streamDone(stream),
      },
    });
  }

  #open(): void {
    const first = [settingsFrame(announced(this.#settings, this.role)), this.#window.opening()];
    if (this.role === 'client') first.unshift(PREFACE);
    this.#guarded(() => this.#outbound.write(Buffer.concat(first)));
    this.#link.start({
      data: (chunk) => this.#guarded(() => this.#reader.push(chunk)),
      drain: () => this.#guarded(() => this.#outbound.drained()),
      end: () => this.#finish(this.#peerLeft(), () => this.#link.close(false)),
      close: (error) => this.#finish(error ?? this.#peerLeft(), () => undefined),
    });
  }

  /** The peer may end the connection when there is nothing left to do on it. */
  #peerLeft(): Error | undefined {
    if (this.#streams.size === 0) return undefined;
    return new ConnectionError(ErrorCode.INTERNAL_ERROR, 'the peer ended the connection');
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** how many streams the peer allows at once */
  get maxStreams(): number {
    return this.#outbound.peer.maxConcurrentStreams;
  }

  /** Client: a stream was ever opened. */
  get hasOpened(): boolean {
    return this.#streams.nextId > 2;
  }

  /** New streams may be opened, up to `maxStreams`. */
  get usable(): boolean {
    return (
      !this.#ended && !this.#draining && !this.#peerGone && this.#streams.nextId < MAX_STREAM_ID
    );
  }

  /** Client: a new request. Look at `usable` first. */
  open(fields: FieldList, events: StreamEvents, endStream = false): Http2Stream {
    if (!this.usable) throw new StreamError(ErrorCode.REFUSED_STREAM, 'the session is ending');
    const stream = this.#newStream(this.#streams.nextId);
    this.#streams.nextId += 2;
    stream.events = events;
    this.#guarded(() => {
      this.#outbound.headers(stream.id, fields, false);
      if (endStream) stream.end();
    });
    return stream;
  }

  #newStream(id: number): Http2Stream {
    const stream = new Http2Stream({
      id,
      host: this.#host,
      sendWindow: this.#outbound.peer.initialWindow,
      receiveWindow: this.#window.initial,
      windowSize: this.#settings.streamWindow,
    });
    this.#streams.add(stream);
    return stream;
  }

  /** No new streams; those there are go on, and after the last one the connection ends. */
  shutdown(): void {
    if (this.#draining || this.#ended) return;
    this.#draining = true;
    if (this.role === 'server') {
      /* Requests under way to us are still served: what the peer sends after its pong it sends knowingly. */
      this.#send(goawayFrame(MAX_STREAM_ID, ErrorCode.NO_ERROR));
      this.#send(pingFrame(DRAIN_PING, false));
      this.#farewell = setTimeout(() => this.#lastGoaway(), FAREWELL_MS).unref();
    } else {
      this.#send(goawayFrame(0, ErrorCode.NO_ERROR));
      this.#endIfIdle();
    }
  }

  #lastGoaway(): void {
    clearTimeout(this.#farewell);
    if (this.#ended || this.#lastServed !== MAX_STREAM_ID) return;
    this.#lastServed = this.#streams.lastPeerId;
    this.#send(goawayFrame(this.#lastServed, ErrorCode.NO_ERROR));
    this.#endIfIdle();
  }

  #overflow(): void {
    const code = ErrorCode.ENHANCE_YOUR_CALM;
    this.#abort(new ConnectionError(code, 'the peer does not read'), code);
  }

  /** Ends everything now: streams fail with `code`. */
  close(code: number = ErrorCode.NO_ERROR): void {
    this.#abort(new ConnectionError(code, 'closed here'), code);
  }

  #abort(error: Error, code: number): void {
    if (this.#ended) return;
    const detail = error.message;
    this.#link.send(goawayFrame(this.#streams.lastPeerId, code, detail));
    this.#finish(error, () => this.#leave());
  }

  /** The last frames go out, but for a bounded time only. */
  #leave(): void {
    this.#link.end();
    const timer = setTimeout(() => this.#link.close(true), FAREWELL_MS);
    timer.unref();
  }

  #endIfIdle(): void {
    if (this.#ended || this.#streams.size > 0) return;
    const lastWord = this.role === 'client' || this.#lastServed !== MAX_STREAM_ID;
    if (this.#peerGone || (this.#draining && lastWord))
      this.#finish(undefined, () => this.#leave());
  }

  #finish(error: Error | undefined, endLink: () => void): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#keepalive.stop();
    clearTimeout(this.#farewell);
    this.#reader.stop();
    this.#outbound.close();
    const streamError = error ?? new ConnectionError(ErrorCode.NO_ERROR, 'closed');
    for (const stream of this.#streams.all()) {
      this.#streams.delete(stream.id);
      stream.fail(streamError);
    }
    endLink();
    this.#events.close?.(error);
  }

  /** Errors of the peer end the connection with GOAWAY; anything else is a bug and goes up. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#abort(error, error.code);
    }
  }

  #send(frame: Buffer): void {
    this.#guarded(() => this.#outbound.write(frame));
  }

  #resetStream(stream: Http2Stream, code: number): void {
    this.#streams.rememberReset(stream.id);
    this.#send(rstStreamFrame(stream.id, code));
    this.#streamDone(stream);
  }

  #streamDone(stream: Http2Stream): void {
    if (this.#streams.get(stream.id) !== stream) return;
    this.#streams.delete(stream.id);
    this.#events.streamClosed?.();
    this.#endIfIdle();
  }

  #goaway(last: number, code: number): void {
    const before = this.#peerGone;
    this.#peerGone = true;
    const error = new StreamError(code, `GOAWAY ${errorName(code)}`, {
      byPeer: true,
      unseen: true,
    });
    for (const stream of this.#streams.all()) {
      if (!this.#streams.isOwn(stream.id) || stream.id <= last) continue;
      this.#streams.delete(stream.id);
      stream.fail(error);
    }
    if (!before) this.#events.goaway?.();
    this.#endIfIdle();
  }

  #dead(): void {
    const error = new ConnectionError(ErrorCode.NO_ERROR, 'no answer to PING');
    this.#finish(error, () => this.#link.close(true));
  }

  #pong(opaque: Buffer): void {
    if (opaque.equals(DRAIN_PING)) {
      if (this.#draining) this.#lastGoaway();
    } else {
      this.#keepalive.pong();
    }
  }
}
