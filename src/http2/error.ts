/** The errors of RFC 9113: those that end a connection and those that end one stream. */

/** RFC 9113, 7 */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

const NAMES = new Map<number, string>(
  Object.entries(ErrorCode).map(([name, code]) => [code, name]),
);

/** a code that is not in the registry counts as INTERNAL_ERROR (RFC 9113, 7) */
export function errorName(code: number): string {
  return NAMES.get(code) ?? `0x${code.toString(16)}`;
}

/** The whole connection is wrong: GOAWAY with `code`, then close. */
export class ConnectionError extends Error {
  readonly code: number;

  constructor(code: number, detail: string) {
    super(`HTTP/2 connection: ${errorName(code)}: ${detail}`);
    this.name = 'ConnectionError';
    this.code = code;
  }
}

/** One stream is wrong, or was ended by the peer. */
export class StreamError extends Error {
  readonly code: number;
  /** the peer sent RST_STREAM or GOAWAY */
  readonly byPeer: boolean;
  /** GOAWAY named an older stream as the last: the peer has not looked at this one, it may be repeated */
  readonly unseen: boolean;

  constructor(code: number, detail: string, options?: { byPeer: boolean; unseen?: boolean }) {
    super(`HTTP/2 stream: ${errorName(code)}: ${detail}`);
    this.name = 'StreamError';
    this.code = code;
    this.byPeer = options?.byPeer ?? false;
    this.unseen = options?.unseen ?? false;
  }
}
