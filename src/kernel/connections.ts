/**
 * Live connections of the node, from the iterators over the socket storage `conns`: of this generation and of every older
 * one that still has sockets. conn_view only grows at its end, so views of older agents decode as well. While one
 * generation takes over from another, a socket may be known to both: the older one has it in its sockhash.
 */
import { join } from 'node:path';
import type { Binding, BpfMap } from './binding.ts';
import { ConnFlags, type ConnView } from './abi/layout.gen.ts';
import type { DataPath } from './data-path.ts';
import type { Generation } from './generations.ts';
import { LiveViews, type PrintedViews } from './live-views.ts';

/** One connection: the views of its ends on this node, one or two of them. */
export interface Connection {
  readonly client: ConnView | undefined;
  readonly server: ConnView | undefined;
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
  live(): LiveViews {
    const { numbersSince, identityOf } = this.#options;
    return this.#read(({ number }) => (number < numbersSince ? identityOf : undefined));
  }

  /** The same, decoded. */
  views(): ConnView[] {
    return this.live().decodeAll();
  }

  /** Numbers of pods that live connections carry. */
  podsInUse(): Set<number> {
    const live = this.#read(() => undefined);
    const pods = new Set<number>();
    for (let index = 0; index < live.count; index++) {
      for (const pod of live.podsOf(index)) pods.add(pod);
    }
    return pods;
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
    const live = this.live();
    const partners = live.partners();
    const views = live.decodeAll();
    return views.flatMap((view, index): Connection[] => {
      const partner = views[partners[index]!];
      if (view.flags & ConnFlags.CLIENT) return [{ client: view, server: partner }];
      return partner === undefined ? [{ client: undefined, server: view }] : [];
    });
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

  #read(identityOf: (older: Generation) => PrintedViews['identityOf']): LiveViews {
    const today = { bytes: this.#options.path.readConns() };
    const olders = this.older().map((older) => ({
      bytes: this.#readOlder(older),
      identityOf: identityOf(older),
    }));
    return new LiveViews([
      ...olders.toReversed(),
      today,
    ]); /* the older one has it in its sockhash */
  }

  #readOlder(generation: Generation): Uint8Array {
    let link;
    try {
      link = this.#options.binding.openPinnedLink(generation.conns);
    } catch {
      return new Uint8Array(); /* that agent died before it pinned its iterator: it had no sockets */
    }
    try {
      return link.readIter();
    } finally {
      link.close();
    }
  }
}
