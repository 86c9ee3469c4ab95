/**
 * Follows all objects of one kind: a list in pages, then a watch from its resource version on, for as long as it lives.
 *
 *   list ──► watch ─┬─ ended, lost, silent ──► watch again from the last version seen
 *    ▲              └─ 410 Gone, refused, garbage, resync due ──┐
 *    └───────────────────────── backoff ◄───────────────────────┘
 *
 * A list replaces what is known: objects it does not have are gone, those whose version is known already are not told
 * again.  So nothing is lost or doubled, whatever was missed in between.  Versions are opaque and only compared for
 * equality.  ListWatch of @kubernetes/client-node ends for good on any error but 410 and is not used.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../../../lifecycle/backoff.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { KubernetesError } from '../../kubernetes/error.ts';
import type { Collection } from './kinds.ts';
import { asObject, type KubernetesObject } from './object.ts';

export interface ReflectorTiming {
  /** objects per page of a list */
  readonly pageSize: number;
  /** a watch without a byte for so long is taken for lost; the server sends a bookmark every minute */
  readonly silenceMs: number;
  /** a full list in spite of a watch that seems to be well */
  readonly resyncMs: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export const REFLECTOR_TIMING: ReflectorTiming = {
  pageSize: 500,
  silenceMs: 90_000,
  resyncMs: 3_600_000,
  retryFirstMs: 200,
  retryMaxMs: 20_000,
};

export interface ReflectorSink {
  /** added or changed; the object is the sink's from now on */
  upsert(key: string, object: KubernetesObject): void;
  remove(key: string): void;
  /** everything of a list was told */
  synced(): void;
  /** undefined: it is well again */
  failing(error: KubernetesError | undefined): void;
}

/** The server ends a watch itself after this; spread, so that not all of them come back at once. */
const WATCH_SECONDS = { least: 240, spread: 240 };
/** A watch that lived for so long was well, however it ended. */
const GOOD_WATCH_MS = 5000;

export class Reflector {
  readonly #client: KubernetesClient;
  readonly #collection: Collection;
  readonly #timing: ReflectorTiming;
  readonly #sink: ReflectorSink;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  /** key → version told last */
  readonly #known: Map<string, string>;
  #attempt = new AbortController();
  #running: Promise<void> | undefined;
  #relist = false;

  /** `known`: keys told by the reflector this one takes over from */
  constructor(
    client: KubernetesClient,
    collection: Collection,
    timing: ReflectorTiming,
    sink: ReflectorSink,
    known: Iterable<string> = [],
  ) {
    this.#client = client;
    this.#collection = collection;
    this.#timing = timing;
    this.#sink = sink;
    this.#known = new Map([...known].map((key) => [key, '']));
    this.#backoff = new Backoff({ firstMs: timing.retryFirstMs, maxMs: timing.retryMaxMs });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Gives up the connection under way, or the pause, and tries anew at once. */
  reconnect(reason: string): void {
    this.#backoff.reset();
    this.#attempt.abort(new KubernetesError(0, 'Reconnect', reason));
  }

  /** Tells every object again. */
  repeat(): void {
    for (const key of this.#known.keys()) this.#known.set(key, '');
    this.#relist = true;
    this.reconnect('everything is told again');
  }

  keys(): Iterable<string> {
    return this.#known.keys();
  }

  async close(): Promise<void> {
    this.#stop.abort(new KubernetesError(0, 'Closed', 'closed'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const stop = this.#stop.signal;
    let version: string | undefined;
    let listedMs = 0;
    while (!stop.aborted) {
      this.#attempt = new AbortController();
      const signal = AbortSignal.any([stop, this.#attempt.signal]);
      let wait = 0;
      try {
        const due = performance.now() - listedMs > this.#timing.resyncMs;
        if (version === undefined || this.#relist || due) {
          this.#relist = false;
          version = await this.#list(signal);
          listedMs = performance.now();
          this.#backoff.reset();
        }
        const startMs = performance.now();
        try {
          version = await this.#watch(version, signal);
        } finally {
          if (performance.now() - startMs > GOOD_WATCH_MS) this.#backoff.reset();
        }
        // A server that ends every watch at once must not be asked in a tight loop.
        if (performance.now() - startMs < GOOD_WATCH_MS) wait = this.#backoff.nextMs();
      } catch (error) {
        if (stop.aborted) return;
        const failure = KubernetesError.of(error);
        if (error instanceof WatchEnded) version = error.version;
        // An answer, of whatever kind, instead of events: only a list is sure to mend it.
        else if (failure.unusable) version = undefined;
        const expected =
          failure.expired ||
          failure.reason === 'Reconnect' ||
          (error instanceof WatchEnded && error.opened);
        if (!expected) this.#sink.failing(failure);
        wait = failure.reason === 'Reconnect' ? 0 : this.#backoff.nextMs();
        wait = Math.max(wait, failure.retryAfterMs ?? 0);
      }
      if (wait > 0) await sleep(wait, undefined, { signal }).catch(() => {});
    }
  }

  /** The version to watch from. */
  async #list(signal: AbortSignal): Promise<string> {
    const seen = new Set<string>();
    let version = '';
    let next: string | undefined;
    do {
      const { path, fieldSelector } = this.#collection;
      const query = { limit: this.#timing.pageSize, continue: next, fieldSelector };
      const page = asPage(await this.#client.call(path, { query, signal, timeoutMs: 60_000 }));
      for (const item of page.items) {
        const object = asObject(item);
        if (object !== undefined) seen.add(this.#upsert(object));
      }
      version = page.version;
      next = page.next;
    } while (next !== undefined);
    for (const key of [...this.#known.keys()]) if (!seen.has(key)) this.#remove(key);
    this.#sink.failing(undefined);
    this.#sink.synced();
    return version;
  }

  /** Resolves with the last version seen when the server ends the watch; throws WatchEnded when it breaks. */
  async #watch(from: string, signal: AbortSignal): Promise<string> {
    let version = from;
    let opened = false;
    const { path, fieldSelector } = this.#collection;
    const query = {
      fieldSelector,
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: from,
      timeoutSeconds: Math.round(WATCH_SECONDS.least + Math.random() * WATCH_SECONDS.spread),
    };
    const onLine = (line: string): void => {
      const event = asEvent(line);
      if (event.type === 'ERROR') throw errorOf(event.object);
      const object = asObject(event.object);
      if (event.type === 'DELETED' && object !== undefined) this.#remove(keyOf(object));
      else if (event.type !== 'BOOKMARK' && object !== undefined) this.#upsert(object);
      version = versionOf(event.object) ?? version;
    };
    const onOpen = (): void => {
      opened = true;
      this.#sink.failing(undefined);
    };
    try {
      const { silenceMs } = this.#timing;
      await this.#client.stream(path, { query, silenceMs, signal, onOpen, onLine });
    } catch (error) {
      const failure = KubernetesError.of(error);
      if (failure.unusable) throw failure;
      throw new WatchEnded(failure, version, opened);
    }
    return version;
  }

  #upsert(object: KubernetesObject): string {
    const key = keyOf(object);
    const version = object.metadata.resourceVersion ?? '';
    if (this.#known.get(key) !== version || version === '') {
      this.#known.set(key, version);
      this.#sink.upsert(key, object);
    }
    return key;
  }

  #remove(key: string): void {
    if (this.#known.delete(key)) this.#sink.remove(key);
  }
}

/** A watch that broke; what it told before stays told. */
class WatchEnded extends KubernetesError {
  readonly version: string;
  /** it was a watch once */
  readonly opened: boolean;

  constructor({ status, reason, message }: KubernetesError, version: string, opened: boolean) {
    super(status, reason, message);
    this.version = version;
    this.opened = opened;
  }
}

interface Page {
  readonly items: readonly unknown[];
  readonly version: string;
  readonly next: string | undefined;
}

function asPage(answer: unknown): Page {
  const { items, metadata } = (answer ?? {}) as { items?: unknown; metadata?: unknown };
  const version = versionOf({ metadata });
  if (version === undefined) throw new KubernetesError(0, 'Garbage', 'the answer is no list');
  const next = (metadata as { continue?: unknown }).continue;
  return {
    // An empty list may be null.
    items: Array.isArray(items) ? items : [],
    version,
    next: typeof next === 'string' && next !== '' ? next : undefined,
  };
}

interface Event {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

const EVENTS: readonly unknown[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'];

/** A line that is no event means that what follows cannot be trusted either. */
function asEvent(line: string): Event {
  let event: Partial<Event> | null;
  try {
    event = JSON.parse(line) as Partial<Event> | null;
  } catch {
    event = null;
  }
  if (event === null || !EVENTS.includes(event.type)) {
    throw new KubernetesError(0, 'Garbage', 'the watch sent what is no event');
  }
  return event as Event;
}

/** The Status object of an ERROR event. */
function errorOf(value: unknown): KubernetesError {
  const { code, reason, message } = (value ?? {}) as Record<string, unknown>;
  return new KubernetesError(
    typeof code === 'number' ? code : 500,
    typeof reason === 'string' ? reason : '',
    typeof message === 'string' ? message : 'the watch ended with an error',
  );
}

function versionOf(value: unknown): string | undefined {
  const version = asMetadata(value)?.resourceVersion;
  return typeof version === 'string' && version !== '' ? version : undefined;
}

function asMetadata(value: unknown): { resourceVersion?: unknown } | undefined {
  const metadata = (value as { metadata?: unknown } | undefined)?.metadata;
  return typeof metadata === 'object' && metadata !== null ? metadata : undefined;
}

/** namespace/name */
function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
