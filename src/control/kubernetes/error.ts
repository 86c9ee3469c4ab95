/**
 * Why a request to the API server failed.
 */
import type { IncomingHttpHeaders } from 'node:http';

export class KubernetesError extends Error {
  override readonly name = 'KubernetesError';
  /** of HTTP; 0: there was no answer that could be used */
  readonly status: number;
  /** of the Status object, e.g. "Expired", "AlreadyExists"; or a word of the client's */
  readonly reason: string;
  /** what the server asks to wait */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterMs?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }

  static of(error: unknown): KubernetesError {
    if (error instanceof KubernetesError) return error;
    const cause = error instanceof AggregateError ? error.errors[0] : error;
    const message = cause instanceof Error ? cause.message : String(cause);
    const code = (cause as NodeJS.ErrnoException | undefined)?.code;
    return new KubernetesError(0, typeof code === 'string' ? code : 'Unreachable', message);
  }

  static ofAnswer(status: number, text: string, headers: IncomingHttpHeaders): KubernetesError {
    let reason = '';
    let message = text.slice(0, 200);
    try {
      const parsed = JSON.parse(text) as { reason?: unknown; message?: unknown };
      if (typeof parsed.reason === 'string') reason = parsed.reason;
      if (typeof parsed.message === 'string') message = parsed.message;
    } catch {
      // A proxy's page, or plain text: the status says enough.
    }
    const seconds = Number(headers['retry-after']);
    const retryAfterMs = seconds > 0 && seconds <= 3600 ? seconds * 1000 : undefined;
    return new KubernetesError(status, reason, `HTTP ${status}: ${message}`, retryAfterMs);
  }

  /** The resource version asked for is no longer known: list again. */
  get expired(): boolean {
    return this.status === 410;
  }

  /** There was an answer, and it was not what was asked for. */
  get unusable(): boolean {
    return this.status !== 0 || this.reason === 'Garbage' || this.reason === 'TooLarge';
  }

  /** What only a change of rights or of the installed kinds mends. */
  get refused(): boolean {
    return this.status === 401 || this.status === 403 || this.status === 404;
  }
}
