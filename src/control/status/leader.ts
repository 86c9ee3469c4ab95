/**
 * Which of control's replicas may write: a Lease of the API server, held as Kubernetes' own components hold theirs.
 *
 * A lease is taken for lapsed when it has not been seen to change for its duration: clocks of other machines are never
 * compared.  The holder stops leading by itself, before others may start, when it cannot renew.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { KubernetesError } from '../kubernetes/error.ts';

export interface LeaderTiming {
  /** others wait for so long after the last renewal they saw */
  readonly leaseMs: number;
  /** the holder gives up when it could not renew for so long; shorter than leaseMs */
  readonly renewMs: number;
  readonly retryMs: number;
}

const TIMING: LeaderTiming = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2000 };

export interface LeaderOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly name: string;
  /** of this replica, e.g. the pod's name; unique among the replicas, also those of the past */
  readonly identity: string;
  readonly log: Log;
  readonly timing?: Partial<LeaderTiming>;
  readonly onChange?: (leading: boolean) => void;
}

interface Lease {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export class LeaderElection {
  readonly #options: LeaderOptions;
  readonly #timing: LeaderTiming;
  readonly #path: string;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #leading = false;
  #lapse: NodeJS.Timeout | undefined;
  #seen = { version: '', atMs: 0 };

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  /** A request that is under way when this turns false may still be carried out. */
  get leading(): boolean {
    return this.#leading;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Lets go of the lease, so that another replica need not wait for its end. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    clearTimeout(this.#lapse);
    if (!this.#leading) return;
    this.#setLeading(false);
    await this.#release().catch((err: unknown) => {
      this.#options.log.debug({ err }, 'the lease could not be released and will lapse');
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#try();
      } catch (err) {
        // Somebody else was quicker: that is what the lease is for.
        const lost = err instanceof KubernetesError && err.status === 409;
        if (!lost && !signal.aborted) this.#options.log.warn({ err }, 'the lease cannot be had');
      }
      const pause = this.#timing.retryMs * (0.8 + 0.4 * Math.random());
      await sleep(pause, undefined, { signal }).catch(() => {});
    }
  }

  async #try(): Promise<void> {
    const { client, identity } = this.#options;
    const { leaseMs, renewMs } = this.#timing;
    const startedMs = performance.now();
    const options = { timeoutMs: renewMs / 2, signal: this.#stop.signal };
    const lease = await this.#get();
    const holder = lease?.spec?.holderIdentity ?? '';
    const version = lease?.metadata.resourceVersion ?? '';
    if (version !== this.#seen.version) this.#seen = { version, atMs: startedMs };
    if (holder !== identity && holder !== '') {
      this.#setLeading(false);
      const duration = Math.max(leaseMs, (lease?.spec?.leaseDurationSeconds ?? 0) * 1000);
      if (startedMs - this.#seen.atMs < duration) return;
    }
    const taken = lease === undefined || holder !== identity;
    const now = microTime();
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: this.#options.name, ...(version && { resourceVersion: version }) },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseMs / 1000),
        acquireTime: taken ? now : (lease.spec?.acquireTime ?? now),
        renewTime: now,
        leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (taken ? 1 : 0),
      },
    };
    if (lease === undefined) await client.call(this.#path, { ...options, method: 'POST', body });
    else await client.call(this.#one(), { ...options, method: 'PUT', body });
    clearTimeout(this.#lapse);
    // Counted from before the request: the server may have carried it out then.
    const left = Math.max(0, renewMs - (performance.now() - startedMs));
    this.#lapse = setTimeout(() => this.#setLeading(false), left);
    this.#lapse.unref();
    this.#setLeading(true);
  }

  async #get(): Promise<Lease | undefined> {
    try {
      const timeoutMs = this.#timing.renewMs / 2;
      const { signal } = this.#stop;
      return (await this.#options.client.call(this.#one(), { timeoutMs, signal })) as Lease;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #release(): Promise<void> {
    const { client, identity } = this.#options;
    const lease = (await client.call(this.#one(), { timeoutMs: 2000 })) as Lease;
    if (lease.spec?.holderIdentity !== identity) return;
    const body = { ...lease, spec: { ...lease.spec, holderIdentity: '', renewTime: microTime() } };
    await client.call(this.#one(), { method: 'PUT', body, timeoutMs: 2000 });
  }

  #one(): string {
    return `${this.#path}/${this.#options.name}`;
  }

  #setLeading(leading: boolean): void {
    if (leading === this.#leading) return;
    this.#leading = leading;
    this.#options.log.info({ leading }, 'leadership changed');
    this.#options.onChange?.(leading);
  }
}

/** metav1.MicroTime */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
