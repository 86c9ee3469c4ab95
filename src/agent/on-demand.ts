/**
 * On demand: which workloads and services are asked for, and for how long.
 *
 * The pods of this node are asked for by name, so that their policies are known before anybody dials them.  Everything
 * else is asked for when a pod of this node dials it: the kernel tells of addresses it knows nobody at, once per pod and
 * half a minute.  The connection that tells goes on as it is; the answer is for those after it.
 *
 *   met ─► asking ─► there (forgotten when nobody has dialled it for long) │ none (asked again after a while, if dialled)
 *
 * What a pod may cost is bounded: it has so many addresses, and a new one takes the place of its own oldest.
 */
import { serviceKey } from '../model/service.ts';
import type { OnDemandStatus } from '../admin/view.ts';
import type { Snapshot } from '../model/snapshot.ts';

export interface OnDemandClient {
  /** false: what was asked for stays; the server could not take it back */
  readonly forgets: boolean;
  lookup(names: readonly string[]): Promise<boolean>[];
  forget(names: readonly string[], resources: readonly string[]): void;
}

export interface OnDemandOptions {
  readonly client: OnDemandClient;
  readonly mesh: {
    readonly snapshot: Snapshot;
    /** of the pod with this number, undefined: it is gone */
    uidOf(pod: number): string | undefined;
  };
  readonly limits?: Partial<OnDemandLimits>;
}

export interface OnDemandLimits {
  readonly addressesPerPod: number;
  readonly addresses: number;
  /** not dialled for so long: forgotten */
  readonly keptMs: number;
  /** who said that there is nobody is not asked again for so long */
  readonly noneMs: number;
  /** addresses met within are asked for in one request */
  readonly batchMs: number;
}

const LIMITS: OnDemandLimits = {
  addressesPerPod: 1024,
  addresses: 16_384,
  keptMs: 30 * 60_000,
  noneMs: 60_000,
  batchMs: 10,
};
const SWEEP_MS = 10_000;

type State = 'asking' | 'there' | 'none';

interface Asked {
  state: State;
  /** uids of the pods that dial it */
  readonly pods: Set<string>;
  /** of the monotonic clock */
  metAt: number;
  answeredAt: number;
}

export class OnDemand {
  readonly #options: OnDemandOptions;
  readonly #limits: OnDemandLimits;
  /** by name, "<network>/<ip>" */
  readonly #asked = new Map<string, Asked>();
  /** uid → names it dials, the one dialled last at the end */
  readonly #dialled = new Map<string, Set<string>>();
  #own: ReadonlySet<string> = new Set();
  #batch: string[] = [];
  #batchTimer: NodeJS.Timeout | undefined;
  readonly #sweeper: NodeJS.Timeout;
  #refused = 0;

  constructor(options: OnDemandOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    const every = Math.min(SWEEP_MS, this.#limits.keptMs, this.#limits.noneMs);
    this.#sweeper = setInterval(() => this.sweep(), every).unref();
  }

  status(): OnDemandStatus {
    const states = [...this.#asked.values()];
    const count = (state: State): number => states.filter((one) => one.state === state).length;
    return {
      asking: count('asking'),
      found: count('there'),
      nobody: count('none'),
      refused: this.#refused,
    };
  }

  /** The pods of this node, by uid. */
  setPods(uids: Iterable<string>): void {
    const { client } = this.#options;
    const now = new Set(uids);
    const fresh = [...now].filter((uid) => !this.#own.has(uid));
    const gone = [...this.#own].filter((uid) => !now.has(uid));
    this.#own = now;
    if (fresh.length > 0) void client.lookup(fresh);
    if (!client.forgets) return;
    for (const uid of gone) for (const name of this.#dialled.get(uid) ?? []) this.#leave(uid, name);
    if (gone.length > 0) {
      client.forget(gone, []);
      this.sweep();
    }
  }

  /** A pod of this node dials an address that the kernel knows nobody at. */
  met(pod: number, ip: string): void {
    const { mesh } = this.#options;
    const uid = mesh.uidOf(pod);
    if (uid === undefined) return;
    const network = mesh.snapshot.workloads.get(uid)?.network ?? '';
    const name = `${network}/${ip}`;
    const now = performance.now();
    const known = this.#asked.get(name);
    if (known === undefined && !this.#hasRoom(uid)) {
      this.#refused++;
      return;
    }
    const names = this.#dialled.get(uid) ?? new Set<string>();
    this.#dialled.set(uid, names);
    names.delete(name);
    names.add(name);
    if (known === undefined) {
      this.#asked.set(name, { state: 'asking', pods: new Set([uid]), metAt: now, answeredAt: 0 });
      this.#ask(name);
      return;
    }
    known.pods.add(uid);
    known.metAt = now;
    // where nothing is forgotten the server tells when there is somebody
    if (known.state !== 'none' || !this.#options.client.forgets) return;
    if (now - known.answeredAt < this.#limits.noneMs) return;
    known.state = 'asking';
    this.#ask(name);
  }

  /** Forgets what nobody has dialled for long, and what came with it. */
  sweep(): void {
    if (!this.#options.client.forgets) return;
    const now = performance.now();
    for (const [name, { state, metAt, pods }] of this.#asked) {
      const keptMs = state === 'none' ? this.#limits.noneMs : this.#limits.keptMs;
      if (now - metAt < keptMs) continue;
      for (const uid of [...pods]) this.#leave(uid, name);
    }
    const resources = this.#needless();
    if (resources.length > 0) this.#options.client.forget([], resources);
  }

  close(): void {
    clearInterval(this.#sweeper);
    clearTimeout(this.#batchTimer);
  }

  /** A pod with too many makes room among its own, where the server lets it. */
  #hasRoom(uid: string): boolean {
    const names = this.#dialled.get(uid);
    if (names !== undefined && names.size >= this.#limits.addressesPerPod) {
      if (!this.#options.client.forgets) return false;
      const [oldest] = names;
      this.#leave(uid, oldest!);
    }
    return this.#asked.size < this.#limits.addresses;
  }

  #leave(uid: string, name: string): void {
    const names = this.#dialled.get(uid);
    names?.delete(name);
    if (names?.size === 0) this.#dialled.delete(uid);
    const asked = this.#asked.get(name);
    asked?.pods.delete(uid);
    if (asked === undefined || asked.pods.size > 0) return;
    this.#asked.delete(name);
    if (asked.state !== 'none') this.#options.client.forget([name], []);
  }

  #ask(name: string): void {
    this.#batch.push(name);
    this.#batchTimer ??= setTimeout(() => this.#flush(), this.#limits.batchMs);
  }

  #flush(): void {
    const { client } = this.#options;
    this.#batchTimer = undefined;
    // what was forgotten meanwhile is of no interest
    const names = this.#batch.filter((name) => this.#asked.get(name)?.state === 'asking');
    this.#batch = [];
    const waits = client.lookup(names);
    for (const [index, wait] of waits.entries()) {
      void wait.then((found) => this.#answered(names[index]!, found));
    }
  }

  #answered(name: string, found: boolean): void {
    const asked = this.#asked.get(name);
    if (asked?.state !== 'asking') return;
    asked.state = found ? 'there' : 'none';
    asked.answeredAt = performance.now();
    // nothing came, so nothing is held: the server need not remember it for us
    const { client } = this.#options;
    if (!found && client.forgets) client.forget([name], []);
  }

  /** Names of resources in the store that nobody here has dialled, and that are none of this node's. */
  #needless(): string[] {
    const { workloads, services } = this.#options.mesh.snapshot;
    const ips = new Set([...this.#asked.keys()].map((name) => name.slice(name.indexOf('/') + 1)));
    const needed = new Set<string>();
    const needless: string[] = [];
    for (const service of services.values()) {
      const key = serviceKey(service);
      if (service.addresses.some((ip) => ips.has(ip))) needed.add(key);
      else needless.push(key);
    }
    const nodes = new Set([...this.#own].map((uid) => workloads.get(uid)?.node ?? ''));
    nodes.delete('');
    for (const { uid, node, addresses, services: of } of workloads.values()) {
      if (this.#own.has(uid) || nodes.has(node) || addresses.some((ip) => ips.has(ip))) continue;
      if (![...of.keys()].some((key) => needed.has(key))) needless.push(uid);
    }
    return needless;
  }
}
