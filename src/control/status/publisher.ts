/**
 * Hands control's findings to the status writer, some time after the last change: a status is for people, and a roll-out
 * changes the same resource many times.
 */
import { parseOrigin } from '../sources/kubernetes/kinds.ts';
import type { StatusReport } from './report.ts';

/** What the writer offers. */
export interface StatusSink {
  writeStatus(resourceId: string, report: StatusReport | undefined): void;
  touch(resourceId: string): void;
}

const QUIET_MS = 500;
/** what decides whose a Gateway or a route is */
const OWNER = /^(GatewayClass|Gateway)$/;

export class StatusPublisher {
  readonly #sink: StatusSink;
  readonly #reports: () => ReadonlyMap<string, StatusReport>;
  readonly #published = new Set<string>();
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** `reports`: of every origin, as control has them now */
  constructor(sink: StatusSink, reports: () => ReadonlyMap<string, StatusReport>) {
    this.#sink = sink;
    this.#reports = reports;
  }

  /** To be called with the origins of every change. */
  changed(origins: Iterable<string>): void {
    for (const origin of origins) this.#changed.add(origin);
    this.#timer ??= setTimeout(() => this.#publish(), QUIET_MS);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** All of them: a change of one resource may mend another. */
  #publish(): void {
    this.#timer = undefined;
    const all = this.#reports();
    const owners = [...this.#changed].some((origin) => OWNER.test(kindOf(origin)));
    for (const [origin, report] of all) {
      this.#sink.writeStatus(origin, report);
      this.#published.add(origin);
      // What was refused was not judged, and whose it is shows when its status is written.
      if (owners && report.verdict === undefined && report.findings.length > 0) {
        this.#changed.add(origin);
      }
    }
    for (const origin of this.#published) {
      if (all.has(origin)) continue;
      this.#sink.writeStatus(origin, undefined);
      this.#published.delete(origin);
    }
    for (const origin of this.#changed) this.#sink.touch(origin);
    this.#changed.clear();
  }
}

function kindOf(origin: string): string {
  return parseOrigin(origin)?.kind.kind ?? '';
}
