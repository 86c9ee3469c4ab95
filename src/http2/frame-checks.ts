/** What the head of a frame must hold for its type (RFC 9113, 6), whatever the state of its stream. */
import { ConnectionError, ErrorCode } from './error.ts';
import { Flag, FrameType } from './frame.ts';

const MAX_SETTINGS_BYTES = 6 * 64;
const MAX_GOAWAY_BYTES = 8 + 16_384;

/** Everything but DATA. @throws ConnectionError */
export function checkHead(type: number, flags: number, streamId: number, length: number): void {
  const onStream = (wanted: boolean): void => {
    if ((streamId !== 0) !== wanted) throw protocol(`frame type ${type} on stream ${streamId}`);
  };
  const exactly = (bytes: number): void => {
    if (length !== bytes) throw size(`frame type ${type} of ${length} bytes`);
  };
  switch (type) {
    case FrameType.HEADERS:
    case FrameType.CONTINUATION:
      onStream(true);
      break;
    case FrameType.PRIORITY:
      onStream(true);
      exactly(5);
      break;
    case FrameType.RST_STREAM:
      onStream(true);
      exactly(4);
      break;
    case FrameType.SETTINGS:
      onStream(false);
      if (flags & Flag.ACK) exactly(0);
      if (length % 6 !== 0) throw size(`SETTINGS of ${length} bytes`);
      if (length > MAX_SETTINGS_BYTES) throw calm('too many settings');
      break;
    case FrameType.PUSH_PROMISE:
      throw protocol('PUSH_PROMISE');
    case FrameType.PING:
      onStream(false);
      exactly(8);
      break;
    case FrameType.GOAWAY:
      onStream(false);
      if (length < 8) throw size(`GOAWAY of ${length} bytes`);
      if (length > MAX_GOAWAY_BYTES) throw calm('GOAWAY too long');
      break;
    case FrameType.WINDOW_UPDATE:
      exactly(4);
      break;
  }
}

export function protocol(detail: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, detail);
}

export function size(detail: string): ConnectionError {
  return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, detail);
}

export function calm(detail: string): ConnectionError {
  return new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, detail);
}
