/**
 * Self-healing's programs: iterators over stalled sockets and their owners, a window on system calls, and the end of
 * sockets by cookie.  Owns bpf/detect.bpf.c's object, its links and its maps; nothing is attached between calls.
 */
import type { Binding, BpfLink, BpfMap, BpfObject, NativeError } from '../../kernel/binding.ts';
import { SockOwner, Stall, WatchCount, WatchKey } from '../../kernel/abi/layout.gen.ts';
import { TypedMap, u64 } from '../../kernel/typed-map.ts';
import type { Codec } from '../../kernel/typed-map.ts';
import { setSyscallNumbers } from './syscall-numbers.ts';

/** Calls on one descriptor of one process. */
export interface CallCount extends WatchKey, WatchCount {}

export interface CallWindow {
  /** Ends the window and returns what was called in it. */
  close(): CallCount[];
}

/** What the stall detector needs of the kernel. */
export interface StallSource {
  /** Spliced sockets with unread bytes. */
  stalls(): Stall[];
  /** The descriptors of these sockets; at most MAX_TARGETS sockets. */
  owners(sockets: readonly Stall[]): SockOwner[];
  /** Counts calls on these descriptors until it is closed; one window at a time. */
  openWindow(targets: readonly WatchKey[]): CallWindow;
  /** Wakes edge-triggered pollers of these sockets. */
  poke(cookies: readonly bigint[], netnsPaths: readonly string[]): void;
}

export const MAX_TARGETS = 1024;

const WATCHED_CALLS = ['splice', 'read', 'readv', 'recvfrom', 'recvmsg', 'recvmmsg'] as const;
const NO_CALLS: WatchCount = { splices: 0n, reads: 0n };

export class DetectPrograms implements StallSource {
  readonly #object: BpfObject;
  readonly #stalls: BpfLink;
  readonly #owners: BpfLink;
  readonly #poke: BpfLink;
  readonly #destroy: BpfLink;
  readonly #targets: TypedMap<bigint, bigint>;
  readonly #counts: TypedMap<WatchKey, WatchCount>;
  /** cookie → 1: thousands at once, so they are written as they are */
  readonly #marked: BpfMap;

  /**
   * `socks` and `conns`: the mesh object's maps of these names; `conns` is left out for an older generation, whose
   * layout may differ: then a stall does not name its reader. Throws what the kernel refuses.
   */
  constructor(options: {
    binding: Binding;
    objectPath: string;
    socks: BpfMap;
    conns?: BpfMap | undefined;
  }) {
    const { binding, objectPath, socks, conns } = options;
    this.#object = binding.openObject(objectPath);
    try {
      if (conns !== undefined) this.#object.reuseMap('conns', conns);
      setSyscallNumbers(this.#object, WATCHED_CALLS);
      this.#object.load();
      this.#targets = new TypedMap('targets', this.#object.map('targets'), u64, u64);
      const counts = this.#object.map('watch_counts');
      this.#counts = new TypedMap('watch_counts', counts, WatchKey, WatchCount);
      this.#marked = this.#object.map('marked');
      this.#stalls = this.#object.program('stalls').attachIter(socks);
      this.#owners = this.#object.program('owners').attachIter();
      this.#poke = this.#object.program('poke').attachIter();
      this.#destroy = this.#object.program('destroy').attachIter();
    } catch (error) {
      this.#object.close();
      throw error;
    }
  }

  stalls(): Stall[] {
    return split(this.#stalls.readIter(), Stall);
  }

  owners(sockets: readonly Stall[]): SockOwner[] {
    this.#targets.setMany(sockets.map(({ sock, cookie }) => [sock, cookie]));
    try {
      return split(this.#owners.readIter(), SockOwner);
    } finally {
      this.#targets.deleteMany(sockets.map(({ sock }) => sock));
    }
  }

  openWindow(targets: readonly WatchKey[]): CallWindow {
    this.#counts.setMany(targets.map((target) => [target, NO_CALLS]));
    let link: BpfLink | undefined;
    const close = (): CallCount[] => {
      link?.close();
      const counts = this.#counts.entries();
      this.#counts.deleteMany(counts.map(([key]) => key));
      return counts.map(([key, count]) => ({ ...key, ...count }));
    };
    try {
      link = this.#object.program('watch_calls').attachTracing();
    } catch (error) {
      close();
      throw error;
    }
    return { close };
  }

  poke(cookies: readonly bigint[], netnsPaths: readonly string[]): void {
    this.#withMarked(cookies, () => {
      for (const path of netnsPaths) this.#poke.readIter(path);
    });
  }

  /** Ends these sockets with a reset, wherever in these namespaces they are; returns the cookies of the ended ones. */
  destroy(cookies: readonly bigint[], netnsPaths: readonly string[]): bigint[] {
    return this.#withMarked(cookies, () => netnsPaths.flatMap((path) => this.#destroyIn(path)));
  }

  #destroyIn(netnsPath: string): bigint[] {
    try {
      return numbersIn(this.#destroy.readIter(netnsPath));
    } catch (error) {
      if ((error as NativeError).code === 'ENOENT') return []; /* gone, and its sockets with it */
      throw error;
    }
  }

  close(): void {
    for (const link of [this.#stalls, this.#owners, this.#poke, this.#destroy]) link.close();
    this.#object.close();
  }

  #withMarked<T>(cookies: readonly bigint[], run: () => T): T {
    const keys = new Uint8Array(BigUint64Array.from(cookies).buffer);
    const { length } = cookies;
    if (length > 0) this.#marked.updateBatch(keys, new Uint8Array(length).fill(1), length);
    try {
      return run();
    } finally {
      if (length > 0) this.#marked.deleteBatch(keys, length);
    }
  }
}

function split<T>(bytes: Uint8Array, codec: Codec<T>): T[] {
  return Array.from({ length: Math.floor(bytes.length / codec.size) }, (_, index) =>
    codec.decode(bytes, index * codec.size),
  );
}

function numbersIn(bytes: Uint8Array): bigint[] {
  return [...new BigUint64Array(bytes.slice().buffer)];
}
