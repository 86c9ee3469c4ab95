/**
 * The observer's program: attached while something is being learnt, so that it costs nothing afterwards.
 * Owns bpf/observe.bpf.c's object, its links and its maps.
 */
import type { Binding, BpfLink, BpfMap, BpfObject } from '../../kernel/binding.ts';
import { Behaviours, LiveConn, ObservedKey } from '../../kernel/abi/layout.gen.ts';
import { TypedMap, u64 } from '../../kernel/typed-map.ts';
import { setSyscallNumbers } from './syscall-numbers.ts';
import { BEHAVIOUR_NAMES } from './trust-policy.ts';
import type { BehaviourName } from './trust-policy.ts';

export interface Observed {
  readonly key: ObservedKey;
  readonly behaviours: ReadonlySet<BehaviourName>;
}

const OBSERVED_CALLS = [
  'splice',
  'tee',
  'vmsplice',
  'io_uring_setup',
  'recvfrom',
  'recvmsg',
  'recvmmsg',
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
  readonly #object: BpfObject;
  readonly #watch: BpfMap;
  readonly #seen: TypedMap<ObservedKey, Behaviours>;
  readonly #quiet: BpfLink;
  readonly #watched = new Set<bigint>();
  #link: BpfLink | undefined;

  /** `conns`: the mesh object's socket storage of that name. Throws what the kernel refuses. */
  constructor(options: { binding: Binding; objectPath: string; conns: BpfMap }) {
    const { binding, objectPath, conns } = options;
    this.#object = binding.openObject(objectPath);
    try {
      this.#object.reuseMap('conns', conns);
      setSyscallNumbers(this.#object, OBSERVED_CALLS);
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
    return this.#link !== undefined;
  }

  attach(): void {
    this.#link ??= this.#object.program('observe_calls').attachTracing();
  }

  detach(): void {
    this.#link?.close();
    this.#link = undefined;
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
