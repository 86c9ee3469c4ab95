/**
 * Typed import of the native addon (native/, build/Release/podwire.node).
 *
 * One class per native object; the native layer is thin: handles and bytes in batches, arguments are checked here in
 * TypeScript by the callers.  Every refusal of the kernel is thrown as a NativeError.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';
import { existsSync } from 'node:fs';

/** Thrown by the addon: `message` already names the call and its object. */
export interface NativeError extends Error {
  /** e.g. "EPERM"; libbpf's own codes (≥ 4000) are named as libbpf names them. */
  readonly code: string;
  /** positive errno */
  readonly errno: number;
  /** e.g. "bpf_map_update_elem", "setns" */
  readonly syscall: string;
  /** what libbpf (and the verifier) printed during the call, '' when nothing */
  readonly log: string;
}

export interface MapInfo {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

export interface ProgramInfo {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** hex, as bpftool prints it */
  readonly tag: string;
  /** run_time_ns and run_cnt are 0 unless kernel.bpf_stats_enabled */
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
}

/**
 * A map file descriptor. Keys and values are packed back to back in the batches. A map of an object has the object's
 * descriptor: it works until either is closed, then throws EBADF. Per-CPU maps are refused (EOPNOTSUPP).
 */
export interface BpfMap {
  readonly fd: number;
  info(): MapInfo;
  /** A copy of the value, or undefined when there is none. For sockhash maps the value is the u64 cookie. */
  lookup(key: Uint8Array): Uint8Array | undefined;
  /** flags: BPF_ANY 0, BPF_NOEXIST 1, BPF_EXIST 2 */
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** false when there was no such key */
  delete(key: Uint8Array): boolean;
  /**
   * count × keySize and count × valueSize bytes; single calls where the map type has no batches, or with flags. Entries
   * before a refusal stay written; the message says how many.
   */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number, flags?: number): void;
  /** keys that do not exist are passed over; returns how many were deleted */
  deleteBatch(keys: Uint8Array, count: number): number;
  /** Everything: { keys, values, count }. Falls back to get_next_key. Values are empty for maps that have none to read. */
  dump(): { keys: Uint8Array; values: Uint8Array; count: number };
  pin(path: string): void;
  freeze(): void;
  close(): void;
}

export interface BpfProgram {
  readonly name: string;
  readonly fd: number;
  info(): ProgramInfo;
  /** cgroup, sk_lookup (netns), tracepoint, raw tracepoint, iter: returns an unpinned link that ends with close() or the process */
  attachCgroup(cgroupPath: string): BpfLink;
  attachNetns(netnsPath: string): BpfLink;
  attachTracing(): BpfLink;
  /** iterator; with `map`, over that map (iter/sockmap, iter/bpf_sk_storage_map, iter/bpf_map_elem) */
  attachIter(map?: BpfMap): BpfLink;
  /** sk_msg and sk_skb verdicts on a sockhash: BPF_PROG_ATTACH with this program's expected attach type */
  attachSockmap(map: BpfMap): void;
  detachSockmap(map: BpfMap): void;
  pin(path: string): void;
  /** BPF_PROG_TEST_RUN: context and/or packet bytes in; { retval, dataOut, ctxOut } */
  testRun(options: { data?: Uint8Array; ctx?: Uint8Array; repeat?: number }): {
    retval: number;
    durationNs: number;
    dataOut: Uint8Array;
    ctxOut: Uint8Array;
  };
}

/** Ends with its last descriptor and pin; a pinned link of attachTracing() to a tracepoint stops with its close(). */
export interface BpfLink {
  readonly fd: number;
  id(): number;
  pin(path: string): void;
  /** BPF_LINK_UPDATE: replaces the program behind the link atomically */
  update(program: BpfProgram): void;
  /** BPF_LINK_DETACH: detaches though other handles or pins exist */
  detach(): void;
  /** iterator links: runs the iterator once (in `netnsPath` when given) and returns all it printed */
  readIter(netnsPath?: string): Uint8Array;
  close(): void;
}

export interface BpfObject {
  /** before load(): writes a `const volatile` variable of .rodata by name; the size must match */
  setRodata(name: string, value: Uint8Array): void;
  /** before load() */
  setMaxEntries(map: string, entries: number): void;
  /** before load(): uses an existing map in place of the object's own (bpf_map__reuse_fd) */
  reuseMap(map: string, existing: BpfMap): void;
  /** before load(): leave a program out (bpf_program__set_autoload) */
  setAutoload(program: string, load: boolean): void;
  load(): void;
  mapNames(): string[];
  programNames(): string[];
  map(name: string): BpfMap;
  program(name: string): BpfProgram;
  close(): void;
}

export interface RingBuffer {
  /** Delivers what is waiting now (epoll wake-ups deliver by themselves); returns the number of records. */
  consume(): number;
  close(): void;
}

export interface SocketAddress {
  /** 16 bytes, IPv4 mapped */
  readonly addr: Uint8Array;
  readonly port: number;
}

/** One side's credentials, parsed; freed when it is collected and no connection uses it. */
export interface NativeTlsContext {
  readonly __tls?: never;
}

/**
 * The sockets of this thread behind one epoll set; src/proxy/transport-port.ts has the numbers of events and operations, and
 * what the memory holds. What is open keeps the thread alive, and goes with it.
 */
export interface NativeTransport {
  readonly arena: ArrayBuffer;
  readonly writeArena: number;
  readonly gap: number;
  readonly events: Int32Array;
  readonly ops: Int32Array;
  readonly blocked: Uint8Array;
  /** takes the descriptor, also when it throws */
  listen(fd: number): number;
  connect(fd: number, address: string, port: number): number;
  secure(id: number, context: NativeTlsContext, accepted: readonly string[]): boolean;
  peer(id: number): NativeTlsPeer | undefined;
  flush(): void;
  close(): void;
}

export interface NativeTlsPeer {
  readonly spiffe: string;
  readonly spiffeIds: readonly string[];
  /** hex, as `issuerHash` (SHA-256 of the issuer's name) */
  readonly serial: string;
  readonly issuerHash: string;
  /** ms since 1970 */
  readonly notAfter: number;
}

export interface Binding {
  openObject(path: string): BpfObject;
  openPinnedMap(path: string): BpfMap;
  openPinnedLink(path: string): BpfLink;
  /** An inner map (or any map) made by hand: BPF_MAP_CREATE. */
  createMap(options: {
    type: number;
    name: string;
    keySize: number;
    valueSize: number;
    maxEntries: number;
    flags?: number;
  }): BpfMap;
  /** Adopts a descriptor this process already owns (worker threads open the main thread's maps by fd; the fd is duplicated). */
  mapFromFd(fd: number): BpfMap;
  /**
   * The callback gets the records of one wake-up in one buffer that it owns, one after the other: u32 length (little
   * endian), 4 zero bytes, the record, zeros up to a multiple of 8. An open ring delivers until close(), whoever holds it,
   * but does not keep the process alive. What the callback throws is an uncaughtException (from consume(): thrown there).
   */
  openRingBuffer(map: BpfMap, onRecords: (batch: Uint8Array) => void): RingBuffer;
  /** Raw BTF of an ELF object (.BTF section) */
  readBtf(path: string): Uint8Array;

  /** SO_NETNS_COOKIE of a network namespace (path: /run/netns/NAME, /proc/PID/ns/net) */
  netnsCookie(netnsPath: string): bigint;
  /** SO_COOKIE of a socket */
  socketCookie(fd: number): bigint;
  /**
   * A TCP socket inside `netnsPath` (this thread enters it and comes back; a failed return aborts the process): bound, non-blocking, close-on-exec.
   * `storage` is written to the sk_storage map before listen(), so that the kernel knows the agent's sockets by it.
   * `slot`: sockhash and key the listening socket is put in. Sets SO_REUSEADDR and, for family 6, IPV6_V6ONLY.
   * `resetOnClose`: see setResetOnClose(); accepted sockets inherit it.
   */
  listenIn(options: {
    netnsPath: string | null;
    family: 4 | 6;
    addr: Uint8Array;
    port: number;
    backlog: number;
    storage?: { map: BpfMap; value: Uint8Array };
    resetOnClose?: boolean;
    slot?: { map: BpfMap; key: Uint8Array };
  }): { fd: number; port: number };
  /** An unconnected TCP socket inside the namespace, storage set; the caller connects it with `new net.Socket({fd})`. */
  socketIn(options: {
    netnsPath: string | null;
    family: 4 | 6;
    storage?: { map: BpfMap; value: Uint8Array };
    resetOnClose?: boolean;
  }): number;
  /** SO_LINGER {on, 0}: close(2) sends RST, and so does the end of the process, whatever ended it */
  setResetOnClose(fd: number, on: boolean): void;
  /** bpf_map_update_elem on an sk_storage map by socket fd */
  setSocketStorage(map: BpfMap, fd: number, value: Uint8Array): void;
  getSocketStorage(map: BpfMap, fd: number): Uint8Array | undefined;
  /** close(2) of a descriptor returned here and not handed on */
  closeFd(fd: number): void;
  dupFd(fd: number): number;
  /** FIONREAD */
  bytesReadable(fd: number): number;
  getSockOptInt(fd: number, level: number, option: number): number;
  setSockOptInt(fd: number, level: number, option: number, value: number): void;
  /** Blocking-free send/recv for self-tests: returns bytes, or -errno */
  sendNow(fd: number, data: Uint8Array): number;
  recvNow(fd: number, buffer: Uint8Array): number;
  getsockname(fd: number): SocketAddress;
  getpeername(fd: number): SocketAddress;
  /** Sends a dump request (struct nlmsghdr and what follows) to NETLINK_SOCK_DIAG inside the namespace: the answers with their headers */
  sockDiag(netnsPath: string, request: Uint8Array): Uint8Array;

  /** `onEvents` hears how many of `events` are new; its answers are taken from `ops` when it has returned. */
  openTransport(onEvents: (count: number) => void): NativeTransport;
  /** All PEM. Throws with code ERR_TLS_CREDENTIALS; only where tlsLibrary() names one. */
  tlsContext(options: {
    server: boolean;
    certificateChain: string;
    privateKey: string;
    roots: string;
    crls?: string;
  }): NativeTlsContext;
  /** The OpenSSL of this node; undefined when it has none, or an older one than the addon was built for. */
  tlsLibrary(): string | undefined;

  /** flock(LOCK_EX | LOCK_NB) on a folder, or on a file that is created 0600: the descriptor, or undefined when another process holds it */
  tryLock(path: string): number | undefined;
  /** mount(2); EBUSY (already there) is no error. A second bpffs would cover the first: look at fsType before. */
  mountFs(type: 'bpf' | 'tracefs' | 'cgroup2', target: string): void;
  /** statfs f_type */
  fsType(path: string): number;
  /** Raises RLIMIT_NOFILE to the hard limit and RLIMIT_MEMLOCK to infinity (old kernels); returns [nofile soft, hard] */
  raiseLimits(): [number, number];
  possibleCpus(): number;
  libbpfVersion(): string;
  /** clock_gettime(CLOCK_MONOTONIC): what bpf_ktime_get_ns() returns */
  monotonicNs(): bigint;
}

/** Loads build/Release/podwire.node from the package root; throws with what to run when it is not there. */
export function loadBinding(): Binding {
  let dir = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const file = join(dir, 'build', 'Release', 'podwire.node');
    if (existsSync(file)) return createRequire(import.meta.url)(file) as Binding;
    const parent = dirname(dir);
    if (parent === dir) {
      throw new Error('build/Release/podwire.node is missing: run `npm run build:native`');
    }
    dir = parent;
  }
}
