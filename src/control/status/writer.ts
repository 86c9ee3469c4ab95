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
import { CONTROLLER_NAME } from '../../model/resource/gateway-api.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { KubernetesError } from '../kubernetes/error.ts';
import { discover, type Served } from '../sources/kubernetes/discovery.ts';
import { objectPath, parseOrigin, type ParsedOrigin } from '../sources/kubernetes/kinds.ts';
import {
  gatewayClassConditions,
  gatewayConditions,
  istioConditions,
  mergeConditions,
  routeConditions,
  type Condition,
} from './conditions.ts';

export interface ParentReference {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
}

export interface StatusWriterOptions {
  /** of the primary cluster */
  readonly client: KubernetesClient;
  readonly cluster: string;
  readonly leader: { readonly leading: boolean };
  readonly log: Log;
  /** whether a route's parent is served by podwire; absent: Services (the mesh) alone */
  readonly ownsParent?: (parent: ParentReference, routeNamespace: string) => boolean;
  readonly writesPerSecond?: number;
}

interface StatusObject {
  readonly metadata: { readonly generation?: number; readonly resourceVersion?: string };
  readonly spec?: { readonly parentRefs?: readonly ParentReference[] };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly parents?: readonly ParentStatus[];
  };
}

interface ParentStatus {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions?: readonly Condition[];
}

const WRITES_PER_SECOND = 10;
const DISCOVERY_MS = 60_000;
const REQUEST_MS = 10_000;
const ROUTE = /^(HTTP|GRPC|TCP|TLS)Route$/;
const GATEWAY_GROUP = 'gateway.networking.k8s.io';

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  /** by origin: what it should say */
  readonly #wanted = new Map<string, readonly Finding[]>();
  /** origins that may say something else */
  readonly #queue = new Set<string>();
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 30_000 });
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #wake = (): void => {};
  #served: Served = new Map();
  #servedMs = -Infinity;
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
  writeStatus(resourceId: string, findings: readonly Finding[] | undefined): void {
    const parsed = parseOrigin(resourceId);
    if (parsed === undefined || !hasStatus(parsed, this.#options.cluster)) return;
    const before = this.#wanted.get(resourceId);
    if (findings === undefined) {
      this.#wanted.delete(resourceId);
      this.#queue.delete(resourceId);
      return;
    }
    if (before !== undefined && sameText(before, findings)) return;
    this.#wanted.set(resourceId, findings);
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
    const findings = this.#wanted.get(id);
    const parsed = parseOrigin(id);
    if (findings === undefined || parsed === undefined) return undefined;
    try {
      await this.#patch(parsed, findings);
      this.#backoff.reset();
      return undefined;
    } catch (error) {
      const failure = KubernetesError.of(error);
      if (failure.status === 404) return undefined;
      this.#queue.add(id);
      // Somebody has written between the read and the write.
      if (failure.status === 409) return undefined;
      this.#options.log.warn({ err: failure, resource: id }, 'a status could not be written');
      return Math.max(this.#backoff.nextMs(), failure.retryAfterMs ?? 0);
    }
  }

  async #patch(parsed: ParsedOrigin, findings: readonly Finding[]): Promise<void> {
    const { client } = this.#options;
    const version = await this.#version(parsed);
    if (version === undefined) return;
    const path = objectPath(parsed.kind, version, parsed);
    const signal = this.#stop.signal;
    const object = (await client.call(path, { timeoutMs: REQUEST_MS, signal })) as StatusObject;
    const status = this.#statusOf(parsed, object, findings);
    if (status === undefined || !this.#options.leader.leading) return;
    const { resourceVersion } = object.metadata;
    await client.call(`${path}/status`, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: { metadata: { resourceVersion }, status },
      timeoutMs: REQUEST_MS,
      signal,
    });
    this.writes++;
  }

  async #version({ kind }: ParsedOrigin): Promise<string | undefined> {
    const old = performance.now() - this.#servedMs > DISCOVERY_MS;
    if (old || !this.#served.has(kind)) {
      this.#served = await discover(this.#options.client, REQUEST_MS, this.#stop.signal);
      this.#servedMs = performance.now();
    }
    return this.#served.get(kind);
  }

  /** undefined: it says so already */
  #statusOf(
    { kind, namespace }: ParsedOrigin,
    { metadata, spec, status }: StatusObject,
    findings: readonly Finding[],
  ): object | undefined {
    const now = new Date().toISOString().replace(/\.\d+/, '');
    if (kind.group === GATEWAY_GROUP && ROUTE.test(kind.kind)) {
      const parents = this.#parents(
        spec?.parentRefs ?? [],
        namespace,
        status?.parents ?? [],
        (present) => mergeConditions(present, routeConditions(findings), metadata.generation, now),
      );
      return parents && { parents };
    }
    const wanted =
      kind.group !== GATEWAY_GROUP
        ? istioConditions(findings)
        : kind.kind === 'GatewayClass'
          ? gatewayClassConditions(findings)
          : gatewayConditions(findings);
    const conditions = mergeConditions(status?.conditions ?? [], wanted, metadata.generation, now);
    return conditions && { conditions };
  }

  /** Ours are those of our controller; a parent the route no longer names loses its entry. */
  #parents(
    references: readonly ParentReference[],
    namespace: string,
    present: readonly ParentStatus[],
    merge: (present: readonly Condition[]) => readonly Condition[] | undefined,
  ): readonly ParentStatus[] | undefined {
    const owns = this.#options.ownsParent ?? isService;
    const missing = references.filter((parentRef) => owns(parentRef, namespace));
    // In the order that is there: two controllers that sort would write for ever.
    const parents = present.flatMap((one): ParentStatus[] => {
      if (one.controllerName !== CONTROLLER_NAME) return [one];
      const at = missing.findIndex((parentRef) => equal(parentRef, one.parentRef));
      if (at < 0) return [];
      missing.splice(at, 1);
      const conditions = one.conditions ?? [];
      return [{ ...one, conditions: merge(conditions) ?? conditions }];
    });
    for (const parentRef of missing) {
      parents.push({ parentRef, controllerName: CONTROLLER_NAME, conditions: merge([]) ?? [] });
    }
    return equal(parents, present) ? undefined : parents;
  }
}

function hasStatus({ cluster, kind }: ParsedOrigin, own: string): boolean {
  return cluster === own && !kind.workload && kind.kind !== 'ReferenceGrant';
}

function isService({ group, kind }: ParentReference): boolean {
  return kind === 'Service' && (group === undefined || group === '' || group === 'core');
}

function sameText(a: readonly Finding[], b: readonly Finding[]): boolean {
  return a.length === b.length && a.every((one, i) => formatFinding(one) === formatFinding(b[i]!));
}
