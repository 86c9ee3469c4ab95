/**
 * The resources that say something about what comes in, and which of them apply to a workload.
 *
 * Those of the root namespace apply to the whole mesh, others to their namespace; labels or a reference narrow that down.
 */
import type { Resource } from '../../../../model/resource.ts';
import type { RequestAuthenticationResource } from '../../../../model/resource/security.ts';
import type { LabelSelector, PolicyTargetReference } from '../../../../model/resource/spec.ts';
import type { TelemetryResource } from '../../../../model/resource/telemetry.ts';
import type { Policy } from './authorization-filters.ts';
import type { InboundWorkload } from './workload-ports.ts';

export type InboundResource = Policy | RequestAuthenticationResource | TelemetryResource;

export interface AppliedResources {
  /** those attached to a Service too: by name of a Service that leads to the workload */
  readonly policies: readonly Policy[];
  readonly tokens: readonly RequestAuthenticationResource[];
  /** nearest first: selecting, of the namespace, of the mesh */
  readonly telemetry: readonly TelemetryResource[];
}

interface Target {
  readonly labels: ReadonlyMap<string, string> | undefined;
  /** names of Services; undefined: it is not attached to anything */
  readonly services: readonly string[] | undefined;
}

export function isInboundResource(resource: Resource): resource is InboundResource {
  switch (resource.kind) {
    case 'AuthorizationPolicy':
    case 'RequestAuthentication':
    case 'Telemetry':
      return true;
    default:
      return false;
  }
}

export class PolicyCatalog {
  readonly #rootNamespace: string;
  readonly #byNamespace = new Map<string, Map<string, InboundResource>>();

  constructor(rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
  }

  set(resource: InboundResource, isPresent: boolean): void {
    const { namespace } = resource;
    const resources = this.#byNamespace.get(namespace) ?? new Map<string, InboundResource>();
    const key = resourceKey(resource);
    if (isPresent) resources.set(key, resource);
    else if (resources.get(key) === resource) resources.delete(key);
    if (resources.size > 0) this.#byNamespace.set(namespace, resources);
    else this.#byNamespace.delete(namespace);
  }

  /** of the mesh, not of one namespace */
  isRoot({ namespace }: InboundResource): boolean {
    return namespace === this.#rootNamespace;
  }

  *all(): IterableIterator<InboundResource> {
    for (const resources of this.#byNamespace.values()) yield* resources.values();
  }

  appliedTo(workload: InboundWorkload): AppliedResources {
    const own = this.#of(workload.namespace, workload);
    const isInRoot = workload.namespace === this.#rootNamespace;
    const root = isInRoot ? [] : this.#of(this.#rootNamespace, workload);
    // A selector is nearer than a namespace, and a namespace than the mesh.
    const nearest = [...own.filter(isNarrow), ...root.filter(isNarrow)].concat(
      own.filter((resource) => !isNarrow(resource)),
      root.filter((resource) => !isNarrow(resource)),
    );
    return {
      policies: [...root, ...own].filter((found) => found.kind === 'AuthorizationPolicy'),
      tokens: [...root, ...own].filter((found) => found.kind === 'RequestAuthentication'),
      telemetry: nearest.filter((found) => found.kind === 'Telemetry'),
    };
  }

  /** Oldest first, then by name: the order in which Istio takes them. */
  #of(namespace: string, workload: InboundWorkload): InboundResource[] {
    return [...(this.#byNamespace.get(namespace)?.values() ?? [])]
      .filter((resource) => appliesTo(resource, workload))
      .sort(
        (a, b) =>
          (a.createdAt ?? 0) - (b.createdAt ?? 0) || (resourceKey(a) < resourceKey(b) ? -1 : 1),
      );
  }
}

/** Same kind, namespace and name in several clusters are several. */
export function resourceKey({ kind, namespace, name, cluster = '' }: InboundResource): string {
  return `${kind} ${namespace}/${name} ${cluster}`;
}

export function targetOf(resource: InboundResource): Target {
  if (resource.kind === 'AuthorizationPolicy') {
    const { target } = resource;
    return {
      labels: target.type === 'labels' ? target.labels : undefined,
      services: target.type === 'services' ? target.services : undefined,
    };
  }
  const {
    selector,
    targetRef,
    targetRefs = [],
  } = resource.spec as {
    readonly selector?: LabelSelector;
    readonly targetRef?: PolicyTargetReference;
    readonly targetRefs?: readonly PolicyTargetReference[];
  };
  const labels = Object.entries(selector?.matchLabels ?? {});
  const refs = [...(targetRef ? [targetRef] : []), ...targetRefs];
  return {
    labels: labels.length > 0 ? new Map(labels) : undefined,
    services:
      refs.length > 0
        ? refs.filter(({ kind }) => kind === 'Service').map(({ name }) => name)
        : undefined,
  };
}

/** Whether it speaks of the gateway of that name (of either API) in its own namespace. */
export function isForGateway(
  references: readonly PolicyTargetReference[],
  gateway: string,
): boolean {
  return references.some(({ kind, name }) => kind === 'Gateway' && name === gateway);
}

function appliesTo(
  resource: InboundResource,
  { labels, namespace, ports }: InboundWorkload,
): boolean {
  const target = targetOf(resource);
  if (target.services !== undefined) {
    if (resource.namespace !== namespace) return false;
    const leading = [...ports.values()].flatMap(({ services }) => services);
    return target.services.some((name) => leading.includes(name));
  }
  return [...(target.labels ?? [])].every(([name, value]) => labels.get(name) === value);
}

function isNarrow(resource: InboundResource): boolean {
  const { labels, services } = targetOf(resource);
  return labels !== undefined || services !== undefined;
}
