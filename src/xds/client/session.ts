/**
 * The conversation with one server: a stream, and another one after it ends, until it is closed.
 *
 *   connecting ─► up ─► answered (every type of the first hour) ─┐
 *       ▲                                                         │ the stream ends: on purpose (age, GOAWAY) or not
 *       └────────────── waiting (backoff) ◄───────────────────────┘
 */
import { status, type Metadata } from '@grpc/grpc-js';
import { Backoff } from '../../lifecycle/backoff.ts';
import type { Log } from '../../log.ts';
import type { Codec } from '../codec.ts';
import { RESOURCE_ORDER, resourceKeyOf, type ResourceKey } from '../resource-types.ts';
import { openStream, type AdsStream, type ChannelOptions, type XdsServer } from './channel.ts';
import { decodePush, refusalOf, type Accepted } from './decode-push.ts';
import { Inbox } from './inbox.ts';
import { DELTA, STATE_OF_THE_WORLD, type DiscoveryProtocol, type Node } from './protocol.ts';
import { SessionFigures } from './session-figures.ts';
import { isOrdinary, type StreamEnd } from './stream-end.ts';
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
  /** no server has been reached yet: they may be starting as the agent is, and are not to be found late */
  readonly eager: () => boolean;
  readonly log: Log;
  readonly events: SessionEvents;
}

export interface SessionEvents {
  /** connected, whatever comes of it */
  up(): void;
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
const MAX_EAGER_MS = 500;
const STABLE_MS = 5_000;
/** A server may know nothing of listeners and clusters; the rest is not to wait for it for ever. */
const LINKED_PATIENCE_MS = 5_000;
/** A push of these may be empty, but it must come before anything is published. */
const FOUNDATION: readonly ResourceKey[] = ['addresses', 'authorizations'];
const LINKED_WILDCARDS: readonly ResourceKey[] = ['clusters', 'listeners'];

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
  readonly #inbox: Inbox;
  #linked: boolean;
  #complete = false;
  /** false: the list of what is held was too much for the server; its first answers count as whole ones */
  #withVersions = true;
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
    this.#inbox = new Inbox({
      stream: () => this.#stream,
      take: (message, stream) => this.#take(message, stream),
      failed: (err, stream) => {
        // a bug of ours; the stream begins again rather than stand still
        options.log.error({ err, server: this.server.name }, 'an xDS push failed');
        if (stream !== this.#stream) return;
        this.#ended({ code: status.INTERNAL, details: 'a push could not be applied' });
      },
    });
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
        message: (message) => this.#inbox.put(message),
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
    const left = removed.filter((name) => type.removeName(name));
    for (const name of fresh) type.addName(name);
    if (this.#stream === undefined || fresh.length + left.length === 0) return;
    if (!type.asked) {
      if (!had && type.wanted) this.#subscribe();
      return;
    }
    this.#stream.send(this.#protocol.change(type.subscription(this.#withVersions), fresh, left));
  }

  #type(key: ResourceKey): TypeState {
    return this.types.get(key)!;
  }

  #subscribe(): void {
    for (const type of this.types.values()) {
      if (type.asked || !type.wanted) continue;
      if (!this.#linked && !FOUNDATION.includes(type.key)) continue;
      type.asked = true;
      this.#stream?.send(
        this.#protocol.subscribe(type.subscription(this.#withVersions), this.#options.node),
      );
    }
  }

  #up(): void {
    this.figures.up();
    this.#options.events.up();
    this.#options.log.debug({ server: this.server.name }, 'xDS stream is up');
    clearTimeout(this.#stableTimer);
    this.#stableTimer = setTimeout(() => {
      this.#backoff.reset();
      this.figures.stable();
      this.#options.events.stable(this);
    }, STABLE_MS);
  }

  #headers(metadata: Metadata): void {
    this.figures.isControl = metadata.get(CONTROL_HEADER).length > 0;
    if (this.#options.linked !== 'auto' || !this.figures.isControl) return;
    this.#linked = true;
    this.#subscribe();
  }

  async #take(message: unknown, stream: AdsStream): Promise<void> {
    const read = this.#protocol.read(message);
    this.figures.controlPlane ||= read.controlPlane;
    const key = resourceKeyOf(read.typeUrl);
    const type = key === undefined ? undefined : this.#type(key);
    if (type === undefined || !type.asked) {
      // an answer would be a first request for it, which asks for all of it
      this.figures.unknown(read.typeUrl);
      this.#options.log.warn(
        { server: this.server.name, type: read.typeUrl },
        'the xDS server sent a type that was not asked for',
      );
      return;
    }
    const push = this.#withVersions || type.answered ? read : { ...read, whole: true };
    const { codec, log, events } = this.#options;
    const decoded = await decodePush(push, { codec, type: type.type, askedFor: type.aliases });
    if (stream !== this.#stream) return; // its stream is gone: the next one sends it again
    const accepted = type.expected(decoded);
    const repeated = type.isRepeat(push);
    const gone = type.accept(push, accepted);
    const refusal = refusalOf(accepted);
    const answer = (): void =>
      stream.send(this.#protocol.answer(type.subscription(this.#withVersions), push, refusal));
    if (type.answer(refusal, repeated, answer) && refusal !== undefined) {
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
    const types = [...this.types.values()];
    const asksTooMuch =
      end.code === status.RESOURCE_EXHAUSTED &&
      types.every(({ answered }) => !answered) &&
      types.some(({ known }) => known.size > 0);
    if (asksTooMuch) this.#withVersions = false;
    const ordinary = this.figures.isStable && isOrdinary(end);
    const news = this.figures.ended(`${code}: ${end.details}`, ordinary);
    const delayMs = this.#backoff.nextMs(this.#options.eager() ? MAX_EAGER_MS : MAX_MS);
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
    this.#inbox.clear();
    this.#complete = false;
  }
}
