/**
 * Why a stream ended, and whether that is part of the service: old age of connections, restarts with notice.
 */
import { status } from '@grpc/grpc-js';

export interface StreamEnd {
  readonly code: status;
  readonly details: string;
}

const ORDINARY: ReadonlySet<status> = new Set([
  status.OK,
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
]);
const NOTICE = /goaway|transport is closing|connection dropped/i;

/** Of a stream that had lived for some time; one that never did has failed whatever it says. */
export function isOrdinary({ code, details }: StreamEnd): boolean {
  return ORDINARY.has(code) || (code === status.UNAVAILABLE && NOTICE.test(details));
}
