/** What a session tells its user. */
import type { FieldList } from './fields.ts';
import type { Http2Stream } from './stream.ts';

export interface SessionEvents {
  /** server: a well-formed request; data waits until start() */
  request?(stream: Http2Stream, fields: FieldList, endStream: boolean): void;
  /** the peer takes no new streams any more */
  goaway?(): void;
  /** the peer's settings are known or have changed */
  settings?(): void;
  /** a stream ended: there is room for another */
  streamClosed?(): void;
  /** once; `error` unless it was a graceful end */
  close?(error?: Error): void;
}
