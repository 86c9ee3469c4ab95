/**
 * The roots in a ConfigMap of every namespace of the primary cluster, as istiod has them: pods mount it to know control by.
 *
 * Only the leader writes, at a bounded rate, and only what differs.  What somebody else made under the name is left alone
 * and told: two control planes that write the same object would take each other's workloads down in turns.
 *
 * Rights it needs: list namespaces; list and update of configmaps of that name (resourceNames), create configmaps (which
 * cannot be held to a name), in all namespaces.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../../lifecycle/backoff.ts';
import type { Log } from '../../log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { KubernetesError } from '../kubernetes/error.ts';

export interface RootConfigMapsOptions {
  readonly client: KubernetesClient;
  readonly leader: { readonly leading: boolean };
  /** control's own, which gets them whatever it is called */
  readonly namespace: string;
  /** of the ConfigMaps */
  readonly name: string;
  /** PEM; may throw while the roots cannot be read */
  readonly bundle: () => string;
  readonly log: Log;
  readonly writesPerSecond?: number;
  /** how often everything is compared, though nothing was heard of a change */
  readonly resyncMs?: number;
}

interface Listed {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly data?: Readonly<Record<string, string>>;
}

const KEY = 'root-cert.pem';
const LABEL = 'podwire.io/roots';
/** Those istiod leaves out: nothing in them is of a mesh. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'local-path-storage',
]);
const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const PAGE = 500;
const WRITES_PER_SECOND = 20;
const RESYNC_MS = 60_000;
/** Namespaces come in bursts. */
const QUIET_MS = 200;
/** how soon a replica notices that it leads */
const FOLLOW_MS = 1000;
const REQUEST_MS = 10_000;

export class RootConfigMaps {
  readonly #options: RootConfigMapsOptions;
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 30_000 });
  readonly #stop = new AbortController();
  readonly #foreign = new Set<string>();
  #running: Promise<void> | undefined;
  #due = true;
  #wake = (): void => {};

  constructor(options: RootConfigMapsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The roots have changed, or a namespace has. */
  poke(): void {
    this.#due = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { leader, log, resyncMs = RESYNC_MS } = this.#options;
    const { signal } = this.#stop;
    let comparedMs = -Infinity;
    while (!signal.aborted) {
      let pauseMs = FOLLOW_MS;
      if (!leader.leading) comparedMs = -Infinity;
      else if (this.#due || performance.now() - comparedMs >= resyncMs) {
        this.#due = false;
        try {
          await this.#compare();
          comparedMs = performance.now();
          this.#backoff.reset();
        } catch (err) {
          if (!signal.aborted) log.warn({ err }, 'the roots cannot be put into all namespaces');
          this.#due = true;
          pauseMs = this.#backoff.nextMs();
        }
      }
      await this.#pause(pauseMs);
    }
  }

  /** A failure is waited out; otherwise a poke ends the pause, a moment later. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stop;
    if (this.#due) {
      await sleep(ms, undefined, { signal }).catch(() => {});
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = () => {};
    if (this.#due) await sleep(QUIET_MS, undefined, { signal }).catch(() => {});
  }

  /** Throws the first failure, when it has tried every namespace. */
  async #compare(): Promise<void> {
    const { leader, name, namespace: own, bundle } = this.#options;
    const roots = bundle();
    const namespaces = await this.#list('/api/v1/namespaces', { accept: METADATA_ONLY });
    const fieldSelector = `metadata.name=${name}`;
    const present = new Map(
      (await this.#list('/api/v1/configmaps', { fieldSelector })).map((one) => [
        one.metadata.namespace ?? '',
        one,
      ]),
    );
    let failure: unknown;
    for (const { metadata } of namespaces) {
      const namespace = metadata.name;
      if (LEFT_OUT.has(namespace) && namespace !== own) continue;
      if (metadata.deletionTimestamp !== undefined) continue;
      const found = present.get(namespace);
      if (found?.data?.[KEY] === roots || this.#isForeign(namespace, found)) continue;
      if (this.#stop.signal.aborted || !leader.leading) return;
      try {
        await this.#write(namespace, roots, found);
      } catch (error) {
        if (!isOvertaken(error)) failure ??= error;
        this.#due = true;
      }
      const pauseMs = 1000 / (this.#options.writesPerSecond ?? WRITES_PER_SECOND);
      await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
    // oxlint-disable-next-line no-throw-literal
    if (failure !== undefined) throw failure;
  }

  #isForeign(namespace: string, found: Listed | undefined): boolean {
    const foreign = found !== undefined && found.metadata.labels?.[LABEL] !== 'true';
    if (!foreign) this.#foreign.delete(namespace);
    else if (!this.#foreign.has(namespace)) {
      this.#foreign.add(namespace);
      const { name, log } = this.#options;
      log.warn(
        { namespace, name },
        `a ConfigMap of another control plane has the roots' name: remove it, label it ${LABEL}=true, or choose another (--root-configmap)`,
      );
    }
    return foreign;
  }

  async #write(namespace: string, roots: string, found: Listed | undefined): Promise<void> {
    const { client, name } = this.#options;
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const options = { timeoutMs: REQUEST_MS, signal: this.#stop.signal };
    const base = { apiVersion: 'v1', kind: 'ConfigMap' };
    if (found === undefined) {
      const metadata = { name, labels: { [LABEL]: 'true' } };
      const body = { ...base, metadata, data: { [KEY]: roots } };
      await client.call(path, { ...options, method: 'POST', body });
    } else {
      // It carries the version that was read.
      const body = { ...base, ...found, data: { ...found.data, [KEY]: roots } };
      await client.call(`${path}/${name}`, { ...options, method: 'PUT', body });
    }
  }

  async #list(
    path: string,
    { accept, fieldSelector }: { readonly accept?: string; readonly fieldSelector?: string },
  ): Promise<Listed[]> {
    const items: Listed[] = [];
    let next: string | undefined;
    do {
      const answer = (await this.#options.client.call(path, {
        query: { limit: PAGE, continue: next, fieldSelector },
        ...(accept !== undefined && { accept }),
        timeoutMs: REQUEST_MS,
        signal: this.#stop.signal,
      })) as { items?: Listed[] | null; metadata?: { continue?: string } };
      items.push(...(answer.items ?? []));
      next = answer.metadata?.continue || undefined;
    } while (next !== undefined);
    return items;
  }
}

/** Somebody else was quicker, or the namespace is going: the next comparison sees it. */
function isOvertaken(error: unknown): boolean {
  return error instanceof KubernetesError && (error.status === 409 || error.status === 404);
}
