/**
 * Writes what control found out about Istio and Gateway API resources into their status, as their authors expect it.
 *
 * Only the leader writes, one object after the other, at a bounded rate, and only what differs from what is there.  Every
 * write names the version it read, so that no other controller's conditions are lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../../lifecycle/backoff.ts';
import type { Log } from '../../log.ts';
import { equal } from '../../model/equal.ts';
import { formatFinding, type Finding } from '../../model/finding.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { KubernetesError } from '../kubernetes/error.ts';
import { discover, type Served } from '../sources/kubernetes/discovery.ts';
import { objectPath, parseOrigin, type ParsedOrigin } from '../sources/kubernetes/kinds.ts';
import type { Ownership } from '../translate/l7/api-route.ts';
import { mergeConditions, reconciled } from './conditions.ts';
import { apiStatus, type ApiObject, type ApiStatus } from './gateway-api.ts';
import type { StatusReport } from './report.ts';
import { SUPPORTED_FEATURES } from './supported-features.ts';

export interface StatusWriterOptions {
  /** of the primary cluster */
  readonly client: Pick<KubernetesClient, 'call'>;
  readonly cluster: string;
  readonly leader: { readonly leading: boolean };
  readonly log: Log;
  readonly ownership: Ownership;
  readonly writesPerSecond?: number;
}

const WRITES_PER_SECOND = 10;
const DISCOVERY_MS = 60_000;
const REQUEST_MS = 10_000;
const GATEWAY_GROUP = 'gateway.networking.k8s.io';

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  /** by origin: what it should say */
  readonly #wanted = new Map<string, StatusReport>();
  /** origins that may say something else */
  readonly #queue = new Set<string>();
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 30_000 });
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #wake = (): void => {};
  #served: Served = new Map();
  #servedMs = -Infinity;
  /** whether GatewayClasses keep supportedFeatures; asked once for each version of theirs */
  #features: { readonly collection: string; readonly kept: boolean } | undefined;
  #wasLeading = false;
  /** statuses written since the start */
  writes = 0;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
  }

  /**
   * `resourceId` is the origin, `<cluster>/<Kind>/<namespace>/<name>`; one of another cluster, or of a kind without a
   * status, is left alone.  undefined: the resource is gone.
   */
  writeStatus(resourceId: string, report: StatusReport | undefined): void {
    const parsed = parseOrigin(resourceId);
    if (parsed === undefined || !hasStatus(parsed, this.#options.cluster)) return;
    const before = this.#wanted.get(resourceId);
    if (report === undefined) {
      this.#wanted.delete(resourceId);
      this.#queue.delete(resourceId);
      return;
    }
    if (before !== undefined && sameReport(before, report)) return;
    this.#wanted.set(resourceId, report);
    this.#queue.add(resourceId);
    this.#wake();
  }

  /** The resource itself has changed: its status speaks of an older generation. */
  touch(resourceId: string): void {
    if (!this.#wanted.has(resourceId)) return;
    this.#queue.add(resourceId);
    this.#wake();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const pauseMs = 1000 / (this.#options.writesPerSecond ?? WRITES_PER_SECOND);
    while (!signal.aborted) {
      const { leading } = this.#options.leader;
      // A former leader may have written anything.
      if (leading && !this.#wasLeading) for (const id of this.#wanted.keys()) this.#queue.add(id);
      this.#wasLeading = leading;
      const [id] = this.#queue;
      if (!leading || id === undefined) {
        await this.#idle(leading ? undefined : 200);
        continue;
      }
      this.#queue.delete(id);
      const wait = (await this.#write(id)) ?? pauseMs;
      await sleep(wait, undefined, { signal }).catch(() => {});
    }
  }

  async #idle(ms: number | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      // Leadership comes and goes without a call here.
      setTimeout(resolve, ms ?? 1000).unref();
    });
  }

  /** How long to wait when it failed. */
  async #write(id: string): Promise<number | undefined> {
    const report = this.#wanted.get(id);
    const parsed = parseOrigin(id);
    if (report === undefined || parsed === undefined) return undefined;
    try {
      await this.#update(parsed, report);
      this.#backoff.reset();
      return undefined;
    } catch (error) {
      const failure = KubernetesError.of(error);
      if (failure.status === 404) return undefined;
      if (isRefusal(failure)) {
        this.#options.log.warn({ err: failure, resource: id }, 'a status was refused');
        return undefined;
      }
      this.#queue.add(id);
      // Somebody has written between the read and the write.
      if (failure.status === 409) return undefined;
      this.#options.log.warn({ err: failure, resource: id }, 'a status could not be written');
      return Math.max(this.#backoff.nextMs(), failure.retryAfterMs ?? 0);
    }
  }

  async #update(parsed: ParsedOrigin, report: StatusReport): Promise<void> {
    const version = await this.#version(parsed);
    if (version === undefined) return;
    const path = objectPath(parsed.kind, version, parsed);
    const signal = this.#stop.signal;
    const { client } = this.#options;
    const object = (await client.call(path, { timeoutMs: REQUEST_MS, signal })) as ApiObject;
    const status = await this.#statusOf(parsed, path, object, report);
    if (status === undefined || !this.#options.leader.leading) return;
    await this.#patch(`${path}/status`, object.metadata.resourceVersion, status);
    this.writes++;
  }

  async #patch(
    path: string,
    resourceVersion: string | undefined,
    status: ApiStatus,
  ): Promise<ApiObject> {
    return (await this.#options.client.call(path, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: { metadata: { resourceVersion }, status },
      timeoutMs: REQUEST_MS,
      signal: this.#stop.signal,
    })) as ApiObject;
  }

  async #version({ kind }: ParsedOrigin): Promise<string | undefined> {
    const old = performance.now() - this.#servedMs > DISCOVERY_MS;
    if (old || !this.#served.has(kind)) {
      this.#served = await discover(this.#options.client, REQUEST_MS, this.#stop.signal);
      this.#servedMs = performance.now();
    }
    return this.#served.get(kind);
  }

  /** undefined: it says so already, or is not podwire's to say */
  async #statusOf(
    { kind, namespace }: ParsedOrigin,
    path: string,
    object: ApiObject,
    report: StatusReport,
  ): Promise<ApiStatus | undefined> {
    const now = new Date().toISOString().replace(/\.\d+/, '');
    const { generation } = object.metadata;
    const { ownership } = this.#options;
    if (kind.group !== GATEWAY_GROUP) {
      const present = object.status?.conditions ?? [];
      const conditions = mergeConditions(present, [reconciled(report.findings)], {
        generation,
        now,
      });
      return changed(object.status, { conditions });
    }
    const wanted = apiStatus(kind.kind, namespace, object, report, ownership, now);
    if (wanted === undefined) return undefined;
    const features = report.verdict?.kind === 'class' && (await this.#keepsFeatures(path, object));
    return changed(object.status, {
      ...wanted,
      ...(features && { supportedFeatures: SUPPORTED_FEATURES }),
    });
  }

  /** CRDs differ: some have no such field and drop it, some have another shape for it and refuse it. */
  async #keepsFeatures(path: string, { metadata }: ApiObject): Promise<boolean> {
    const collection = path.slice(0, path.lastIndexOf('/'));
    if (this.#features?.collection !== collection) {
      const { resourceVersion } = metadata;
      const kept = await this.#patch(`${path}/status?dryRun=All`, resourceVersion, {
        supportedFeatures: SUPPORTED_FEATURES,
      }).then(
        ({ status }) => equal(status?.supportedFeatures, SUPPORTED_FEATURES),
        (error: unknown) => {
          if (isRefusal(KubernetesError.of(error))) return false;
          throw error;
        },
      );
      this.#features = { collection, kept };
    }
    return this.#features.kept;
  }
}

/** The lists that differ; undefined: none. */
function changed(present: ApiStatus | undefined, wanted: ApiStatus): ApiStatus | undefined {
  const entries = Object.entries(wanted).filter(
    ([key, list]) => !equal(present?.[key as keyof ApiStatus] ?? [], list),
  );
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** What is wrong with the request is wrong with the next one, too. */
function isRefusal({ status }: KubernetesError): boolean {
  return status === 400 || status === 422;
}

function hasStatus({ cluster, kind }: ParsedOrigin, own: string): boolean {
  return cluster === own && !kind.workload && kind.kind !== 'ReferenceGrant';
}

function sameReport(a: StatusReport, b: StatusReport): boolean {
  return sameText(a.findings, b.findings) && equal(a.verdict, b.verdict);
}

function sameText(a: readonly Finding[], b: readonly Finding[]): boolean {
  return a.length === b.length && a.every((one, i) => formatFinding(one) === formatFinding(b[i]!));
}
