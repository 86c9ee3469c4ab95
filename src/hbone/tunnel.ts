/** What client and server of HBONE have in common: a tunnel, and the errors of making one. */
import type { FieldList } from '../http2/fields.ts';
import { fieldValue } from '../http2/fields.ts';
import type { Http2Stream } from '../http2/stream.ts';
import { ErrorCode } from '../http2/error.ts';
import { type Baggage, parseBaggage } from './headers.ts';

/** Of the whole way to an answer, as ztunnel's connect timeout. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** A stream becomes a TCP connection's carrier (RFC 9113, 8.5). */
export function asTunnel(stream: Http2Stream): void {
  stream.resetCode = ErrorCode.CONNECT_ERROR;
  /* ztunnel drops the streams of connections it ends, which HTTP/2 shows as CANCEL, and reads it as the end. */
  stream.cancelIsEnd = true;
}

/** A pod says the same with each tunnel. At most a MiB, whatever peers say. */
const MAX_KNOWN = 256;
const known = new Map<string, Baggage>();

export function baggageOf(fields: FieldList): Baggage | undefined {
  const text = fieldValue(fields, 'baggage');
  if (text === undefined) return undefined;
  let baggage = known.get(text);
  if (baggage) return baggage;
  baggage = parseBaggage(text);
  if (known.size === MAX_KNOWN) known.clear();
  if (baggage) known.set(text, baggage);
  return baggage;
}

/** The other end answered, and not with 200. */
export class TunnelRefused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`http status: ${status}`);
    this.name = 'TunnelRefused';
    this.status = status;
  }
}

/** No answer in time, or none at all. */
export class TunnelFailed extends Error {
  constructor(detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause });
    this.name = 'TunnelFailed';
  }
}
