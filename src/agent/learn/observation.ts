/**
 * The observer's programs: attached while something is being learnt, so that they cost nothing afterwards.
 * Owns bpf/observe.bpf.c's object, its links and its maps.
 */
import { close as closeFile } from 'node:fs';
import type { Binding, BpfLink, BpfMap, BpfObject } from '../../kernel/binding.ts';
import { Behaviours, LiveConn, ObservedKey } from '../../kernel/abi/layout.gen.ts';
import { TypedMap, u64 } from '../../kernel/typed-map.ts';
import { BEHAVIOUR_NAMES } from './trust-policy.ts';
import type { BehaviourName } from './trust-policy.ts';

export interface Observed {
  readonly key: ObservedKey;
  readonly behaviours: ReadonlySet<BehaviourName>;
}

const TRACEPOINT_PROGRAMS = [
  'observe_splice',
  'observe_tee',
  'observe_vmsplice',
  'observe_io_uring_setup',
  'observe_recvfrom',
  'observe_recvmsg',
  'observe_recvmmsg',
] as const;

const ONE = Uint8Array.of(1);

/** What the Observer needs of the kernel. */
export interface ObservationSource {
  readonly attached: boolean;
  attach(): void;
  detach(): void;
  /** Replaces the set of watched network namespaces, by cookie. */
  watch(namespaces: ReadonlySet<bigint>): void;
  observed(): Observed[];
  liveConnections(): LiveConn[];
}

export class Observation implements ObservationSource {
  readonly #binding: Binding;
  readonly #object: BpfObject;
  readonly #watch: BpfMap;
  readonly #seen: TypedMap<ObservedKey, Behaviours>;
  readonly #quiet: BpfLink;
  readonly #watched = new Set<bigint>();
  #links: BpfLink[] = [];

  /** `conns`: the mesh object's socket storage of that name. Throws what the kernel refuses. */
  constructor(options: { binding: Binding; objectPath: string; conns: BpfMap }) {
    const { binding, objectPath, conns } = options;
    this.#binding = binding;
    binding.mountFs('tracefs', '/sys/kernel/tracing');
    this.#object = binding.openObject(objectPath);
    try {
      this.#object.reuseMap('conns', conns);
      this.#object.load();
      this.#watch = this.#object.map('watch');
      this.#seen = new TypedMap('seen', this.#object.map('seen'), ObservedKey, Behaviours);
      this.#quiet = this.#object.program('quiet').attachIter(conns);
    } catch (error) {
      this.#object.close();
      throw error;
    }
  }

  get attached(): boolean {
    return this.#links.length > 0;
  }

  attach(): void {
    if (this.attached) return;
    const links: BpfLink[] = [];
    try {
      for (const name of TRACEPOINT_PROGRAMS) {
        links.push(this.#object.program(name).attachTracing());
      }
    } catch (error) {
      for (const link of links) link.close();
      throw error;
    }
    this.#links = links;
  }

  /**
   * The kernel waits some 80 ms per tracepoint when its last descriptor is closed.  That one is closed by a thread of
   * the pool, or the agent's event loop would stand still for half a second.
   */
  detach(): void {
    for (const link of this.#links) {
      const last = this.#binding.dupFd(link.fd);
      link.close();
      closeFile(last, () => undefined);
    }
    this.#links = [];
  }

  watch(namespaces: ReadonlySet<bigint>): void {
    for (const netns of this.#watched) {
      if (namespaces.has(netns)) continue;
      this.#watch.delete(u64.encode(netns));
      this.#watched.delete(netns);
    }
    for (const netns of namespaces) {
      if (this.#watched.has(netns)) continue;
      this.#watch.update(u64.encode(netns), ONE);
      this.#watched.add(netns);
    }
  }

  observed(): Observed[] {
    return this.#seen.entries().map(([key, { count }]) => ({
      key,
      behaviours: new Set(BEHAVIOUR_NAMES.filter((_name, at) => (count[at] ?? 0n) > 0n)),
    }));
  }

  liveConnections(): LiveConn[] {
    const bytes = this.#quiet.readIter();
    return Array.from({ length: Math.floor(bytes.length / LiveConn.size) }, (_, index) =>
      LiveConn.decode(bytes, index * LiveConn.size),
    );
  }

  close(): void {
    this.detach();
    this.#quiet.close();
    this.#object.close();
  }
}
