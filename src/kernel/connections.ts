/**
 * Live connections of the node, from the iterators over the socket storage `conns`: of this generation and of every older
 * one that still has sockets. conn_view only grows at its end, so views of older agents decode as well.
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

export class Connections {
  readonly #binding: Binding;
  readonly #path: DataPath;

  constructor(options: { binding: Binding; path: DataPath }) {
    this.#binding = options.binding;
    this.#path = options.path;
  }

  /** Every end of every generation. */
  views(): ConnView[] {
    const views = decodeViews(this.#path.readConns());
    for (const older of this.older()) views.push(...this.#readOlder(older));
    return views;
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
    const { generation, generations } = this.#path;
    return generations.list().filter(({ number }) => number !== generation.number);
  }

  /** A map of every older generation that has it; the caller closes them. */
  olderMaps(name: string): BpfMap[] {
    return this.older().flatMap(({ maps }) => {
      try {
        return [this.#binding.openPinnedMap(join(maps, name))];
      } catch {
        return []; /* that agent died before it had pinned everything */
      }
    });
  }

  /** Removes generations whose last socket is gone; returns their numbers. */
  sweep(): number[] {
    const empty = this.older().filter((older) => this.#readOlder(older).length === 0);
    for (const older of empty) this.#path.generations.remove(older);
    return empty.map(({ number }) => number);
  }

  #readOlder(generation: Generation): ConnView[] {
    let link;
    try {
      link = this.#binding.openPinnedLink(generation.conns);
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
