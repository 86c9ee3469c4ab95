/**
 * Connections to HBONE servers, by who asks and who is asked: never shared between pods even with the same identity, nor between
 * destination pods, so that addresses stay true. First connects to a key wait for one another.
 */
import type { FieldList } from '../http2/fields.ts';
import { Session } from '../http2/session.ts';
import type { Http2Stream, StreamEvents } from '../http2/stream.ts';
import type { Endpoint, SecureLink, TlsPeer } from '../proxy/transport.ts';

/** Whose connections these are. */
export interface PoolKey {
  /** SPIFFE id of the source */
  readonly identity: string;
  /** SPIFFE ids the server may have */
  readonly acceptedIds: readonly string[];
  readonly destination: Endpoint;
  /** the pod the connections are made in, and its address */
  readonly pod: string;
  readonly address: string;
}

export interface PooledConnection {
  readonly key: PoolKey;
  readonly session: Session;
  /** Opens the stream that take() kept room for. */
  open(fields: FieldList, events: StreamEvents): Http2Stream;
  readonly peer: TlsPeer;
  readonly link: SecureLink;
  /** when the peer last answered a request, ms since 1970; 0: never */
  answeredAt: number;
}

/** ztunnel's POOL_MAX_STREAMS_PER_CONNECTION */
const MAX_STREAMS = 100;
/** ztunnel's POOL_UNUSED_RELEASE_TIMEOUT */
const IDLE_MS = 5 * 60_000;
const SWEEP_MS = 30_000;

class Entry implements PooledConnection {
  readonly key: PoolKey;
  readonly session: Session;
  readonly peer: TlsPeer;
  readonly link: SecureLink;
  /** ms since 1970 */
  usedAt = Date.now();
  answeredAt = 0;
  /** streams that take() promised and that are not open yet */
  reserved = 0;

  constructor(key: PoolKey, link: SecureLink, onClose: () => void) {
    this.key = key;
    this.peer = link.peer;
    this.link = link;
    const session = new Session({
      link,
      role: 'client',
      events: { close: onClose, goaway: onClose },
    });
    this.session = session;
  }

  get hasRoom(): boolean {
    const { usable, streamCount, maxStreams } = this.session;
    return usable && streamCount + this.reserved + 1 < Math.min(MAX_STREAMS, maxStreams);
  }

  open(fields: FieldList, events: StreamEvents): Http2Stream {
    this.reserved--;
    return this.session.open(fields, events);
  }
}

interface Slot {
  readonly entries: Entry[];
  connecting: Promise<Entry> | undefined;
}

export class Pool {
  readonly #connect: (key: PoolKey) => Promise<SecureLink>;
  readonly #idleMs: number;
  readonly #slots = new Map<string, Slot>();
  /** those that new tunnels no longer use, and whose tunnels live on */
  readonly #leaving = new Set<Entry>();
  readonly #sweeper: NodeJS.Timeout;
  connects = 0;
  #closed = false;

  constructor(options: { connect: (key: PoolKey) => Promise<SecureLink>; idleMs?: number }) {
    this.#connect = options.connect;
    this.#idleMs = options.idleMs ?? IDLE_MS;
    const every = Math.min(SWEEP_MS, this.#idleMs);
    this.#sweeper = setInterval(() => this.#sweep(), every).unref();
  }

  /** Connections that can take new tunnels. */
  get size(): number {
    let size = 0;
    for (const { entries } of this.#slots.values()) size += entries.length;
    return size;
  }

  /**
   * A connection with room for one more stream, which the caller must open.
   *
   * @throws what the connect rejects with; all that waited for it get the same
   */
  async take(key: PoolKey): Promise<PooledConnection> {
    const name = nameOf(key);
    for (;;) {
      if (this.#closed) throw new Error('the pool is closed');
      const slot = this.#slots.get(name) ?? this.#newSlot(name);
      const entry = slot.entries.find(({ hasRoom }) => hasRoom);
      if (entry) {
        entry.usedAt = Date.now();
        entry.reserved++;
        return entry;
      }
      slot.connecting ??= this.#open(key, name, slot);
      await slot.connecting;
    }
  }

  #newSlot(name: string): Slot {
    const slot: Slot = { entries: [], connecting: undefined };
    this.#slots.set(name, slot);
    return slot;
  }

  async #open(key: PoolKey, name: string, slot: Slot): Promise<Entry> {
    try {
      this.connects++;
      const link = await this.#connect(key);
      const entry: Entry = new Entry(key, link, () => this.#discard(entry, name));
      if (this.#closed) entry.session.close();
      else slot.entries.push(entry);
      return entry;
    } finally {
      slot.connecting = undefined;
      this.#forgetEmpty(name, slot);
    }
  }

  #forgetEmpty(name: string, slot: Slot): void {
    if (slot.entries.length === 0 && !slot.connecting) this.#slots.delete(name);
  }

  /** GOAWAY, an error or the end: no new tunnels; those there are end with the session. */
  #discard(entry: Entry, name: string): void {
    const slot = this.#slots.get(name);
    const at = slot?.entries.indexOf(entry) ?? -1;
    if (!slot) return;
    if (at >= 0) slot.entries.splice(at, 1);
    if (entry.session.streamCount > 0) this.#leaving.add(entry);
    else this.#leaving.delete(entry);
    this.#forgetEmpty(name, slot);
  }

  #sweep(): void {
    const before = Date.now() - this.#idleMs;
    for (const entry of this.#leaving) {
      if (entry.session.streamCount === 0) this.#leaving.delete(entry);
    }
    for (const [name, slot] of this.#slots) {
      for (const entry of [...slot.entries]) {
        if (entry.usedAt > before) continue;
        this.#discard(entry, name);
        entry.session.shutdown();
      }
    }
  }

  /** Ends connections, and with them their tunnels; returns how many. */
  closeWhere(condition: (connection: PooledConnection) => boolean): number {
    const all = [...this.#slots.values()].flatMap(({ entries }) => entries);
    const named = [...all, ...this.#leaving].filter(condition);
    for (const { session } of named) session.close();
    return named.length;
  }

  /** No new tunnels; connections end with their last one. */
  shutdown(): void {
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const [name, slot] of [...this.#slots]) {
      for (const entry of [...slot.entries]) {
        this.#discard(entry, name);
        entry.session.shutdown();
      }
    }
  }
}

function nameOf(key: PoolKey): string {
  const { identity, acceptedIds, destination, pod, address } = key;
  const { address: to, port } = destination;
  return JSON.stringify([identity, [...acceptedIds].sort(), to, port, pod, address]);
}
