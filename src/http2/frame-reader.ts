/**
 * Bytes to frames, incrementally and strictly: sizes, stream numbers and the order of HEADERS and CONTINUATION are checked here;
 * what depends on the state of a stream is the session's.
 *
 * DATA is handed on as it comes, without waiting for the frame's end. Everything else is small by the checks and collected.
 */
import { calm, checkHead, protocol, size } from './frame-checks.ts';
import { Flag, FrameType, HEAD_BYTES, PREFACE } from './frame.ts';

export interface FrameSink {
  /** A DATA frame begins. `length` is what counts for flow control: padding and its length byte belong to it. */
  dataBegin(streamId: number, length: number): void;
  /** a part of the payload without padding; the bytes are the sink's until it returns */
  data(chunk: Buffer): void;
  dataEnd(endStream: boolean): void;
  /** one whole header block, put together from its frames */
  headers(streamId: number, endStream: boolean, block: Buffer): void;
  /** any other frame of a known type */
  frame(type: number, flags: number, streamId: number, payload: Buffer): void;
  /** a frame of an unknown type, which is skipped */
  skipped(): void;
}

const NONE = Buffer.alloc(0);
/** padding, its length and the priority of a HEADERS frame */
const MAX_HEADERS_EXTRA = 1 + 255 + 5;
/** A block in many small frames costs its sender little and its reader much (CVE-2024-27316). */
const MAX_CONTINUATIONS = 16;

const State = { PREFACE: 0, HEAD: 1, PAD_LENGTH: 2, DATA: 3, PADDING: 4, COLLECT: 5, SKIP: 6 };

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameSize: number;
  readonly #maxHeaderBlock: number;
  #state: number;
  #stopped = false;
  /** of the preface or the head: bytes seen so far */
  #seen = 0;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** payload bytes of the current state that have not come yet */
  #left = 0;
  #padding = 0;
  #parts: Buffer[] = [];
  /** the stream whose header block is open; 0: none */
  #blockStream = 0;
  #blockEndStream = false;
  #block: Buffer[] = [];
  #blockBytes = 0;
  #continuations = 0;
  #first = true;

  /** `maxFrameSize` as announced in SETTINGS; `preface`: the peer is a client. */
  constructor(options: {
    sink: FrameSink;
    maxFrameSize: number;
    maxHeaderBlock: number;
    preface: boolean;
  }) {
    this.#sink = options.sink;
    this.#maxFrameSize = options.maxFrameSize;
    this.#maxHeaderBlock = options.maxHeaderBlock;
    this.#state = options.preface ? State.PREFACE : State.HEAD;
  }

  /** Nothing more is handed on, not even of the chunk in hand. */
  stop(): void {
    this.#stopped = true;
  }

  /** @throws ConnectionError, and whatever the sink throws; after either nothing more may be pushed. */
  push(chunk: Buffer): void {
    const end = chunk.length;
    let at = 0;
    while (at < end && !this.#stopped) {
      switch (this.#state) {
        case State.HEAD:
          at = this.#readHead(chunk, at);
          break;
        case State.DATA: {
          const to = Math.min(end, at + this.#left);
          this.#left -= to - at;
          this.#sink.data(at === 0 && to === end ? chunk : chunk.subarray(at, to));
          at = to;
          if (this.#left === 0) this.#dataDone();
          break;
        }
        case State.COLLECT: {
          const to = Math.min(end, at + this.#left);
          this.#left -= to - at;
          const part = chunk.subarray(at, to);
          at = to;
          if (this.#left > 0) {
            this.#parts.push(Buffer.from(part));
          } else if (this.#parts.length === 0) {
            this.#collected(part);
          } else {
            const payload = Buffer.concat([...this.#parts, part]);
            this.#parts = [];
            this.#collected(payload);
          }
          break;
        }
        case State.PREFACE:
          at = this.#readPreface(chunk, at);
          break;
        case State.PAD_LENGTH:
          this.#padLength(chunk[at++] ?? 0);
          break;
        default: {
          const to = Math.min(end, at + this.#left);
          this.#left -= to - at;
          at = to;
          if (this.#left === 0) this.#skippedOver();
        }
      }
    }
  }

  #readPreface(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && this.#seen < PREFACE.length) {
      if (chunk[at++] !== PREFACE[this.#seen++]) throw protocol('no preface');
    }
    if (this.#seen === PREFACE.length) {
      this.#seen = 0;
      this.#state = State.HEAD;
    }
    return at;
  }

  #readHead(chunk: Buffer, from: number): number {
    if (this.#seen === 0 && chunk.length - from >= HEAD_BYTES) {
      this.#begin(chunk, from);
      return from + HEAD_BYTES;
    }
    const take = Math.min(chunk.length - from, HEAD_BYTES - this.#seen);
    chunk.copy(this.#head, this.#seen, from, from + take);
    this.#seen += take;
    if (this.#seen === HEAD_BYTES) {
      this.#seen = 0;
      this.#begin(this.#head, 0);
    }
    return from + take;
  }

  #begin(bytes: Buffer, at: number): void {
    const length = bytes.readUIntBE(at, 3);
    const type = bytes[at + 3] ?? 0;
    const flags = bytes[at + 4] ?? 0;
    const streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
    if (length > this.#maxFrameSize) throw size(`frame of ${length} bytes`);
    if (
      this.#blockStream !== 0 &&
      !(type === FrameType.CONTINUATION && streamId === this.#blockStream)
    )
      throw protocol('a frame between HEADERS and CONTINUATION');
    if (this.#first) {
      if (type !== FrameType.SETTINGS || flags & Flag.ACK) throw protocol('SETTINGS must be first');
      this.#first = false;
    }
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    this.#left = length;
    if (type === FrameType.DATA) {
      this.#beginData(length);
      return;
    }
    if (type === FrameType.CONTINUATION && this.#blockStream === 0)
      throw protocol('CONTINUATION without HEADERS');
    checkHead(type, flags, streamId, length);
    if (type === FrameType.HEADERS || type === FrameType.CONTINUATION) {
      if (length > this.#maxHeaderBlock + MAX_HEADERS_EXTRA) throw calm('header block too long');
    }
    this.#state = type > FrameType.CONTINUATION ? State.SKIP : State.COLLECT;
    if (length > 0) return;
    if (this.#state === State.SKIP) this.#skippedOver();
    else this.#collected(NONE);
  }

  #beginData(length: number): void {
    if (this.#streamId === 0) throw protocol('DATA on stream 0');
    const padded = (this.#flags & Flag.PADDED) !== 0;
    if (padded && length === 0) throw size('padded DATA without a pad length');
    this.#padding = 0;
    this.#sink.dataBegin(this.#streamId, length);
    this.#state = padded ? State.PAD_LENGTH : State.DATA;
    if (length === 0) this.#dataDone();
  }

  #padLength(padding: number): void {
    this.#left--;
    if (padding > this.#left) throw protocol('more padding than payload');
    this.#padding = padding;
    this.#left -= padding;
    this.#state = State.DATA;
    if (this.#left === 0) this.#dataDone();
  }

  #dataDone(): void {
    if (this.#padding > 0) {
      this.#left = this.#padding;
      this.#state = State.PADDING;
      return;
    }
    this.#state = State.HEAD;
    this.#sink.dataEnd((this.#flags & Flag.END_STREAM) !== 0);
  }

  #skippedOver(): void {
    const wasPadding = this.#state === State.PADDING;
    this.#state = State.HEAD;
    if (wasPadding) this.#sink.dataEnd((this.#flags & Flag.END_STREAM) !== 0);
    else this.#sink.skipped();
  }

  #collected(payload: Buffer): void {
    this.#state = State.HEAD;
    if (this.#type === FrameType.HEADERS) this.#headers(payload);
    else if (this.#type === FrameType.CONTINUATION) this.#continuation(payload);
    else this.#sink.frame(this.#type, this.#flags, this.#streamId, payload);
  }

  #headers(payload: Buffer): void {
    let from = 0;
    let to = payload.length;
    if (this.#flags & Flag.PADDED) {
      if (to === 0) throw size('padded HEADERS without a pad length');
      to -= payload[0] ?? 0;
      from = 1;
    }
    if (this.#flags & Flag.PRIORITY) from += 5;
    if (from > to) throw protocol('HEADERS shorter than its padding and priority');
    this.#blockStream = this.#streamId;
    this.#blockEndStream = (this.#flags & Flag.END_STREAM) !== 0;
    this.#blockBytes = 0;
    this.#continuations = 0;
    this.#fragment(payload.subarray(from, to));
  }

  #continuation(payload: Buffer): void {
    if (++this.#continuations > MAX_CONTINUATIONS) throw calm('too many CONTINUATION frames');
    this.#fragment(payload);
  }

  #fragment(bytes: Buffer): void {
    this.#blockBytes += bytes.length;
    if (this.#blockBytes > this.#maxHeaderBlock) throw calm('header block too long');
    if ((this.#flags & Flag.END_HEADERS) === 0) {
      this.#block.push(Buffer.from(bytes));
      return;
    }
    const whole = this.#block.length === 0 ? bytes : Buffer.concat([...this.#block, bytes]);
    this.#block = [];
    const streamId = this.#blockStream;
    this.#blockStream = 0;
    this.#sink.headers(streamId, this.#blockEndStream, whole);
  }
}
