/** What a session announces in SETTINGS, and what its peer has announced. */
import { ConnectionError, ErrorCode } from './error.ts';
import {
  DEFAULT_HEADER_TABLE_SIZE,
  DEFAULT_WINDOW,
  MAX_MAX_FRAME_SIZE,
  MAX_WINDOW,
  MIN_MAX_FRAME_SIZE,
  Setting,
} from './frame.ts';

/** Sizes in bytes. The defaults are ztunnel's, but for the windows streams begin with. */
export interface LocalSettings {
  /** of a new stream */
  readonly streamWindow: number;
  /** of a stream whose reader keeps up */
  readonly maxStreamWindow: number;
  /** by how much all streams of a connection together may have grown */
  readonly streamWindowGrowth: number;
  readonly connectionWindow: number;
  readonly maxFrameSize: number;
  readonly maxConcurrentStreams: number;
  readonly maxHeaderListSize: number;
  readonly maxHeaderFields: number;
}

const MIB = 1024 * 1024;

export const SERVER_SETTINGS: LocalSettings = {
  streamWindow: 64 * 1024,
  maxStreamWindow: 4 * MIB,
  streamWindowGrowth: 16 * MIB,
  connectionWindow: 16 * MIB,
  maxFrameSize: MIB,
  maxConcurrentStreams: 200,
  maxHeaderListSize: 64 * 1024,
  maxHeaderFields: 256,
};

export const CLIENT_SETTINGS: LocalSettings = {
  ...SERVER_SETTINGS,
  maxConcurrentStreams: 0,
  maxHeaderListSize: 16 * 1024,
};

/** The pairs of the first SETTINGS frame. */
export function announced(
  settings: LocalSettings,
  role: 'client' | 'server',
): (readonly [number, number])[] {
  return [
    role === 'client'
      ? [Setting.ENABLE_PUSH, 0]
      : [Setting.MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams],
    [Setting.INITIAL_WINDOW_SIZE, settings.streamWindow],
    [Setting.MAX_FRAME_SIZE, settings.maxFrameSize],
    [Setting.MAX_HEADER_LIST_SIZE, settings.maxHeaderListSize],
  ];
}

/** The peer's side; the values before its first SETTINGS are those of RFC 9113, 6.5.2. */
export class PeerSettings {
  headerTableSize = DEFAULT_HEADER_TABLE_SIZE;
  maxConcurrentStreams = Infinity;
  initialWindow = DEFAULT_WINDOW;
  maxFrameSize = MIN_MAX_FRAME_SIZE;

  /** Takes a SETTINGS payload; unknown settings are ignored. @throws ConnectionError */
  apply(payload: Buffer, role: 'client' | 'server'): void {
    for (let at = 0; at < payload.length; at += 6)
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2), role);
  }

  #set(id: number, value: number, role: 'client' | 'server'): void {
    switch (id) {
      case Setting.HEADER_TABLE_SIZE:
        this.headerTableSize = value;
        break;
      case Setting.ENABLE_PUSH:
        if (value > (role === 'server' ? 1 : 0)) throw wrong('ENABLE_PUSH', value);
        break;
      case Setting.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        break;
      case Setting.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW)
          throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE');
        this.initialWindow = value;
        break;
      case Setting.MAX_FRAME_SIZE:
        if (value < MIN_MAX_FRAME_SIZE || value > MAX_MAX_FRAME_SIZE)
          throw wrong('MAX_FRAME_SIZE', value);
        this.maxFrameSize = value;
        break;
      case Setting.ENABLE_CONNECT_PROTOCOL:
        if (value > 1) throw wrong('ENABLE_CONNECT_PROTOCOL', value);
        break;
    }
  }
}

function wrong(name: string, value: number): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, `${name} ${value}`);
}
