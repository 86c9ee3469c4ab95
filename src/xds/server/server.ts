/**
 * ADS over grpc-js: the mesh in, streams out.
 *
 *   apply(update) ─► table (bytes, versions) ─► debounce ─► every stream: what is due, in order, when it can take it
 *
 * It holds no state of its own: whoever comes back to it, or to another replica, says what it has by content hashes.
 */
import { type Server, Metadata, status } from '@grpc/grpc-js';
import type { Log } from '../../log.ts';
import type { MeshUpdate } from '../../model/messages.ts';
import { formatSpiffe } from '../../model/identity.ts';
import type { Codec } from '../codec.ts';
import { RESOURCE_ORDER, type ResourceKey } from '../resource-types.ts';
import { NotAdmittedError, type AdsCall } from './admission.ts';
import { fail, rawResponses, type Call } from './call.ts';
import { Debounce } from './debounce.ts';
import { SERVER_LIMITS, type ServerLimits } from './limits.ts';
import { PushBudget } from './push-budget.ts';
import { Changes, ResourceTable } from './resource-table.ts';
import type { Scopes, StreamClient } from './scope.ts';
import type { Preview, ServerNumbers, StreamStatus } from './status.ts';
import { AdsStream, type StreamEvents } from './stream.ts';
import { DELTA, STATE_OF_THE_WORLD, type Variant } from './variant.ts';

export interface XdsServerOptions {
  readonly codec: Codec;
  readonly log: Log;
  readonly scopes: Scopes;
  /** Who may have a stream; throws NotAdmittedError. */
  readonly admit: (call: AdsCall) => Promise<StreamClient>;
  readonly events: StreamEvents;
  readonly limits?: Partial<ServerLimits>;
}

type EndReason =
  'client' | 'revoked' | 'ack-timeout' | 'no-request' | 'age' | 'drain' | 'limit' | 'error';

/** Tells podwire's agents that listeners, routes and clusters are theirs. */
const CONTROL_HEADER = 'podwire-control';
const MAX_ADMISSIONS = 256;

export class XdsServer {
  readonly table: ResourceTable;
  readonly limits: ServerLimits;
  readonly #options: XdsServerOptions;
  readonly #streams = new Map<AdsStream, Call>();
  readonly #perClient = new Map<string, number>();
  readonly #budget: PushBudget;
  readonly #debounce: Debounce;
  readonly #sweeper: NodeJS.Timeout;
  readonly #refused = new Map<string, number>();
  readonly #ended = new Map<EndReason, number>();
  #changes = new Changes();
  #admissions = 0;
  #streamNumber = 0;
  #draining = false;

  constructor(options: XdsServerOptions) {
    this.#options = options;
    this.limits = { ...SERVER_LIMITS, ...options.limits };
    this.table = new ResourceTable(options);
    const { quietMs, maxDelayMs, pushBytes, ackMs, firstRequestMs } = this.limits;
    this.#budget = new PushBudget(pushBytes);
    this.#debounce = new Debounce({ quietMs, maxMs: maxDelayMs, run: () => this.#flush() });
    const sweepMs = Math.min(1000, ackMs / 4, firstRequestMs / 4);
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** Next to whatever else the server serves. */
  addTo(server: Server): void {
    const serve = (variant: Variant) => (call: Call) => void this.#open(call, variant);
    server.addService(rawResponses(this.#options.codec.discovery), {
      DeltaAggregatedResources: serve(DELTA),
      StreamAggregatedResources: serve(STATE_OF_THE_WORLD),
    });
  }

  apply(update: MeshUpdate): void {
    this.#options.scopes.apply(update);
    this.table.apply(update, this.#changes);
    if (!this.#changes.empty) this.#debounce.poke();
  }

  streams(): StreamStatus[] {
    return [...this.#streams.keys()].map((stream) => stream.status());
  }

  /** What a client gets that asks for everything, by type. */
  preview(client: StreamClient): ReadonlyMap<ResourceKey, readonly Preview[]> {
    const scope = this.#options.scopes.scopeOf(client);
    const { codec } = this.table;
    return new Map(
      RESOURCE_ORDER.map((key) => {
        const found: Preview[] = [];
        for (const entry of this.table.type(key).entries()) {
          const { name, resource } = entry;
          if (resource === undefined || !scope.has(key, name, resource)) continue;
          found.push({ name, version: entry.frame(codec, scope.cluster).version, resource });
        }
        return [key, found];
      }),
    );
  }

  numbers(): ServerNumbers {
    const streams = { delta: 0, sotw: 0 };
    let converged = 0;
    for (const stream of this.#streams.keys()) {
      streams[stream.variant.name]++;
      if (stream.converged) converged++;
    }
    return {
      streams,
      converged,
      refused: this.#refused,
      ended: this.#ended,
      pushBytes: this.#budget.bytes,
      pushesWaiting: this.#budget.waiting,
      flushes: this.#debounce.figures,
      encodeFailures: this.table.failures,
      changes: this.table.change,
    };
  }

  /**
   * Takes no more streams, and ends those there are one after the other over `spreadMs`, so that the replicas they move to
   * are not asked for everything at once.
   */
  async drain(spreadMs: number): Promise<void> {
    this.#draining = true;
    const left = [...this.#streams.keys()];
    const started = performance.now();
    for (const [index, stream] of left.entries()) {
      const waitMs = started + (spreadMs * index) / left.length - performance.now();
      if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.#end(stream, 'drain', status.OK, '');
    }
  }

  close(): void {
    this.#draining = true;
    this.#debounce.close();
    clearInterval(this.#sweeper);
    for (const stream of [...this.#streams.keys()]) {
      this.#end(stream, 'drain', status.UNAVAILABLE, 'control is going away');
    }
  }

  async #open(call: Call, variant: Variant): Promise<void> {
    // Without a listener it would be thrown; 'close' follows.
    call.on('error', () => {});
    let client: StreamClient;
    try {
      client = await this.#admit(call);
    } catch (error) {
      this.#refuse(call, error);
      return;
    }
    if (!call.cancelled) this.#serve(call, variant, client);
  }

  /** Before anything the client sends is read. */
  async #admit(call: Call): Promise<StreamClient> {
    if (this.#draining) throw new NotAdmittedError(status.UNAVAILABLE, 'draining', 'going away');
    if (this.#admissions >= MAX_ADMISSIONS || this.#streams.size >= this.limits.streams) {
      throw new NotAdmittedError(status.RESOURCE_EXHAUSTED, 'streams', 'too many streams');
    }
    this.#admissions++;
    try {
      const client = await this.#options.admit(call);
      if ((this.#perClient.get(keyOf(client)) ?? 0) >= this.limits.streamsPerClient) {
        const message = 'too many streams of one client';
        throw new NotAdmittedError(status.RESOURCE_EXHAUSTED, 'streams-of-client', message);
      }
      return client;
    } finally {
      this.#admissions--;
    }
  }

  #refuse(call: Call, error: unknown): void {
    const known = error instanceof NotAdmittedError;
    const reason = known ? error.reason : 'internal';
    count(this.#refused, reason);
    const err = known ? (error.cause ?? error) : error;
    this.#options.log[known ? 'debug' : 'error'](
      { err, reason, peer: call.getPeer() },
      'stream refused',
    );
    fail(call, known ? error.code : status.INTERNAL, known ? error.message : 'internal error');
  }

  #serve(call: Call, variant: Variant, client: StreamClient): void {
    const { scopes, events, log } = this.#options;
    const metadata = new Metadata();
    metadata.set(CONTROL_HEADER, '1');
    call.sendMetadata(metadata);
    const stream = new AdsStream({
      id: (++this.#streamNumber).toString(36),
      client,
      peer: call.getPeer(),
      variant,
      table: this.table,
      scope: scopes.scopeOf(client),
      limits: this.limits,
      budget: this.#budget,
      events,
      write: (response) => void call.write(response),
      end: (code, details) => this.#end(stream, 'limit', code, details),
    });
    this.#streams.set(stream, call);
    count(this.#perClient, keyOf(client));
    log.debug({ node: client.node, peer: call.getPeer() }, 'xDS stream opened');
    call.on('data', (message: unknown) => {
      try {
        stream.receive(message);
      } catch (err) {
        log.error({ err, node: client.node }, 'an xDS request failed');
        this.#end(stream, 'error', status.INTERNAL, 'internal error');
      }
    });
    call.on('end', () => this.#end(stream, 'client', status.OK, ''));
    for (const event of ['cancelled', 'close', 'error'])
      call.on(event, () => this.#forget(stream, 'client'));
  }

  #flush(): void {
    const changes = this.#changes;
    this.#changes = new Changes();
    for (const stream of this.#streams.keys()) {
      try {
        stream.changed(changes);
      } catch (err) {
        this.#options.log.error({ err, node: stream.client.node }, 'an xDS push failed');
        this.#end(stream, 'error', status.INTERNAL, 'internal error');
      }
    }
  }

  #sweep(): void {
    const now = performance.now();
    const { ackMs, firstRequestMs, streamAgeMs } = this.limits;
    for (const stream of [...this.#streams.keys()]) {
      const { node } = stream.client;
      if (now - stream.waitingSince > ackMs) {
        this.#options.log.warn({ node }, `an agent has not answered for ${ackMs} ms: stream ended`);
        this.#end(stream, 'ack-timeout', status.DEADLINE_EXCEEDED, 'no answer to a response');
      } else if (!stream.asked && now - stream.openedAt > firstRequestMs) {
        this.#end(stream, 'no-request', status.DEADLINE_EXCEEDED, 'no request');
      } else if (now - stream.openedAt > streamAgeMs * stream.patience) {
        this.#end(stream, 'age', status.OK, '');
      } else if (now - stream.checkedAt > this.limits.recheckMs) {
        stream.checkedAt = now;
        void this.#recheck(stream);
      }
    }
  }

  /** A credential that cannot be checked for now counts as it did. */
  async #recheck(stream: AdsStream): Promise<void> {
    try {
      const standing = (await stream.client.recheck?.()) ?? 'valid';
      if (standing === 'over') this.#end(stream, 'age', status.OK, '');
      if (standing !== 'refused') return;
      this.#end(stream, 'revoked', status.UNAUTHENTICATED, 'request authenticate failure');
    } catch (err) {
      this.#options.log.warn({ err, node: stream.client.node }, 'a credential cannot be checked');
    }
  }

  #end(stream: AdsStream, reason: EndReason, code: status, details: string): void {
    const call = this.#streams.get(stream);
    if (call === undefined) return;
    this.#forget(stream, reason);
    if (code === status.OK) call.end();
    else fail(call, code, details);
  }

  #forget(stream: AdsStream, reason: EndReason): void {
    if (!this.#streams.delete(stream)) return;
    count(this.#ended, reason);
    const key = keyOf(stream.client);
    const left = (this.#perClient.get(key) ?? 1) - 1;
    if (left > 0) this.#perClient.set(key, left);
    else this.#perClient.delete(key);
    stream.close();
  }
}

function keyOf({ identity, node, cluster }: StreamClient): string {
  return `${formatSpiffe(identity)} ${cluster ?? ''} ${node ?? ''}`;
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
