/**
 * Who may have a stream: decided before anything the client sends is read.
 */
import type { ServerDuplexStream, status } from '@grpc/grpc-js';

/** What a call offers to be known by. */
export type AdsCall = Pick<
  ServerDuplexStream<unknown, Buffer>,
  'metadata' | 'getAuthContext' | 'getPeer'
>;

/** The client is told `code` and `message`, and no more. */
export class NotAdmittedError extends Error {
  override readonly name = 'NotAdmittedError';
  readonly code: status;
  /** of a bounded set, for metrics */
  readonly reason: string;

  constructor(code: status, reason: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.reason = reason;
  }
}
