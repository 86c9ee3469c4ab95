/**
 * What one server has told of one type, and what it was asked for.
 *
 * Versions of refused resources are never kept: at the next reconnect the server must believe that we hold what we held
 * before, or nothing, and send them again.
 */
import { Backoff } from '../../lifecycle/backoff.ts';
import { RESOURCE_TYPES, type ResourceKey, type ResourceType } from '../resource-types.ts';
import type { Accepted } from './decode-push.ts';
import type { Subscription } from './protocol.ts';
import type { Push } from './push.ts';

/** Reasons of refusals that are kept for people; further ones are only counted. */
const MAX_REASONS = 200;
const NO_VERSIONS: ReadonlyMap<string, string> = new Map();
const NO_NAMES: ReadonlySet<string> = new Set();

export class TypeState {
  readonly key: ResourceKey;
  readonly mode: Subscription['mode'];
  readonly names = new Set<string>();
  /** asked for since the last answer of ours, and not come yet */
  readonly #fresh = new Set<string>();
  /** name → version of what was accepted from this server, or is held from another one ("") */
  known = new Map<string, string>();
  /** name → why its newest version is not in force */
  readonly refused = new Map<string, string>();
  version = '';
  nonce = '';
  pushes = 0;
  rejects = 0;
  /** ISO 8601, "" before the first */
  lastPush = '';
  readonly #answerBackoff = new Backoff({ firstMs: 100, maxMs: 5_000, jitter: 'equal' });
  #answerTimer: NodeJS.Timeout | undefined;
  /** what the last push was refused for */
  #refusal: string | undefined;
  /** the last push brought nothing */
  #idle = false;
  /** the first request has gone out on the stream of today */
  asked = false;
  /** something came on the stream of today */
  answered = false;

  constructor(key: ResourceKey, mode: Subscription['mode']) {
    this.key = key;
    this.mode = mode;
  }

  get type(): ResourceType {
    return RESOURCE_TYPES[this.key] as ResourceType;
  }

  /** what a resource may be called besides its own name: an address it was looked up by */
  get aliases(): ReadonlySet<string> {
    return this.mode === 'on-demand' ? this.names : NO_NAMES;
  }

  /** Worth a request: by name there must be one. */
  get wanted(): boolean {
    return this.mode !== 'named' || this.names.size > 0;
  }

  subscription(withVersions: boolean): Subscription {
    const { mode, names, nonce } = this;
    // a server that compares versions of the whole type takes a name that was on its way meanwhile for answered
    const version = this.#fresh.size > 0 && this.answered ? '' : this.version;
    const known = withVersions ? this.known : NO_VERSIONS;
    return { typeUrl: this.type.typeUrl, mode, names, known, version, nonce };
  }

  addName(name: string): void {
    this.names.add(name);
    if (this.asked) this.#fresh.add(name);
  }

  /** Whether the server is to be told: on demand also of what came with something else (a Service's endpoints). */
  removeName(name: string): boolean {
    this.#fresh.delete(name);
    const came = this.known.delete(name) && this.mode === 'on-demand';
    this.refused.delete(name);
    return this.names.delete(name) || came;
  }

  /** By-name types take only what was asked for: a name given back may still be on its way. */
  expected(accepted: Accepted): Accepted {
    if (this.mode !== 'named') return accepted;
    return {
      ...accepted,
      upserts: accepted.upserts.filter(({ name }) => this.names.has(name)),
      removals: accepted.removals.filter((name) => this.names.has(name)),
    };
  }

  /**
   * Some servers meet a NACK, or an ACK that names no resources, by sending the same again at once: from the second such
   * push in a row on, they wait for their answer.  Only the newest is sent, which is what the protocol asks for.  Returns
   * whether the refusal is another one.
   */
  answer(refusal: string | undefined, repeated: boolean, send: () => void): boolean {
    const before = this.#refusal;
    const idle = refusal !== undefined || repeated;
    clearTimeout(this.#answerTimer);
    if (idle && this.#idle) this.#answerTimer = setTimeout(send, this.#answerBackoff.nextMs());
    else send();
    if (!idle) this.#answerBackoff.reset();
    this.#refusal = refusal;
    this.#idle = idle;
    this.#fresh.clear();
    return refusal !== before;
  }

  /** Of the whole state, and of the version that was taken before. */
  isRepeat({ whole, version }: Push): boolean {
    return whole && this.answered && version !== '' && version === this.version;
  }

  endStream(): void {
    clearTimeout(this.#answerTimer);
  }

  beginStream(): void {
    this.#refusal = undefined;
    this.#idle = false;
    this.#fresh.clear();
    this.asked = false;
    this.answered = false;
    this.nonce = '';
  }

  /** Returns what is no longer held because the whole state of the world does not have it. */
  accept(push: Push, accepted: Accepted): readonly string[] {
    const { upserts, removals, refused } = accepted;
    const gone = this.#gone(push, accepted);
    if (push.whole) this.refused.clear();
    for (const name of [...removals, ...gone]) {
      this.known.delete(name);
      this.refused.delete(name);
    }
    for (const { name, version } of upserts) {
      this.known.set(name, version);
      this.#fresh.delete(name);
      this.refused.delete(name);
    }
    for (const [name, reasons] of refused) {
      if (this.refused.size < MAX_REASONS || this.refused.has(name)) {
        this.refused.set(name, reasons.join(', '));
      }
    }
    this.nonce = push.nonce;
    if (refused.size === 0) this.version = push.version;
    this.pushes++;
    if (refused.size > 0) this.rejects++;
    this.answered = true;
    this.lastPush = new Date().toISOString();
    return gone;
  }

  #gone({ whole }: Push, { upserts, refused, nameless }: Accepted): string[] {
    // what could not even be read may be any of those that seem to be missing: all of them stay
    if (!whole || this.mode !== 'wildcard' || nameless) return [];
    const named = new Set(upserts.map(({ name }) => name));
    return [...this.known.keys()].filter((name) => !named.has(name) && !refused.has(name));
  }
}
