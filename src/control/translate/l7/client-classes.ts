/**
 * Which pods the mesh's rules can tell apart: the classes of clients.
 *
 * A pod's class is the part of its labels that some rule asks for (sourceLabels, workloadSelector, failoverPriority) and
 * its locality where a rule asks for that.  Pods of which nothing is asked are in no class.  A change of what is asked for
 * looks at all pods again; a change of a pod at that pod.
 */
import { createHash } from 'node:crypto';
import type { Locality } from '../../../model/load-assignment.ts';
import type { PodResource, Resource } from '../../../model/resource.ts';
import type { Labels } from '../../../model/resource/spec.ts';
import type { TrafficPolicySpec } from '../../../model/resource/destination-rule.ts';
import type { ClientClass } from './client.ts';
import type { Graph } from './graph.ts';
import { localityText } from './locality.ts';
import type { Classes } from './scopes.ts';

interface ClientPod {
  readonly pod: PodResource;
  readonly locality: Locality | undefined;
}

const KEY = 'classes';
const LOCALITY = 'locality';

export class ClientClasses implements Classes {
  readonly #graph: Graph;
  /** "label <name>=<value>", "key <name>", "locality" → how many rules ask */
  readonly #asked = new Map<string, number>();
  readonly #pods = new Map<string, ClientPod>();
  readonly #classOf = new Map<string, ClientClass>();
  readonly #byNamespace = new Map<
    string,
    Map<string, { readonly ofClass: ClientClass; count: number }>
  >();
  readonly #stale = new Set<string>();
  /** another number: a class came or went */
  version = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  changeRule(resource: Resource, present: boolean): void {
    for (const question of questionsOf(resource)) {
      const before = this.#asked.get(question) ?? 0;
      const after = before + (present ? 1 : -1);
      if (after > 0) this.#asked.set(question, after);
      else this.#asked.delete(question);
      if (before > 0 === after > 0) continue;
      for (const uid of this.#pods.keys()) this.#stale.add(uid);
    }
  }

  /** undefined: it went */
  setPod(uid: string, pod: ClientPod | undefined): void {
    if (pod === undefined) this.#pods.delete(uid);
    else this.#pods.set(uid, pod);
    this.#stale.add(uid);
  }

  /** The pods whose scope differs from before. */
  flush(): PodResource[] {
    const moved: PodResource[] = [];
    for (const uid of this.#stale) {
      const pod = this.#pods.get(uid);
      const before = this.#classOf.get(uid);
      const after = pod && this.#classify(pod);
      if (before?.scope === after?.scope) continue;
      this.#count(before, -1);
      this.#count(after, 1);
      if (after === undefined) this.#classOf.delete(uid);
      else this.#classOf.set(uid, after);
      if (pod !== undefined) moved.push(pod.pod);
    }
    this.#stale.clear();
    return moved;
  }

  /** "": its namespace says all */
  scopeOf(uid: string): string {
    return this.#classOf.get(uid)?.scope ?? '';
  }

  *classNamespaces(): IterableIterator<string> {
    this.#graph.read(KEY);
    yield* [...this.#byNamespace.keys()].sort();
  }

  *classesOf(namespace: string): IterableIterator<ClientClass> {
    this.#graph.read(KEY);
    const classes = [...(this.#byNamespace.get(namespace)?.values() ?? [])];
    for (const { ofClass } of classes.sort((a, b) =>
      a.ofClass.scope < b.ofClass.scope ? -1 : 1,
    )) {
      yield ofClass;
    }
  }

  #classify({ pod: { namespace, labels }, locality }: ClientPod): ClientClass | undefined {
    if (this.#asked.size === 0) return undefined;
    const counting = [...labels]
      .filter(
        ([name, value]) =>
          this.#asked.has(`label ${name}=${value}`) || this.#asked.has(`key ${name}`),
      )
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const place = this.#asked.has(LOCALITY) ? locality : undefined;
    const placeText = place === undefined ? '' : localityText(place);
    if (counting.length === 0 && placeText === '') return undefined;
    const hash = createHash('sha256')
      .update(JSON.stringify([counting, placeText]))
      .digest('hex');
    return {
      scope: `${namespace}~${hash.slice(0, 12)}`,
      namespace,
      labels: new Map(counting),
      locality: placeText === '' ? undefined : place,
    };
  }

  #count(ofClass: ClientClass | undefined, by: number): void {
    if (ofClass === undefined) return;
    const { namespace, scope } = ofClass;
    const classes = this.#byNamespace.get(namespace) ?? new Map();
    const entry = classes.get(scope) ?? { ofClass, count: 0 };
    entry.count += by;
    if (entry.count === 0) classes.delete(scope);
    else classes.set(scope, entry);
    if (classes.size === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, classes);
    if (entry.count === 0 || (entry.count === 1 && by === 1)) {
      this.version++;
      this.#graph.touch(KEY);
    }
  }
}

function questionsOf(resource: Resource): Set<string> {
  const questions = new Set<string>();
  switch (resource.kind) {
    case 'VirtualService': {
      const { http = [], tls = [], tcp = [] } = resource.spec;
      for (const { match = [] } of [...http, ...tls, ...tcp]) {
        for (const { sourceLabels } of match) askLabels(sourceLabels, questions);
      }
      break;
    }
    case 'Sidecar':
      askLabels(resource.spec.workloadSelector?.labels, questions);
      break;
    case 'DestinationRule': {
      const { trafficPolicy, subsets = [], workloadSelector } = resource.spec;
      askLabels(workloadSelector?.matchLabels, questions);
      for (const policy of [trafficPolicy, ...subsets.map((subset) => subset.trafficPolicy)]) {
        askLocality(policy, questions);
      }
      break;
    }
    default:
      break;
  }
  return questions;
}

function askLabels(labels: Labels | undefined, questions: Set<string>): void {
  for (const [name, value] of Object.entries(labels ?? {})) questions.add(`label ${name}=${value}`);
}

function askLocality(policy: TrafficPolicySpec | undefined, questions: Set<string>): void {
  for (const { loadBalancer } of [policy ?? {}, ...(policy?.portLevelSettings ?? [])]) {
    const setting = loadBalancer?.localityLbSetting;
    if (setting === undefined || setting.enabled === false) continue;
    questions.add(LOCALITY);
    for (const item of setting.failoverPriority ?? []) {
      const [name = '', value] = item.split('=');
      questions.add(value === undefined ? `key ${name}` : `label ${name}=${value}`);
    }
  }
}
