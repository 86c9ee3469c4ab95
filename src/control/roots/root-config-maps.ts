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
import type { Log } from '../../log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { isOvertaken, LeaderUpkeep } from './leader-upkeep.ts';

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
const REQUEST_MS = 10_000;

export class RootConfigMaps {
  readonly #options: RootConfigMapsOptions;
  readonly #foreign = new Set<string>();
  readonly #upkeep: LeaderUpkeep;

  constructor(options: RootConfigMapsOptions) {
    this.#options = options;
    const { leader, log, resyncMs } = options;
    this.#upkeep = new LeaderUpkeep({
      leader,
      compare: (signal) => this.#compare(signal),
      failure: 'the roots cannot be put into all namespaces',
      log,
      ...(resyncMs !== undefined && { resyncMs }),
    });
  }

  start(): void {
    this.#upkeep.start();
  }

  /** The roots have changed, or a namespace has. */
  poke(): void {
    this.#upkeep.poke();
  }

  async close(): Promise<void> {
    await this.#upkeep.close();
  }

  /** Throws the first failure, when it has tried every namespace. */
  async #compare(signal: AbortSignal): Promise<void> {
    const { leader, name, namespace: own, bundle } = this.#options;
    const roots = bundle();
    const namespaces = await this.#list('/api/v1/namespaces', signal, { accept: METADATA_ONLY });
    const fieldSelector = `metadata.name=${name}`;
    const present = new Map(
      (await this.#list('/api/v1/configmaps', signal, { fieldSelector })).map((one) => [
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
      if (signal.aborted || !leader.leading) return;
      try {
        await this.#write(namespace, roots, found, signal);
      } catch (error) {
        if (!isOvertaken(error)) failure ??= error;
        this.#upkeep.poke();
      }
      const pauseMs = 1000 / (this.#options.writesPerSecond ?? WRITES_PER_SECOND);
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
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

  async #write(
    namespace: string,
    roots: string,
    found: Listed | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, name } = this.#options;
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const options = { timeoutMs: REQUEST_MS, signal };
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
    signal: AbortSignal,
    { accept, fieldSelector }: { readonly accept?: string; readonly fieldSelector?: string },
  ): Promise<Listed[]> {
    const items: Listed[] = [];
    let next: string | undefined;
    do {
      const answer = (await this.#options.client.call(path, {
        query: { limit: PAGE, continue: next, fieldSelector },
        ...(accept !== undefined && { accept }),
        timeoutMs: REQUEST_MS,
        signal,
      })) as { items?: Listed[] | null; metadata?: { continue?: string } };
      items.push(...(answer.items ?? []));
      next = answer.metadata?.continue || undefined;
    } while (next !== undefined);
    return items;
  }
}
