/**
 * How the conversation with one server goes: for status, metrics and the choice between servers.
 */
export type SessionState = 'connecting' | 'up' | 'waiting';

const MAX_UNKNOWN_TYPES = 16;

export class SessionFigures {
  state: SessionState = 'connecting';
  /** ISO 8601 of the stream of today, "" without one */
  since = '';
  /** why the last stream ended, "" when it ended in the ordinary way or has not */
  error = '';
  /** streams that ended, in whatever way */
  reconnects = 0;
  /** streams in a row that ended before they could be called stable */
  failures = 0;
  bytes = 0;
  /** podwire control, by its header */
  isControl = false;
  /** what another server calls itself, "" when it does not say */
  controlPlane = '';
  /** types nobody asked for, with their number */
  readonly unknownTypes = new Map<string, number>();
  #stable = false;

  get isStable(): boolean {
    return this.#stable;
  }

  connecting(): void {
    this.state = 'connecting';
    this.#stable = false;
  }

  up(): void {
    this.state = 'up';
    this.since = new Date().toISOString();
  }

  stable(): void {
    this.#stable = true;
    this.failures = 0;
    this.error = '';
  }

  received(bytes: number): void {
    this.bytes += bytes;
  }

  unknown(typeUrl: string): void {
    if (this.unknownTypes.size >= MAX_UNKNOWN_TYPES && !this.unknownTypes.has(typeUrl)) return;
    this.unknownTypes.set(typeUrl, (this.unknownTypes.get(typeUrl) ?? 0) + 1);
  }

  /** Whether the reason is another one than last time. */
  ended(error: string, ordinary: boolean): boolean {
    const news = error !== this.error;
    this.down();
    this.reconnects++;
    this.error = ordinary ? '' : error;
    if (!ordinary) this.failures++;
    return news;
  }

  down(): void {
    this.state = 'waiting';
    this.since = '';
  }
}
