/**
 * A Kubernetes cluster as a Source.
 *
 * Every object is an origin.  Events are put together for some milliseconds; the first batch waits until every kind was
 * listed.  Custom kinds are followed as soon as discovery shows them, and given up when it no longer does.  A server that
 * does not answer is reported, and what it said last stays in force.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../log.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { KubernetesError } from '../../kubernetes/error.ts';
import type { OriginContent, Source, SourceSink } from '../source.ts';
import { discover, type Served } from './discovery.ts';
import {
  BUILT_IN_KINDS,
  collectionPath,
  originKind,
  originOf,
  SECRET_KIND,
  type KubernetesKind,
} from './kinds.ts';
import { ClusterHealth, errorAbout } from './health.ts';
import { contentOf, type KubernetesObject } from './object.ts';
import { FollowedSecrets } from './secrets.ts';
import {
  Reflector,
  REFLECTOR_TIMING,
  type ReflectorSink,
  type ReflectorTiming,
} from './reflector.ts';

export interface KubernetesTiming extends ReflectorTiming {
  readonly discoveryMs: number;
  readonly discoveryTimeoutMs: number;
  /** how long events are put together */
  readonly batchMs: number;
  /** how long the first lists may take before control starts without them */
  readonly startMs: number;
}

export const KUBERNETES_TIMING: KubernetesTiming = {
  ...REFLECTOR_TIMING,
  discoveryMs: 10_000,
  discoveryTimeoutMs: 5000,
  batchMs: 4,
  startMs: 30_000,
};

export interface KubernetesSourceOptions {
  readonly client: KubernetesClient;
  /** clusterId of its workloads */
  readonly cluster: string;
  /**
   * `primary`: everything in it counts.  `workloads`: it lends its workloads and Services to the mesh that the primary
   * cluster configures; Istio resources in it are reported and not used.
   */
  readonly role: 'primary' | 'workloads';
  /** absent: label topology.istio.io/network of the root namespace */
  readonly network?: string;
  readonly rootNamespace: string;
  readonly log: Log;
  readonly timing?: Partial<KubernetesTiming>;
}

const NETWORK_LABEL = 'topology.istio.io/network';

interface Followed {
  readonly reflector: Reflector;
  readonly path: string;
  /** resolves when the kind was listed or could not be */
  readonly heard: Promise<void>;
}

export class KubernetesSource implements Source {
  readonly name: string;
  readonly #options: KubernetesSourceOptions;
  readonly #timing: KubernetesTiming;
  readonly #followed = new Map<KubernetesKind, Followed>();
  /** custom kinds the last discovery did not show: given up when the next does not either */
  readonly #missing = new Set<KubernetesKind>();
  readonly #secrets: FollowedSecrets;
  readonly #health: ClusterHealth;
  readonly #stop = new AbortController();
  #sink: SourceSink | undefined;
  #batch = new Map<string, OriginContent | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  #network: string;
  #polling: Promise<void> | undefined;

  constructor(options: KubernetesSourceOptions) {
    this.#options = options;
    this.#timing = { ...KUBERNETES_TIMING, ...options.timing };
    this.#network = options.network ?? '';
    this.#health = new ClusterHealth(options.cluster, options.client.server);
    this.#secrets = new FollowedSecrets({
      client: options.client,
      timing: this.#timing,
      waitMs: this.#timing.startMs,
      originOf: (key) => this.#originOf(SECRET_KIND, key),
      read: (key, object) => this.#read(SECRET_KIND, 'v1', key, object),
      put: (key, content) => this.#put(this.#originOf(SECRET_KIND, key), content),
    });
    this.name = `kubernetes/${options.cluster}`;
  }

  async start(sink: SourceSink): Promise<void> {
    this.#sink = sink;
    const { startMs } = this.#timing;
    await Promise.race([
      this.#firstLists(),
      sleep(startMs, undefined, { ref: false, signal: this.#stop.signal }).catch(() => {}),
    ]);
    if (this.#stop.signal.aborted) return;
    this.#started = true;
    this.#flush();
    sink.unavailable(this.#health.finding());
    this.#polling = this.#poll();
  }

  /** Of a cluster that lends its workloads only, none: the primary's count for all. */
  async followSecrets(names: ReadonlySet<string>): Promise<void> {
    if (this.#options.role !== 'primary') return;
    await this.#secrets.follow(names);
    if (this.#started) this.#flush();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.#sink = undefined;
    await Promise.all([...this.#followed.values()].map(({ reflector }) => reflector.close()));
    await Promise.all([this.#polling, this.#secrets.close()]);
    this.#options.client.close();
  }

  async #firstLists(): Promise<void> {
    // The network of the cluster stands on a Namespace, and on every workload from then on.
    const [namespaces, ...rest] = BUILT_IN_KINDS;
    await this.#follow(namespaces!, 'v1').heard;
    for (const kind of rest) this.#follow(kind, kind.version ?? 'v1');
    await this.#discover();
    await Promise.all([...this.#followed.values()].map(({ heard }) => heard));
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(this.#timing.discoveryMs, undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.#discover();
    }
  }

  async #discover(): Promise<void> {
    const { signal } = this.#stop;
    try {
      const served = await discover(this.#options.client, this.#timing.discoveryTimeoutMs, signal);
      this.#followServed(served);
      if (this.#health.isFailing('discovery')) this.#reconnect('the server answers again');
      this.#setFailing('discovery', undefined);
    } catch (error) {
      if (signal.aborted) return;
      const again = this.#health.isFailing('discovery');
      this.#setFailing('discovery', KubernetesError.of(error));
      // Watches of a server that hangs look idle; they go on where they were when it is back.
      if (again) this.#reconnect('the server does not answer');
    }
  }

  #reconnect(reason: string): void {
    for (const { reflector } of this.#followed.values()) reflector.reconnect(reason);
    this.#secrets.reconnect(reason);
  }

  #followServed(served: Served): void {
    for (const [kind, version] of served) {
      const followed = this.#followed.get(kind);
      if (followed?.path !== collectionPath(kind, version)) {
        void followed?.reflector.close();
        this.#follow(kind, version, followed?.reflector.keys());
      }
      this.#missing.delete(kind);
    }
    for (const [kind, followed] of this.#followed) {
      if (kind.version !== undefined || served.has(kind)) continue;
      // Once may be a server that is only starting.
      if (this.#missing.has(kind)) void this.#give(kind, followed);
      else this.#missing.add(kind);
    }
  }

  async #give(kind: KubernetesKind, { reflector }: Followed): Promise<void> {
    this.#followed.delete(kind);
    this.#missing.delete(kind);
    this.#setFailing(kind, undefined);
    await reflector.close();
    this.#put(this.#kindOrigin(kind), undefined);
    for (const key of reflector.keys()) this.#put(this.#originOf(kind, key), undefined);
  }

  #follow(kind: KubernetesKind, version: string, known?: Iterable<string>): Followed {
    const path = collectionPath(kind, version);
    const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`;
    let hear = (): void => {};
    const heard = new Promise<void>((resolve) => (hear = resolve));
    const sink: ReflectorSink = {
      upsert: (key, object) => this.#upsert(kind, apiVersion, key, object),
      remove: (key) => this.#put(this.#originOf(kind, key), undefined),
      synced: hear,
      failing: (error) => {
        this.#fail(kind, error);
        if (error !== undefined) hear();
      },
    };
    const reflector = new Reflector(this.#options.client, { path }, this.#timing, sink, known);
    const followed = { reflector, path, heard };
    this.#followed.set(kind, followed);
    reflector.start();
    return followed;
  }

  #upsert(kind: KubernetesKind, apiVersion: string, key: string, object: KubernetesObject): void {
    const { cluster, role } = this.#options;
    const origin = this.#originOf(kind, key);
    if (kind.kind === 'Namespace') this.#readNetwork(object);
    if (role === 'workloads' && !kind.workload) {
      const finding = errorAbout('REMOTE_CONFIG_UNUSED', origin, `${kind.kind} ${key}`, {
        message: `is not used: cluster ${cluster} lends its workloads only`,
        fix: 'apply it in the primary cluster, where it counts for all of them',
      });
      this.#put(origin, { resources: [], findings: [{ ...finding, severity: 'warning' }] });
      return;
    }
    this.#put(origin, this.#read(kind, apiVersion, key, object));
  }

  #read(kind: KubernetesKind, apiVersion: string, key: string, object: KubernetesObject) {
    const { cluster } = this.#options;
    const place = { origin: this.#originOf(kind, key), cluster, network: this.#network };
    return contentOf(object, { ...place, apiVersion, kind });
  }

  #readNetwork({ metadata }: KubernetesObject): void {
    const { network: fixed, rootNamespace } = this.#options;
    if (fixed !== undefined || metadata.name !== rootNamespace) return;
    const label: unknown = metadata.labels?.[NETWORK_LABEL];
    const network = typeof label === 'string' ? label : '';
    if (network === this.#network) return;
    this.#network = network;
    for (const [kind, { reflector }] of this.#followed) {
      if (kind.kind !== 'Namespace') reflector.repeat();
    }
  }

  #originOf(kind: KubernetesKind, key: string): string {
    const slash = key.indexOf('/');
    return originOf(this.#options.cluster, kind, key.slice(0, slash), key.slice(slash + 1));
  }

  #kindOrigin(kind: KubernetesKind): string {
    return `${this.#options.cluster}/${originKind(kind)}`;
  }

  #put(origin: string, content: OriginContent | undefined): void {
    this.#batch.set(origin, content);
    if (!this.#started) return;
    this.#timer ??= setTimeout(() => this.#flush(), this.#timing.batchMs);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#batch;
    this.#batch = new Map();
    if (batch.size > 0) this.#sink?.apply(batch);
  }

  /** One kind that may not be read is that kind's trouble; anything else is the cluster's. */
  #fail(kind: KubernetesKind, error: KubernetesError | undefined): void {
    const refused = error?.refused === true;
    const origin = this.#kindOrigin(kind);
    if (refused) {
      const finding = errorAbout('KIND_FORBIDDEN', origin, '', {
        message: `cannot be read: ${error.message}`,
        fix: `let control's account get, list and watch ${kind.resource}`,
      });
      this.#put(origin, { resources: [], findings: [finding] });
    } else if (error === undefined) {
      this.#put(origin, undefined);
    }
    this.#setFailing(kind, refused ? undefined : error);
  }

  #setFailing(part: KubernetesKind | 'discovery', error: KubernetesError | undefined): void {
    this.#health.set(part, error);
    if (this.#started) this.#sink?.unavailable(this.#health.finding());
  }
}
