/**
 * The conversation with one server: a stream, and another one after it ends, until it is closed.
 *
 *   connecting ─► up ─► answered (every type of the first hour) ─┐
 *       ▲                                                         │ the stream ends: on purpose (age, GOAWAY) or not
 *       └────────────── waiting (backoff) ◄───────────────────────┘
 *
 * Pushes are decoded one after the other while the stream is paused, so that a server that sends faster than we decode is
 * held back by HTTP/2 flow control and not by our memory.
 */
import { status, type Metadata } from '@grpc/grpc-js';
import { Backoff } from '../../lifecycle/backoff.ts';
import type { Log } from '../../log.ts';
import type { Codec } from '../codec.ts';
import { RESOURCE_ORDER, resourceKeyOf, type ResourceKey } from '../resource-types.ts';
import {
  openStream,
  type AdsStream,
  type ChannelOptions,
  type StreamEnd,
  type XdsServer,
} from './channel.ts';
import { decodePush, refusalOf, type Accepted } from './decode-push.ts';
import { DELTA, STATE_OF_THE_WORLD, type DiscoveryProtocol, type Node } from './protocol.ts';
import type { Push } from './push.ts';
import { SessionFigures } from './session-figures.ts';
import { TypeState } from './type-state.ts';

export interface SessionOptions {
  readonly server: XdsServer;
  readonly channel: ChannelOptions;
  readonly codec: Codec;
  readonly node: Node;
  readonly protocol: 'auto' | 'delta' | 'sotw';
  /** whether listeners, routes, clusters, endpoints and secrets are asked for; auto: when the server says it is podwire's */
  readonly linked: 'auto' | 'on' | 'off';
  readonly onDemand: boolean;
  readonly log: Log;
  readonly events: SessionEvents;
}

export interface SessionEvents {
  /** before each stream: what is held, for the server to compare with */
  opening(session: Session): void;
  /** decoded and acknowledged; `gone` is what the whole state no longer has */
  pushed(session: Session, key: ResourceKey, accepted: Accepted, gone: readonly string[]): void;
  /** every type that must be there at first has been answered on this stream */
  answered(session: Session): void;
  /** has lived for long enough to be trusted */
  stable(session: Session): void;
  down(session: Session): void;
}

/** Sent by podwire control with the headers of its answer. */
export const CONTROL_HEADER = 'podwire-control';
const FIRST_MS = 10;
const MAX_MS = 15_000;
const STABLE_MS = 5_000;
/** A server may know nothing of listeners and clusters; the rest is not to wait for it for ever. */
const LINKED_PATIENCE_MS = 5_000;
/** A push of these may be empty, but it must come before anything is published. */
const FOUNDATION: readonly ResourceKey[] = ['addresses', 'authorizations'];
const LINKED_WILDCARDS: readonly ResourceKey[] = ['clusters', 'listeners'];
/** Ends that are part of the service: old age of connections, restarts with notice. */
const ORDINARY_ENDS: ReadonlySet<status> = new Set([
  status.OK,
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
]);

export class Session {
  readonly server: XdsServer;
  readonly figures = new SessionFigures();
  readonly types: ReadonlyMap<ResourceKey, TypeState>;
  readonly #options: SessionOptions;
  readonly #backoff = new Backoff({ firstMs: FIRST_MS, maxMs: MAX_MS, jitter: 'full' });
  #protocol: DiscoveryProtocol;
  #stream: AdsStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stableTimer: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;
  #inbox: unknown[] = [];
  #working = false;
  #linked: boolean;
  #complete = false;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.server = options.server;
    this.#protocol = options.protocol === 'sotw' ? STATE_OF_THE_WORLD : DELTA;
    this.#linked = options.linked === 'on';
    const mode = (key: ResourceKey): TypeState['mode'] => {
      if (key === 'addresses' && options.onDemand) return 'on-demand';
      return FOUNDATION.includes(key) || LINKED_WILDCARDS.includes(key) ? 'wildcard' : 'named';
    };
    this.types = new Map(RESOURCE_ORDER.map((key) => [key, new TypeState(key, mode(key))]));
  }

  get protocol(): 'delta' | 'sotw' {
    return this.#protocol.name;
  }

  /** every type of the first hour has been answered on the stream of today */
  get complete(): boolean {
    return this.#complete;
  }

  /** what the stream of today has not answered yet */
  get awaited(): readonly ResourceKey[] {
    const first = this.#linked ? [...FOUNDATION, ...LINKED_WILDCARDS] : FOUNDATION;
    return first.filter((key) => {
      const { answered, mode } = this.#type(key);
      // who subscribes to nothing may get no answer
      return !answered && mode !== 'on-demand';
    });
  }

  start(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#complete = false;
    for (const type of this.types.values()) type.beginStream();
    this.#options.events.opening(this);
    this.figures.connecting();
    try {
      const stream: AdsStream = openStream(this.server, this.#protocol, this.#options.channel, {
        up: () => this.#up(),
        headers: (metadata) => this.#headers(metadata),
        message: (message) => this.#receive(message),
        bytes: (count) => this.figures.received(count),
        ended: (end) => this.#ended(end),
      });
      this.#stream = stream;
    } catch (error) {
      const details = error instanceof Error ? error.message : String(error);
      this.#ended({ code: status.FAILED_PRECONDITION, details });
      return;
    }
    this.#subscribe();
  }

  /** A stream that began before what it should have been told was known begins again. */
  restart(): void {
    this.#drop();
    this.start();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#drop();
    this.figures.down();
  }

  /** Names of a type that is subscribed to by name. */
  changeNames(key: ResourceKey, added: readonly string[], removed: readonly string[]): void {
    const type = this.#type(key);
    const had = type.wanted;
    const fresh = added.filter((name) => !type.names.has(name));
    const left = removed.filter((name) => type.names.delete(name));
    for (const name of fresh) type.names.add(name);
    for (const name of left) {
      type.known.delete(name);
      type.refused.delete(name);
    }
    if (this.#stream === undefined || fresh.length + left.length === 0) return;
    if (!type.asked) {
      if (!had && type.wanted) this.#subscribe();
      return;
    }
    this.#stream.send(this.#protocol.change(type.subscription(), fresh, left));
  }

  #type(key: ResourceKey): TypeState {
    return this.types.get(key)!;
  }

  #subscribe(): void {
    for (const type of this.types.values()) {
      if (type.asked || !type.wanted) continue;
      if (!this.#linked && !FOUNDATION.includes(type.key)) continue;
      type.asked = true;
      this.#stream?.send(this.#protocol.subscribe(type.subscription(), this.#options.node));
    }
  }

  #up(): void {
    this.figures.up();
    this.#options.log.debug({ server: this.server.name }, 'xDS stream is up');
    clearTimeout(this.#stableTimer);
    this.#stableTimer = setTimeout(() => {
      this.#backoff.reset();
      this.figures.stable();
      this.#options.events.stable(this);
    }, STABLE_MS);
  }

  #headers(metadata: Metadata): void {
    if (this.#options.linked !== 'auto' || metadata.get(CONTROL_HEADER).length === 0) return;
    this.#linked = true;
    this.#subscribe();
  }

  #receive(message: unknown): void {
    this.#inbox.push(message);
    this.#stream?.pause();
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    const stream = this.#stream;
    try {
      while (stream !== undefined && stream === this.#stream && this.#inbox.length > 0) {
        await this.#take(this.#inbox.shift(), stream);
      }
    } catch (error) {
      // a bug of ours; the stream begins again rather than stand still
      this.#options.log.error({ err: error, server: this.server.name }, 'an xDS push failed');
      if (stream === this.#stream) {
        this.#drop();
        this.#ended({ code: status.INTERNAL, details: 'a push could not be applied' });
      }
    }
    this.#working = false;
    if (this.#stream !== stream && this.#inbox.length > 0) void this.#work();
    else this.#stream?.resume();
  }

  async #take(message: unknown, stream: AdsStream): Promise<void> {
    const push = this.#protocol.read(message);
    const key = resourceKeyOf(push.typeUrl);
    const type = key === undefined ? undefined : this.#type(key);
    if (type === undefined || !type.asked) {
      // an answer would be a first request for it, which asks for all of it
      this.figures.unknown(push.typeUrl);
      this.#options.log.warn(
        { server: this.server.name, type: push.typeUrl },
        'the xDS server sent a type that was not asked for',
      );
      return;
    }
    const { codec, log, events } = this.#options;
    const decoded = await decodePush(push, { codec, type: type.type, askedFor: type.aliases });
    if (stream !== this.#stream) return; // its stream is gone: the next one sends it again
    const accepted = expectedOf(decoded, type);
    const gone = type.accept(push, accepted);
    const refusal = refusalOf(accepted);
    const answer = (): void =>
      stream.send(this.#protocol.answer(type.subscription(), push, refusal));
    if (type.answer(refusal, answer) && refusal !== undefined) {
      log.warn(
        { server: this.server.name, type: type.key, refused: accepted.refused.size },
        `xDS resources were refused: ${refusal}`,
      );
    }
    events.pushed(this, type.key, accepted, gone);
    this.#noteAnswer();
  }

  #noteAnswer(): void {
    const { awaited } = this;
    if (this.#complete || awaited.some((key) => FOUNDATION.includes(key))) return;
    if (awaited.length === 0) this.#finish();
    else this.#patience ??= setTimeout(() => this.#finish(), LINKED_PATIENCE_MS);
  }

  #finish(): void {
    clearTimeout(this.#patience);
    const { awaited } = this;
    if (awaited.length > 0) {
      const message = `the xDS server gives no answer for ${awaited.join(', ')}`;
      this.#options.log.warn({ server: this.server.name }, message);
    }
    this.#complete = true;
    this.#options.events.answered(this);
  }

  #ended(end: StreamEnd): void {
    const { log, events, protocol } = this.#options;
    const server = this.server.name;
    this.#drop();
    if (this.#closed) return;
    const code = status[end.code];
    if (end.code === status.UNIMPLEMENTED && protocol === 'auto') {
      this.#protocol = this.#protocol === DELTA ? STATE_OF_THE_WORLD : DELTA;
      log.info({ server, protocol: this.#protocol.name }, 'the xDS server speaks another variant');
    }
    const ordinary = this.figures.isStable && (ORDINARY_ENDS.has(end.code) || isGoaway(end));
    const news = this.figures.ended(`${code}: ${end.details}`, ordinary);
    const delayMs = this.#backoff.nextMs();
    log[news && !ordinary ? 'warn' : 'debug'](
      { server, code, retryMs: Math.round(delayMs) },
      `the xDS stream ended: ${end.details}`,
    );
    this.#timer = setTimeout(() => this.start(), delayMs);
    events.down(this);
  }

  #drop(): void {
    clearTimeout(this.#stableTimer);
    clearTimeout(this.#patience);
    this.#patience = undefined;
    for (const type of this.types.values()) type.endStream();
    this.#stream?.close();
    this.#stream = undefined;
    this.#inbox = [];
    this.#complete = false;
  }
}

/** Without the names of a by-name type that were given back meanwhile. */
function expectedOf(accepted: Accepted, type: TypeState): Accepted {
  if (type.mode !== 'named') return accepted;
  return {
    upserts: accepted.upserts.filter(({ name }) => type.expects(name)),
    removals: accepted.removals.filter((name) => type.expects(name)),
    refused: accepted.refused,
    nameless: accepted.nameless,
  };
}

function isGoaway({ code, details }: StreamEnd): boolean {
  return (
    code === status.UNAVAILABLE && /goaway|transport is closing|Connection dropped/i.test(details)
  );
}
