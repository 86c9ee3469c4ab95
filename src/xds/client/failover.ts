/**
 * Which server is listened to: the first of the list that answers, and the one before it again when it is back.
 *
 * Make before break: another server is asked while the old one, or what it said last, stays in force; only when it has
 * answered for every type of the first hour does its word count, in one step.  What was held goes along as names without
 * versions, so that the new server names what it does not have: nothing is removed because of the change itself.
 */
import type { MeshUpdate } from '../../model/messages.ts';
import type { Log } from '../../log.ts';
import { RESOURCE_ORDER, type ResourceKey } from '../resource-types.ts';
import type { Accepted } from './decode-push.ts';
import { PendingUpdate } from './pending-update.ts';
import { Session, type SessionEvents, type SessionOptions } from './session.ts';
import type { XdsServer } from './channel.ts';

export interface FailoverOptions {
  /** in order of preference */
  readonly servers: readonly XdsServer[];
  readonly session: Omit<SessionOptions, 'server' | 'events' | 'eager'>;
  /** how long the preferred server may be away, or silent, before the next one is asked */
  readonly takeoverMs: number;
  /** to be put in force, in order */
  readonly apply: (update: MeshUpdate) => void;
  /** of a push of the server in force, after it was applied */
  readonly onPush: (accepted: Accepted) => void;
  /** names of a by-name type that are needed now */
  readonly wanted: (key: ResourceKey) => readonly string[];
  readonly log: Log;
}

/** type → names, and their versions where they are this server's */
export type Held = ReadonlyMap<ResourceKey, ReadonlyMap<string, string>>;

/** Streams in a row that did not live: connected or not, the server is of no use. */
const USELESS_AFTER = 3;

export class Failover {
  readonly #options: FailoverOptions;
  readonly #sessions: (Session | undefined)[];
  /** what a server that is not in force has said since its stream began */
  readonly #buffers = new Map<Session, PendingUpdate>();
  /** on-demand only: answers to lookups that are in those buffers */
  readonly #early = new Map<Session, Accepted[]>();
  #active: Session | undefined;
  #held: Held = new Map();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** of any server, since the start */
  #reached = false;
  switches = 0;

  constructor(options: FailoverOptions) {
    this.#options = options;
    this.#sessions = options.servers.map(() => undefined);
  }

  get active(): Session | undefined {
    return this.#active;
  }

  get sessions(): readonly (Session | undefined)[] {
    return this.#sessions;
  }

  start(): void {
    this.#openNext();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const session of this.#sessions) session?.close();
  }

  /** Something else than a server is in force now (the configuration of an earlier run): servers are to compare with it. */
  adopt(held: Held): void {
    this.#held = held;
    for (const session of this.#sessions) {
      if (session !== undefined && session !== this.#active) session.restart();
    }
  }

  reconnect(): void {
    for (const session of this.#sessions) session?.restart();
  }

  changeNames(key: ResourceKey, added: readonly string[], removed: readonly string[]): void {
    for (const session of this.#sessions) session?.changeNames(key, added, removed);
  }

  #openNext(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const index = this.#sessions.findIndex((session) => session === undefined);
    if (index < 0 || this.#closed) return;
    const server = this.#options.servers[index]!;
    if (index > 0) this.#options.log.warn({ server: server.name }, 'asking another xDS server');
    const session = new Session({
      ...this.#options.session,
      server,
      eager: () => !this.#reached,
      events: this.#events(),
    });
    this.#sessions[index] = session;
    session.start();
    this.#await();
  }

  #events(): SessionEvents {
    return {
      up: () => (this.#reached = true),
      opening: (session) => this.#seed(session),
      pushed: (session, key, accepted, gone) => this.#pushed(session, key, accepted, gone),
      answered: (session) => this.#answered(session),
      stable: (session) => {
        if (session === this.#active) this.#closeAfter(session);
      },
      down: () => this.#await(),
    };
  }

  /** Before each stream: names it must subscribe to, and what it must compare with. */
  #seed(session: Session): void {
    for (const { key, names } of session.types.values()) {
      names.clear();
      for (const name of this.#options.wanted(key)) names.add(name);
    }
    if (session === this.#active) return; // it knows what it told
    this.#buffers.set(session, new PendingUpdate());
    this.#early.set(session, []);
    for (const key of RESOURCE_ORDER) {
      const names = this.#held.get(key)?.keys() ?? [];
      session.types.get(key)!.known = new Map([...names].map((name) => [name, '']));
    }
  }

  #pushed(session: Session, key: ResourceKey, accepted: Accepted, gone: readonly string[]): void {
    const update = {
      [key]: {
        upserts: accepted.upserts.map(({ value }) => value),
        removals: [...accepted.removals, ...gone],
      },
    } as MeshUpdate;
    if (session !== this.#active) {
      this.#buffers.get(session)?.add(update);
      if (this.#options.session.onDemand) this.#early.get(session)?.push(accepted);
      return;
    }
    this.#options.apply(update);
    this.#options.onPush(accepted);
  }

  #answered(session: Session): void {
    const active = this.#active;
    if (session === active) {
      this.#closeAfter(session);
      return;
    }
    const preferred = active === undefined || this.#rank(session) < this.#rank(active);
    if (preferred || !isOfUse(active)) this.#promote(session);
  }

  #promote(session: Session): void {
    const before = this.#active;
    const update = new PendingUpdate();
    // what the old server told since this one was asked, and this one does not know
    for (const [key, names] of this.#held) {
      const known = session.types.get(key)!.known;
      if (!session.types.get(key)!.answered) continue;
      for (const name of names.keys()) if (!known.has(name)) update.remove(key, name);
    }
    update.add(this.#buffers.get(session)?.take() ?? {});
    this.#buffers.delete(session);
    this.#active = session;
    this.#held = new Map([...session.types].map(([key, type]) => [key, type.known]));
    this.switches++;
    this.#options.log.info(
      { server: session.server.name, before: before?.server.name, protocol: session.protocol },
      'the configuration comes from this xDS server',
    );
    this.#options.apply(update.take());
    for (const accepted of this.#early.get(session) ?? []) this.#options.onPush(accepted);
    this.#early.delete(session);
    this.#closeAfter(session);
    if (before !== undefined && this.#sessions.includes(before)) {
      // the better one is back; the other was closed just now. Or the better one is away: it goes on trying, from anew
      before.restart();
    }
  }

  /** Servers that come after the one in force are of no interest. */
  #closeAfter(session: Session): void {
    for (let index = this.#rank(session) + 1; index < this.#sessions.length; index++) {
      const other = this.#sessions[index];
      if (other === undefined) continue;
      other.close();
      this.#buffers.delete(other);
      this.#early.delete(other);
      this.#sessions[index] = undefined;
    }
  }

  /** Gives those that were asked some time before the next one is. */
  #await(): void {
    if (this.#timer !== undefined || this.#closed) return;
    if (!this.#sessions.includes(undefined)) return;
    if (this.#active !== undefined && isOfUse(this.#active)) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#active === undefined || !isOfUse(this.#active)) this.#openNext();
    }, this.#options.takeoverMs);
  }

  #rank(session: Session): number {
    return this.#sessions.indexOf(session);
  }
}

function isOfUse({ figures }: Session): boolean {
  return figures.state === 'up' && figures.failures < USELESS_AFTER;
}
