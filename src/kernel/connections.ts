/**
 * Live connections of the node, from the iterators over the socket storage `conns`: of this generation and of every older
 * one that still has sockets. conn_view only grows at its end, so views of older agents decode as well. While one
 * generation takes over from another, a socket may be known to both: the older one has it in its sockhash.
 */
import { join } from 'node:path';
import type { Binding, BpfMap } from './binding.ts';
import { ConnView, ConnFlags } from './abi/layout.gen.ts';
import type { DataPath } from './data-path.ts';
import type { Generation } from './generations.ts';

/** One connection: the views of its ends on this node, one or two of them. */
export interface Connection {
  readonly client: ConnView | undefined;
  readonly server: ConnView | undefined;
}

/** Decodes packed views; `size` in each says how long its writer's view was. */
export function decodeViews(bytes: Uint8Array): ConnView[] {
  const views: ConnView[] = [];
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 8 <= bytes.length;) {
    const size = header.getUint32(at + 4, true);
    if (size < 8 || at + size > bytes.length) break;
    const whole = new Uint8Array(Math.max(size, ConnView.size));
    whole.set(bytes.subarray(at, at + size));
    views.push(ConnView.decode(whole));
    at += size;
  }
  return views;
}

/** Joins the two ends of a connection by their socket cookies. */
export function joinEnds(views: readonly ConnView[]): Connection[] {
  const byCookie = new Map(views.map((view) => [view.cookie, view]));
  const joined: Connection[] = [];
  const taken = new Set<bigint>();
  for (const view of views) {
    if (taken.has(view.cookie)) continue;
    taken.add(view.cookie);
    const isClient = (view.flags & ConnFlags.CLIENT) !== 0;
    const peer = view.peerCookie ? byCookie.get(view.peerCookie) : undefined;
    if (peer) taken.add(peer.cookie);
    joined.push(isClient ? { client: view, server: peer } : { client: peer, server: view });
  }
  return joined;
}

/** What views and events say in numbers. */
export interface Numbered {
  readonly sourcePod: number;
  readonly destinationPod: number;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly service: number;
}

export interface ConnectionsOptions {
  readonly binding: Binding;
  readonly path: DataPath;
  /** the first generation that was written with today's number tables */
  readonly numbersSince: number;
  /** identity number that a pod has today, 0: none */
  readonly identityOf: (pod: number) => number;
}

/** A map of an older generation, and that generation's number. */
export interface OlderMap {
  readonly map: BpfMap;
  readonly generation: number;
}

export class Connections {
  readonly #options: ConnectionsOptions;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Every end of every generation. */
  views(): ConnView[] {
    const views = decodeViews(this.#options.path.readConns());
    const olders = this.older();
    if (olders.length === 0) return views;
    const byCookie = new Map(views.map((view) => [view.cookie, view]));
    for (const older of olders) {
      for (const view of this.#readOlder(older)) {
        byCookie.set(view.cookie, this.inTodaysNumbers(older.number, view));
      }
    }
    return [...byCookie.values()];
  }

  /** Numbers of pods that live connections carry. */
  podsInUse(): Set<number> {
    const views = [
      ...decodeViews(this.#options.path.readConns()),
      ...this.older().flatMap((older) => this.#readOlder(older)),
    ];
    return new Set(views.flatMap((view) => [view.sourcePod, view.destinationPod]));
  }

  /**
   * After the state folder was lost, identities and services of older generations are numbers of a table nobody has:
   * a connection then has the identity of its pod. Pod numbers go with the namespace and stay right.
   */
  inTodaysNumbers<T extends Numbered>(generation: number, numbered: T): T {
    const { numbersSince, identityOf } = this.#options;
    if (generation >= numbersSince) return numbered;
    return {
      ...numbered,
      sourceIdentity: identityOf(numbered.sourcePod),
      destinationIdentity: identityOf(numbered.destinationPod),
      service: 0,
      ...('policy' in numbered && { policy: 0 }),
    };
  }

  list(): Connection[] {
    /* A client learns its server's cookie with its first message; the server knows the client's from the start. */
    const views = this.views();
    const serverOf = new Map<bigint, bigint>();
    for (const view of views) {
      if (!(view.flags & ConnFlags.CLIENT) && view.peerCookie)
        serverOf.set(view.peerCookie, view.cookie);
    }
    return joinEnds(
      views.map((view) => {
        const server = view.peerCookie ? undefined : serverOf.get(view.cookie);
        return server === undefined ? view : { ...view, peerCookie: server };
      }),
    );
  }

  /** Generations before this one that still have pins. */
  older(): Generation[] {
    const { generation, generations } = this.#options.path;
    return generations.olderThan(generation);
  }

  /** A map of every older generation that has it; the caller closes them. */
  olderMaps(name: string): OlderMap[] {
    return this.older().flatMap(({ maps, number }) => {
      try {
        const map = this.#options.binding.openPinnedMap(join(maps, name));
        return [{ map, generation: number }];
      } catch {
        return []; /* that agent died before it had pinned everything */
      }
    });
  }

  /** Older generations whose last socket is gone. */
  empty(): Generation[] {
    return this.older().filter((older) => this.#readOlder(older).length === 0);
  }

  #readOlder(generation: Generation): ConnView[] {
    let link;
    try {
      link = this.#options.binding.openPinnedLink(generation.conns);
    } catch {
      return []; /* the agent of that generation died before it pinned its iterator: it had no sockets */
    }
    try {
      return decodeViews(link.readIter());
    } finally {
      link.close();
    }
  }
}
