/** A peer that writes frames by hand, right or wrong, and reads what the session under test answers. */
import { HpackDecoder } from '../../../src/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../../src/http2/hpack/encoder.ts';
import { type FrameSink, FrameReader } from '../../../src/http2/frame-reader.ts';
import { Flag, FrameType, HEAD_BYTES, PREFACE, writeHead } from '../../../src/http2/frame.ts';
import { Session } from '../../../src/http2/session.ts';
import type { SessionEvents } from '../../../src/http2/session-events.ts';
import type { LocalSettings } from '../../../src/http2/settings.ts';
import type { Http2Stream } from '../../../src/http2/stream.ts';
import { MemoryLink } from '../../support/link-pair.ts';

export interface SeenFrame {
  readonly type: number;
  readonly streamId: number;
  readonly flags: number;
  readonly payload: Buffer;
  readonly fields?: readonly string[];
}

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + payload.length);
  writeHead(bytes, 0, payload.length, type, flags, streamId);
  payload.copy(bytes, HEAD_BYTES);
  return bytes;
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}

export class RawPeer {
  readonly link = new MemoryLink();
  readonly session: Session;
  readonly requests: Http2Stream[] = [];
  readonly encoder = new HpackEncoder();
  closedWith: Error | undefined;
  closed = false;
  #read = 0;
  readonly #seen: SeenFrame[] = [];
  readonly #reader: FrameReader;

  constructor(
    role: 'client' | 'server',
    options: { settings?: Partial<LocalSettings>; events?: SessionEvents; hello?: boolean } = {},
  ) {
    this.#reader = new FrameReader({
      sink: this.#sink(),
      maxFrameSize: 1 << 24,
      maxHeaderBlock: 1 << 20,
      preface: role === 'client',
    });
    this.session = new Session({
      link: this.link,
      role,
      keepalive: { intervalMs: 1e9, timeoutMs: 1e9 },
      ...(options.settings && { settings: options.settings }),
      events: {
        request: (stream) => this.requests.push(stream),
        close: (error) => {
          this.closed = true;
          this.closedWith = error;
        },
        ...options.events,
      },
    });
    if (options.hello !== false)
      this.write(
        role === 'server' ? PREFACE : Buffer.alloc(0),
        this.settings(),
        frame(FrameType.SETTINGS, Flag.ACK, 0),
      );
  }

  /** What the session under test reads. */
  write(...bytes: readonly Buffer[]): void {
    this.link.receive(Buffer.concat(bytes));
  }

  settings(...pairs: readonly (readonly [number, number])[]): Buffer {
    const payload = Buffer.alloc(pairs.length * 6);
    for (const [index, [id, value]] of pairs.entries()) {
      payload.writeUInt16BE(id, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    }
    return frame(FrameType.SETTINGS, 0, 0, payload);
  }

  headers(streamId: number, fields: readonly string[], flags = 0x4): Buffer {
    return frame(FrameType.HEADERS, flags, streamId, this.encoder.encode(fields));
  }

  connect(streamId: number): Buffer {
    return this.headers(streamId, [':method', 'CONNECT', ':authority', '10.0.0.1:80']);
  }

  /** The frames that have come since the last look. */
  seen(): SeenFrame[] {
    while (this.#read < this.link.sent.length) {
      const chunk = this.link.sent[this.#read++];
      if (chunk) this.#reader.push(chunk);
    }
    return this.#seen.splice(0);
  }

  /** the error code of the GOAWAY among what has come */
  goaway(): number | undefined {
    const found = this.seen().find(({ type }) => type === FrameType.GOAWAY);
    return found?.payload.readUInt32BE(4);
  }

  /** the error codes of RST_STREAM, by stream */
  resets(): [number, number][] {
    return this.seen()
      .filter(({ type }) => type === FrameType.RST_STREAM)
      .map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]);
  }

  #sink(): FrameSink {
    const decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: 1e6, maxFields: 1e4 });
    const add = (type: number, streamId: number, flags: number, payload: Buffer): void => {
      this.#seen.push({ type, streamId, flags, payload: Buffer.from(payload) });
    };
    let current = 0;
    let parts: Buffer[] = [];
    return {
      dataBegin: (streamId) => {
        current = streamId;
        parts = [];
      },
      data: (chunk) => parts.push(Buffer.from(chunk)),
      dataEnd: (end) => add(FrameType.DATA, current, end ? 1 : 0, Buffer.concat(parts)),
      headers: (streamId, end, block) => {
        const fields = decoder.decode(block) ?? [];
        this.#seen.push({
          ...{ type: FrameType.HEADERS, streamId, flags: end ? 1 : 0, fields },
          payload: Buffer.from(block),
        });
      },
      frame: (type, flags, streamId, payload) => add(type, streamId, flags, payload),
      skipped: () => undefined,
    };
  }
}
