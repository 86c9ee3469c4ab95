/**
 * Selectors that select no pod.  Each has a count of its pods, which a pod's coming and going changes for those selectors
 * alone that match its labels.
 */
import type { Finding } from '../../../model/finding.ts';
import type { PodResource, Resource } from '../../../model/resource.ts';
import type { ResourceChange } from '../../resource-index.ts';
import { matchesNothing } from '../../translate/findings.ts';
import { LabelIndex, selects } from '../../translate/label-index.ts';
import { fullHost } from '../host.ts';
import type { MeshNames } from './names.ts';

type Labels = ReadonlyMap<string, string>;

interface Selector {
  readonly owner: Resource;
  readonly path: string;
  /** undefined: pods of every namespace */
  readonly namespace: string | undefined;
  readonly labels: Labels;
  pods: number;
}

export class SelectorChecks {
  readonly #names: MeshNames;
  readonly #pods = new Map<string, Set<PodResource>>();
  /** by namespace; undefined: of every namespace */
  readonly #index = new Map<string | undefined, LabelIndex<Selector>>();
  readonly #selectors = new Map<Resource, readonly Selector[]>();

  constructor(names: MeshNames) {
    this.#names = names;
  }

  apply(changes: readonly ResourceChange[]): void {
    for (const { before } of changes) {
      if (before === undefined || before.kind === 'Pod') continue;
      for (const selector of this.#selectors.get(before) ?? []) {
        this.#indexOf(selector.namespace).delete(selector, selector.labels);
      }
      this.#selectors.delete(before);
    }
    // Selectors first: at the start there are no pods yet to be walked for each of them.
    for (const { after } of changes) {
      if (after !== undefined && after.kind !== 'Pod') this.#add(after);
    }
    for (const { before, after } of changes) {
      if (before?.kind === 'Pod') this.#count(before, -1);
      if (after?.kind === 'Pod') this.#count(after, 1);
    }
  }

  *findings(): IterableIterator<Finding> {
    for (const selectors of this.#selectors.values()) {
      for (const { owner, path, pods } of selectors) {
        if (pods === 0) yield matchesNothing(owner, path);
      }
    }
  }

  /** What a resource that is not (yet) part of the mesh would be told. */
  preview(resource: Resource): Finding[] {
    return this.#read(resource)
      .filter((selector) => this.#walk(selector) === 0)
      .map(({ path }) => matchesNothing(resource, path));
  }

  #add(resource: Resource): void {
    const selectors = this.#read(resource);
    if (selectors.length === 0) return;
    this.#selectors.set(resource, selectors);
    for (const selector of selectors) {
      this.#indexOf(selector.namespace).add(selector, selector.labels);
      selector.pods = this.#walk(selector);
    }
  }

  #walk({ namespace, labels }: Selector): number {
    let count = 0;
    const sets = namespace === undefined ? this.#pods.values() : [this.#pods.get(namespace) ?? []];
    for (const pods of sets) for (const pod of pods) if (selects(labels, pod.labels)) count++;
    return count;
  }

  #count(pod: PodResource, step: 1 | -1): void {
    const pods = this.#pods.get(pod.namespace) ?? new Set();
    if (step > 0) this.#pods.set(pod.namespace, pods.add(pod));
    else pods.delete(pod);
    if (pods.size === 0) this.#pods.delete(pod.namespace);
    for (const namespace of [pod.namespace, undefined]) {
      for (const selector of this.#index.get(namespace)?.match(pod.labels) ?? []) {
        selector.pods += step;
      }
    }
  }

  #indexOf(namespace: string | undefined): LabelIndex<Selector> {
    let index = this.#index.get(namespace);
    if (index === undefined) this.#index.set(namespace, (index = new LabelIndex()));
    return index;
  }

  /** AuthorizationPolicies and Services are the translation's: it needs to know their pods anyway. */
  #read(owner: Resource): Selector[] {
    const own = owner.namespace === this.#names.rootNamespace ? undefined : owner.namespace;
    const found: Selector[] = [];
    const add = (
      path: string,
      namespace: string | undefined,
      labels: Readonly<Record<string, string>> | undefined,
    ): void => {
      const map = new Map(Object.entries(labels ?? {}));
      if (map.size > 0) found.push({ owner, path, namespace, labels: map, pods: 0 });
    };
    switch (owner.kind) {
      case 'Gateway':
        add('spec.selector', undefined, owner.spec.selector);
        break;
      case 'Sidecar':
        add('spec.workloadSelector.labels', own, owner.spec.workloadSelector?.labels);
        break;
      case 'PeerAuthentication':
        // In the root namespace its selector has no effect at all, which the translation says.
        if (own !== undefined) {
          add('spec.selector.matchLabels', own, owner.spec.selector?.matchLabels);
        }
        break;
      case 'RequestAuthentication':
      case 'Telemetry':
        add('spec.selector.matchLabels', own, owner.spec.selector?.matchLabels);
        break;
      case 'DestinationRule': {
        const { host, subsets = [], workloadSelector } = owner.spec;
        add('spec.workloadSelector.matchLabels', owner.namespace, workloadSelector?.matchLabels);
        const namespace = this.#namespaceOf(fullHost(host, owner.namespace, this.#names.domain));
        if (namespace === undefined) break;
        subsets.forEach(({ labels }, index) =>
          add(`spec.subsets[${index}].labels`, namespace, labels),
        );
        break;
      }
      default:
    }
    return found;
  }

  /** Of a Service; undefined for other hosts, whose endpoints may be no pods. */
  #namespaceOf(host: string): string | undefined {
    const suffix = `.svc.${this.#names.domain}`;
    if (!host.endsWith(suffix) || host.includes('*')) return undefined;
    const [, namespace, ...rest] = host.slice(0, -suffix.length).split('.');
    return rest.length === 0 ? namespace : undefined;
  }
}
