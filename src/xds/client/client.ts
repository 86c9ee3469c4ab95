/**
 * The agent's xDS client: servers in, MeshUpdates out.
 *
 *   Session (one server) ─► Failover (whose word counts) ─► PolicyOrder, Warming (order) ─► publish
 *                                    ▲                         │ names needed
 *                  last good file ───┘◄────────────────────────┘
 *
 * Nothing is published before a server has answered for every type of the first hour and what it said is complete, or an
 * earlier run's configuration stands in because no server answers.
 */
import type { MeshUpdate } from '../../model/messages.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { Log } from '../../log.ts';
import type { LastGood } from '../cache/last-good.ts';
import type { Codec } from '../codec.ts';
import { RESOURCE_ORDER, type ResourceKey } from '../resource-types.ts';
import type { ChannelOptions, XdsServer } from './channel.ts';
import { Failover } from './failover.ts';
import { Lookups } from './lookups.ts';
import { namesIn } from './names.ts';
import { PendingUpdate } from './pending-update.ts';
import { PolicyOrder } from './policy-order.ts';
import type { Node } from './protocol.ts';
import type { Session, SessionOptions } from './session.ts';
import type { XdsStatus } from './status.ts';
import { serverStatus, typeStatus } from './status-of.ts';
import type { LinkedKey } from './references.ts';
import { Warming } from './warming.ts';

export interface XdsClientOptions extends Pick<SessionOptions, 'protocol' | 'linked'> {
  /** in order of preference, at least one */
  readonly servers: readonly XdsServer[];
  readonly channel: Omit<ChannelOptions, 'discovery' | 'maxMessageBytes'>;
  readonly codec: Codec;
  readonly node: Node;
  /** Address by lookup() only */
  readonly onDemand?: boolean;
  readonly log: Log;
  /** one consistent step each; the first has all types that were asked for */
  readonly publish: (update: MeshUpdate) => void;
  /** the configuration of earlier runs; undefined: none is kept */
  readonly lastGood?: LastGood;
  /** what is in force, to be kept by lastGood */
  readonly snapshot?: () => Snapshot;
  readonly maxMessageBytes?: number;
  readonly takeoverMs?: number;
  readonly warmingMs?: number;
  readonly coldStartMs?: number;
}

/** Room for 100,000 workloads in one response, and half of what ztunnel would take. */
const MAX_MESSAGE_BYTES = 100 * 1024 * 1024;
const TAKEOVER_MS = 2_000;
const WARMING_MS = 5_000;
/** A server that is there answers within; until then the kernel goes on with what it has. */
const COLD_START_MS = 3_000;

export class XdsClient {
  readonly #options: XdsClientOptions;
  readonly #failover: Failover;
  readonly #policyOrder: PolicyOrder;
  readonly #warming: Warming;
  readonly #lookups = new Lookups();
  /** asked for by name, in on-demand mode */
  readonly #asked = new Set<string>();
  /** undefined once the first step is out */
  #first: PendingUpdate | undefined = new PendingUpdate();
  #stale: { readonly savedAtMs: number } | undefined;
  #coldTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: XdsClientOptions) {
    this.#options = options;
    const { codec, node, log, protocol, linked } = options;
    this.#warming = new Warming({
      timeoutMs: options.warmingMs ?? WARMING_MS,
      log,
      publish: (update) => {
        if (this.#first === undefined) this.#publish(update);
        else this.#first.add(update);
      },
      onSettled: () => this.#releaseFirst(),
      onNames: ({ key, added, removed }) => this.#failover.changeNames(key, added, removed),
    });
    this.#policyOrder = new PolicyOrder({
      timeoutMs: options.warmingMs ?? WARMING_MS,
      pass: (update, patience) => this.#warming.stage(update, patience),
    });
    this.#failover = new Failover({
      servers: options.servers,
      session: {
        channel: {
          ...options.channel,
          discovery: codec.discovery,
          maxMessageBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
        },
        codec,
        node,
        protocol,
        linked,
        onDemand: options.onDemand ?? false,
        log,
      },
      takeoverMs: options.takeoverMs ?? TAKEOVER_MS,
      log,
      apply: (update) => this.#apply(update),
      onPush: (accepted) => this.#lookups.answer(accepted),
      wanted: (key) => this.#wanted(key),
    });
  }

  start(): void {
    this.#failover.start();
    const { lastGood, coldStartMs = COLD_START_MS } = this.#options;
    if (lastGood === undefined) return;
    this.#coldTimer = setTimeout(() => void this.#coldStart(lastGood), coldStartMs);
  }

  /** Every stream begins anew, with the credentials of today; what is in force stays. */
  reconnect(): void {
    if (!this.#closed) this.#failover.reconnect();
  }

  /** Nothing is published afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#coldTimer);
    this.#failover.close();
    this.#policyOrder.close();
    this.#warming.close();
    await this.#options.lastGood?.close();
  }

  /**
   * On-demand: asks for the workloads or services with these names, or addresses ("<network>/<ip>"), until they are
   * forgotten.  Each resolves when the server has answered: true, and the store has it, or false.  Without a server it
   * waits for one; of what is forgotten meanwhile it is false.
   */
  lookup(names: readonly string[]): Promise<boolean>[] {
    const fresh = names.filter((name) => !this.#asked.has(name));
    for (const name of fresh) this.#asked.add(name);
    const waits = names.map((name) => this.#lookups.wait(name));
    if (fresh.length > 0) this.#failover.changeNames('addresses', fresh, []);
    return waits;
  }

  /**
   * On-demand: whether names may be given back to the server in force.  istiod (1.25) answers with the removal of all
   * others, and does not answer for a name that is asked for again.
   */
  get forgets(): boolean {
    return this.#failover.active?.figures.isControl ?? false;
  }

  /** On-demand: names that were asked for, and what came of them and is needed by no other: it goes from the store. */
  forget(names: readonly string[], resources: readonly string[]): void {
    if (this.#closed) return;
    for (const name of names) {
      this.#asked.delete(name);
      this.#lookups.drop(name);
    }
    this.#failover.changeNames('addresses', [], [...new Set([...names, ...resources])]);
    if (resources.length === 0) return;
    this.#policyOrder.stage({ addresses: { upserts: [], removals: resources } });
  }

  status(): XdsStatus {
    const { active, sessions, switches } = this.#failover;
    return {
      servers: this.#options.servers.map((server, index) =>
        serverStatus(server, sessions[index], sessions[index] === active),
      ),
      types: active === undefined ? [] : [...active.types.values()].map(typeStatus),
      incomplete: this.#incomplete(active),
      waiting: this.#waiting,
      stale: this.#stale === undefined ? null : staleStatus(this.#stale.savedAtMs),
      switches,
    };
  }

  get #held(): number {
    return this.#policyOrder.held + this.#warming.held;
  }

  get #waiting(): readonly string[] {
    return [...this.#policyOrder.waiting, ...this.#warming.waiting];
  }

  #wanted(key: ResourceKey): readonly string[] {
    if (key === 'addresses') return [...this.#asked];
    return key === 'authorizations' ? [] : this.#warming.wanted(key as LinkedKey);
  }

  #incomplete(active: Session | undefined): string {
    if (this.#first === undefined) return '';
    if (active !== undefined) return `waiting: ${this.#waiting.join('; ')}`;
    const parts = this.#failover.sessions
      .filter((session) => session !== undefined)
      .map(({ server, figures, awaited }) =>
        figures.state === 'up'
          ? `${server.name} has not answered for ${awaited.join(', ')}`
          : `${server.name} is away${figures.error && ` (${figures.error})`}`,
      );
    return parts.join('; ');
  }

  #apply(update: MeshUpdate): void {
    if (this.#closed) return;
    if (this.#stale !== undefined) {
      this.#options.log.info('a server has answered: the saved configuration is replaced');
      this.#stale = undefined;
    }
    clearTimeout(this.#coldTimer);
    this.#policyOrder.stage(update);
  }

  #releaseFirst(): void {
    if (this.#first === undefined || this.#first.empty || this.#held > 0) return;
    const first = this.#first;
    this.#first = undefined;
    this.#publish(first.take());
  }

  #publish(update: MeshUpdate): void {
    if (this.#closed) return;
    this.#options.publish(update);
    const { lastGood, snapshot } = this.#options;
    if (this.#stale === undefined && snapshot !== undefined) lastGood?.schedule(snapshot);
  }

  async #coldStart(lastGood: LastGood): Promise<void> {
    const { log } = this.#options;
    const saved = await lastGood.load();
    if (saved === undefined || this.#closed || this.#failover.active !== undefined) return;
    const { savedAtMs, update } = saved;
    const { ageSeconds } = staleStatus(savedAtMs);
    log.warn({ ageSeconds }, 'no xDS server answers: the configuration of an earlier run is used');
    this.#stale = { savedAtMs };
    this.#policyOrder.stage(update, false);
    this.#failover.adopt(new Map(RESOURCE_ORDER.map((key) => [key, namesIn(update, key)])));
  }
}

/** A clock that was set back makes no negative age. */
function staleStatus(savedAtMs: number): { readonly savedAt: string; readonly ageSeconds: number } {
  const ageSeconds = Math.max(0, Math.round((Date.now() - savedAtMs) / 1000));
  return { savedAt: new Date(savedAtMs).toISOString(), ageSeconds };
}
