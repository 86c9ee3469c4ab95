/**
 * One ADS stream: requests in, responses out, in the order in which nothing refers to what is not there.
 *
 * Of each type at most one response waits for its answer.  What changes meanwhile is sent with the next one, in its newest
 * form.  A type is sent when nothing new is left of those it refers to; removals go the other way.
 */
import { status } from '@grpc/grpc-js';
import { formatSpiffe } from '../../model/identity.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPES,
  resourceKeyOf,
  type ResourceKey,
} from '../resource-types.ts';
import type { BudgetUser, PushBudget } from './push-budget.ts';
import { RateLimit, type ServerLimits } from './limits.ts';
import type { Changes, ResourceTable } from './resource-table.ts';
import type { Scope, StreamClient } from './scope.ts';
import type { StreamStatus } from './status.ts';
import { Subscription } from './subscription.ts';
import { notAsked, TypeChannel } from './type-channel.ts';
import { versionOf, type DiscoveryRequest, type Variant } from './variant.ts';

export interface StreamEvents {
  pushed(
    key: ResourceKey,
    push: { bytes: number; resources: number; removals: number; delayMs: number },
  ): void;
  /** `delayMs`: since the oldest change in it */
  acked(key: ResourceKey, delayMs: number): void;
  nacked(key: ResourceKey, refusal: { code: number; message: string }): void;
  staleNonce(key: ResourceKey): void;
  unknownType(typeUrl: string): void;
}

export interface StreamOptions {
  readonly id: string;
  readonly client: StreamClient;
  readonly peer: string;
  readonly variant: Variant;
  readonly table: ResourceTable;
  readonly scope: Scope;
  readonly limits: ServerLimits;
  readonly budget: PushBudget;
  readonly events: StreamEvents;
  readonly write: (response: Buffer) => void;
  /** ends the call; calls close() in its own time */
  readonly end: (code: status, details: string) => void;
}

/** What a type refers to. */
const BEFORE: Readonly<Record<ResourceKey, readonly ResourceKey[]>> = {
  addresses: ['authorizations'],
  authorizations: [],
  secrets: [],
  clusters: ['secrets'],
  loadAssignments: ['clusters'],
  routes: ['clusters', 'loadAssignments'],
  listeners: ['secrets', 'clusters', 'loadAssignments', 'routes'],
};
/** what an agent must be able to take: 1 MB a second */
const SLOWEST_BYTES_PER_MS = 1000;
/** What is referred to before what refers to it. */
const PUSH_ORDER: readonly ResourceKey[] = [
  'authorizations',
  ...RESOURCE_ORDER.filter((key) => key !== 'authorizations'),
];
const REMOVAL_ORDER: readonly ResourceKey[] = PUSH_ORDER.filter(
  (key) => key !== 'addresses',
).toReversed();

export class AdsStream implements BudgetUser {
  readonly openedAt = performance.now();
  /** when its credential was last looked at */
  checkedAt = this.openedAt;
  readonly client: StreamClient;
  readonly variant: Variant;
  /** of the age it may reach */
  readonly patience = 0.8 + 0.4 * Math.random();
  readonly #options: StreamOptions;
  readonly #channels = new Map<ResourceKey, TypeChannel>();
  readonly #rate: RateLimit;
  readonly #since = new Date();
  #nonce = 0;
  #nodeId = '';
  #closed = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.client = options.client;
    this.variant = options.variant;
    this.#rate = new RateLimit(options.limits.requestsPerSecond, options.limits.requestBurst);
  }

  /** has asked for something */
  get asked(): boolean {
    return this.#channels.size > 0;
  }

  /**
   * Since when an answer could have come that has not, performance.now(): a large response takes its time to arrive and to
   * be read.
   */
  get waitingSince(): number {
    let since = Infinity;
    for (const { outstanding } of this.#channels.values()) {
      if (outstanding === undefined) continue;
      since = Math.min(since, outstanding.at + outstanding.budget / SLOWEST_BYTES_PER_MS);
    }
    return since;
  }

  /** has everything, as far as it asked, and has said so */
  get converged(): boolean {
    return [...this.#channels.values()].every(({ idle }) => idle);
  }

  receive(message: unknown): void {
    if (this.#closed) return;
    const { limits, events } = this.#options;
    if (!this.#rate.take(performance.now())) {
      this.#refuse('too many requests');
      return;
    }
    const request = this.variant.read(message);
    if (request.nodeId) this.#nodeId = request.nodeId.slice(0, limits.nameLength);
    const key = resourceKeyOf(request.typeUrl);
    if (key === undefined) {
      events.unknownType(request.typeUrl);
      return;
    }
    const tooMuch = this.#tooMuch(request, this.#channels.get(key));
    if (tooMuch !== undefined) {
      this.#refuse(tooMuch);
      return;
    }
    this.#take(key, request);
    this.#pump();
  }

  /** After changes of the mesh. */
  changed(changes: Changes): void {
    for (const key of this.#options.scope.moved()) this.#channels.get(key)?.subscription.rescan();
    for (const { subscription } of this.#channels.values()) subscription.mark(changes);
    this.#pump();
  }

  resume(): void {
    this.#pump();
  }

  end(code: status, details: string): void {
    if (!this.#closed) this.#options.end(code, details);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { budget } = this.#options;
    budget.leave(this);
    for (const { subscription, outstanding } of this.#channels.values()) {
      subscription.close();
      if (outstanding !== undefined) budget.give(outstanding.budget);
    }
  }

  status(): StreamStatus {
    const { id, peer } = this.#options;
    const { client, variant } = this;
    return {
      id,
      node: client.node ?? '',
      cluster: client.cluster ?? '',
      identity: formatSpiffe(client.identity),
      nodeId: this.#nodeId,
      peer,
      protocol: variant.name,
      connectedSince: this.#since.toISOString(),
      types: RESOURCE_ORDER.map((key) => this.#channels.get(key)?.status() ?? notAsked(key)),
    };
  }

  #take(key: ResourceKey, request: DiscoveryRequest): void {
    const { table, scope, events, budget } = this.#options;
    const known = this.#channels.get(key);
    const channel = known ?? new TypeChannel(new Subscription(key, table, scope));
    if (known === undefined) this.#channels.set(key, channel);
    const { nonce, refusal, change } = request;
    const answered = channel.answer(nonce, refusal);
    if (answered !== undefined) {
      budget.give(answered.budget);
      if (refusal !== undefined) events.nacked(key, refusal);
      else events.acked(key, performance.now() - answered.since);
    } else if (nonce !== '' && nonce !== channel.nonce && known !== undefined) {
      events.staleNonce(key);
      // In the state of the world it says nothing: the answer to the newest response is still to come.
      if (change.kind === 'whole') return;
    }
    const { subscription } = channel;
    if (change.kind === 'whole') {
      subscription.setNames(change.names, known === undefined);
      if (known === undefined && change.version !== '') this.#assume(subscription, change.version);
      return;
    }
    const { subscribe, unsubscribe } = change;
    if (known === undefined && subscribe.length === 0) subscription.subscribe(['*']);
    else subscription.subscribe(subscribe);
    subscription.unsubscribe(unsubscribe);
    if (known === undefined) subscription.hold(change.known);
  }

  /** It came back with all there is. */
  #assume(subscription: Subscription, version: string): void {
    if (versionOf(subscription.planWhole()) === version) subscription.assume();
  }

  #pump(): void {
    if (this.#closed) return;
    for (const key of PUSH_ORDER) {
      const channel = this.#channels.get(key);
      if (channel === undefined || channel.outstanding !== undefined) continue;
      const { subscription } = channel;
      const all = !REMOVAL_ORDER.includes(key);
      if (!subscription.due && !(subscription.removalsDue && all)) continue;
      if (BEFORE[key].some((earlier) => this.#channels.get(earlier)?.subscription.due)) continue;
      this.#push(channel, all ? 'all' : 'upserts');
    }
    for (const key of REMOVAL_ORDER) {
      const channel = this.#channels.get(key);
      if (channel === undefined || channel.outstanding !== undefined) continue;
      if (!channel.subscription.removalsDue) continue;
      const users = PUSH_ORDER.filter((later) => BEFORE[later].includes(key));
      if (users.some((later) => this.#channels.get(later)?.behind)) continue;
      this.#push(channel, 'removals');
    }
  }

  #push(channel: TypeChannel, what: 'all' | 'upserts' | 'removals'): void {
    const { table, budget, events, write, id } = this.#options;
    const { variant } = this;
    const { subscription } = channel;
    const { key, since } = subscription;
    if (budget.waits(this)) return;
    const plan =
      variant.name === 'sotw'
        ? subscription.planWhole(what === 'upserts')
        : subscription.plan(what);
    if (!plan.news) {
      subscription.commit(plan);
      return;
    }
    const taken = budget.take(plan.bytes, this);
    if (taken === undefined) return;
    const nonce = `${id}.${++this.#nonce}`;
    const { typeUrl } = RESOURCE_TYPES[key];
    const { version, bytes } = variant.write(plan, typeUrl, nonce, table.change);
    subscription.commit(plan);
    const at = performance.now();
    const oldest = Math.min(since, at);
    channel.sent({ nonce, version, at, since: oldest, budget: taken });
    write(bytes);
    events.pushed(key, {
      bytes: bytes.length,
      resources: plan.frames.length,
      removals: plan.removals.length + plan.strays.length,
      delayMs: at - oldest,
    });
  }

  #tooMuch({ change }: DiscoveryRequest, channel: TypeChannel | undefined): string | undefined {
    const { names, nameLength } = this.#options.limits;
    const asked = change.kind === 'whole' ? change.names : change.subscribe;
    const before = change.kind === 'whole' ? 0 : (channel?.subscription.names.size ?? 0);
    if (before + asked.length > names) return `more than ${names} names`;
    const long = (name: string): boolean => name.length > nameLength;
    if (asked.some(long)) return `a name of more than ${nameLength} characters`;
    if (change.kind === 'delta' && change.known.some(([name]) => long(name))) {
      return `a name of more than ${nameLength} characters`;
    }
    return undefined;
  }

  #refuse(details: string): void {
    this.end(status.RESOURCE_EXHAUSTED, details);
  }
}
