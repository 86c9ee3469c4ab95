/** Frames of RFC 9113 as bytes: types, flags, settings, and the writers of small frames. */

export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const Flag = {
  /** of SETTINGS and PING */
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

export const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
  ENABLE_CONNECT_PROTOCOL: 0x8,
} as const;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const HEAD_BYTES = 9;
export const MIN_MAX_FRAME_SIZE = 16_384;
export const MAX_MAX_FRAME_SIZE = 0xff_ffff;
export const MAX_WINDOW = 0x7fff_ffff;
export const MAX_STREAM_ID = 0x7fff_ffff;
export const DEFAULT_WINDOW = 65_535;
export const DEFAULT_HEADER_TABLE_SIZE = 4096;

/** Writes the 9 bytes before a payload of `length` at `at`. */
export function writeHead(
  into: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
}

/** A new frame with room for the payload, whose bytes are not set. */
function frame(length: number, type: number, flags: number, streamId: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + length);
  writeHead(bytes, 0, length, type, flags, streamId);
  return bytes;
}

export function settingsFrame(settings: readonly (readonly [number, number])[]): Buffer {
  const bytes = frame(settings.length * 6, FrameType.SETTINGS, 0, 0);
  let at = HEAD_BYTES;
  for (const [id, value] of settings) {
    at = bytes.writeUInt16BE(id, at);
    at = bytes.writeUInt32BE(value, at);
  }
  return bytes;
}

export function settingsAckFrame(): Buffer {
  return frame(0, FrameType.SETTINGS, Flag.ACK, 0);
}

/** `opaque`: 8 bytes */
export function pingFrame(opaque: Uint8Array, ack: boolean): Buffer {
  const bytes = frame(8, FrameType.PING, ack ? Flag.ACK : 0, 0);
  bytes.set(opaque, HEAD_BYTES);
  return bytes;
}

export function windowUpdateFrame(streamId: number, increment: number): Buffer {
  const bytes = frame(4, FrameType.WINDOW_UPDATE, 0, streamId);
  bytes.writeUInt32BE(increment, HEAD_BYTES);
  return bytes;
}

export function rstStreamFrame(streamId: number, code: number): Buffer {
  const bytes = frame(4, FrameType.RST_STREAM, 0, streamId);
  bytes.writeUInt32BE(code, HEAD_BYTES);
  return bytes;
}

/** `debug`: cut to 1024 bytes */
export function goawayFrame(lastStreamId: number, code: number, debug = ''): Buffer {
  const text = Buffer.from(debug, 'latin1').subarray(0, 1024);
  const bytes = frame(8 + text.length, FrameType.GOAWAY, 0, 0);
  bytes.writeUInt32BE(lastStreamId, HEAD_BYTES);
  bytes.writeUInt32BE(code, HEAD_BYTES + 4);
  text.copy(bytes, HEAD_BYTES + 8);
  return bytes;
}

/** HEADERS, and CONTINUATION where the block is longer than a frame may be, as one run of bytes. */
export function headersFrames(
  streamId: number,
  block: Uint8Array,
  endStream: boolean,
  maxFrameSize: number,
): Buffer {
  const frames = Math.max(1, Math.ceil(block.length / maxFrameSize));
  const bytes = Buffer.allocUnsafe(frames * HEAD_BYTES + block.length);
  let at = 0;
  for (let index = 0, from = 0; index < frames; index++) {
    const length = Math.min(maxFrameSize, block.length - from);
    const last = index === frames - 1 ? Flag.END_HEADERS : 0;
    const first = index === 0;
    const flags = last | (first && endStream ? Flag.END_STREAM : 0);
    writeHead(
      bytes,
      at,
      length,
      first ? FrameType.HEADERS : FrameType.CONTINUATION,
      flags,
      streamId,
    );
    bytes.set(block.subarray(from, from + length), at + HEAD_BYTES);
    at += HEAD_BYTES + length;
    from += length;
  }
  return bytes;
}
