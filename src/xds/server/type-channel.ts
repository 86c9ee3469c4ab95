/**
 * The conversation about one type on one stream: what was sent, and how it was answered.
 */
import { RESOURCE_TYPES, type ResourceKey } from '../resource-types.ts';
import type { TypeStatus } from './status.ts';
import type { Subscription } from './subscription.ts';

export interface Outstanding {
  readonly nonce: string;
  readonly version: string;
  /** performance.now(): when it was sent, and when the oldest change in it came */
  readonly at: number;
  readonly since: number;
  /** bytes to give back */
  readonly budget: number;
}

const MAX_REASON_LENGTH = 1024;

export class TypeChannel {
  readonly subscription: Subscription;
  outstanding: Outstanding | undefined;
  #last: Outstanding | undefined;
  #acked: Outstanding | undefined;
  #nacked: TypeStatus['nacked'] = null;
  #pushes = 0;
  #nacks = 0;

  constructor(subscription: Subscription) {
    this.subscription = subscription;
  }

  /** of the last response */
  get nonce(): string {
    return this.#last?.nonce ?? '';
  }

  /** something new is still to be sent */
  get busy(): boolean {
    return this.subscription.due;
  }

  /** what the client has may refer to what is gone */
  get behind(): boolean {
    return this.busy || this.subscription.removalsDue;
  }

  get idle(): boolean {
    return this.outstanding === undefined && !this.behind;
  }

  sent(response: Outstanding): void {
    this.outstanding = response;
    this.#last = response;
    this.#pushes++;
  }

  /** What was answered by the nonce; undefined: nothing that waits for an answer. */
  answer(
    nonce: string,
    refusal: { readonly message: string } | undefined,
  ): Outstanding | undefined {
    const { outstanding } = this;
    if (outstanding === undefined || nonce !== outstanding.nonce) return undefined;
    this.outstanding = undefined;
    if (refusal === undefined) {
      this.#acked = outstanding;
      this.#nacked = null;
    } else {
      const reason = refusal.message.slice(0, MAX_REASON_LENGTH);
      this.#nacks++;
      this.#nacked = { version: outstanding.version, reason, at: new Date().toISOString() };
    }
    return outstanding;
  }

  status(): TypeStatus {
    const { subscription, nonce } = this;
    return {
      ...notAsked(subscription.key),
      state: !this.idle ? 'stale' : this.#nacked === null ? 'synced' : 'nacked',
      mode: subscription.wildcard ? 'wildcard' : 'named',
      names: subscription.names.size,
      resources: subscription.held,
      sentVersion: this.#last?.version ?? '',
      ackedVersion: this.#acked?.version ?? '',
      sentNonce: nonce,
      ackedNonce: this.#acked?.nonce ?? '',
      pushes: this.#pushes,
      nacks: this.#nacks,
      nacked: this.#nacked,
    };
  }
}

/** Of a type that the stream has not asked for. */
export function notAsked(key: ResourceKey): TypeStatus {
  return {
    type: key,
    typeUrl: RESOURCE_TYPES[key].typeUrl,
    state: 'not-sent',
    mode: '',
    names: 0,
    resources: 0,
    sentVersion: '',
    ackedVersion: '',
    sentNonce: '',
    ackedNonce: '',
    pushes: 0,
    nacks: 0,
    nacked: null,
  };
}
