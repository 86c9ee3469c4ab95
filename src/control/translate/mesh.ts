/**
 * Resources → the two messages, change by change.
 *
 * Routes every change to its namespace, owns what several of these share (nodes; policies; Services that exist in more than
 * one cluster) and what was sent last.
 *
 * Clusters are one mesh: a namespace is the same in all of them, so its policies select its pods everywhere, and Services
 * of one name are one Service.  Selectors of Services and EndpointSlices reach their own cluster only, as in Kubernetes.
 */
import type { Finding } from '../../model/finding.ts';
import { equal } from '../../model/equal.ts';
import { joinedDeltas, type Address, type L4Update } from '../../model/messages.ts';
import type {
  AuthorizationPolicyResource,
  NodeResource,
  PodResource,
  Resource,
} from '../../model/resource.ts';
import type { MeshConfig } from '../mesh-config.ts';
import type { ResourceChange } from '../resource-index.ts';
import { InboundWorkloads } from './inbound-workloads.ts';
import { InboundIndex } from './l7/inbound/inbound-index.ts';
import type { MeshVisibility } from './l7/mesh-visibility.ts';
import type { NamedSecrets } from './l7/named-secrets.ts';
import { L7Translator, type Judge, type L7Update } from './l7/translator.ts';
import type { Labels } from './label-index.ts';
import { MergedServices } from './merged-services.ts';
import { MeshPolicies } from './mesh-policies.ts';
import { NamespaceTranslator } from './namespace.ts';
import type { TranslateOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { EntryExpansion } from './service-entries.ts';
import { Waypoints } from './waypoints.ts';

type Policy = AuthorizationPolicyResource;

export class MeshTranslator {
  readonly #options: TranslateOptions;
  /** by cluster and namespace */
  readonly #namespaces = new Map<string, NamespaceTranslator>();
  readonly #policies: MeshPolicies;
  readonly #services: MergedServices;
  /** by cluster and name */
  readonly #nodes = new Map<string, NodeResource>();
  readonly #addresses = new Outbox<Address>();

  readonly #entries = new EntryExpansion();
  readonly #l7: L7Translator;
  readonly #inbound: InboundIndex;
  readonly #inboundWorkloads: InboundWorkloads;
  readonly #waypoints: Waypoints;

  constructor(options: TranslateOptions) {
    this.#options = options;
    this.#policies = new MeshPolicies(options);
    this.#l7 = new L7Translator(options);
    this.#waypoints = new Waypoints(options);
    this.#services = new MergedServices(options, {
      trafficPolicyOf: (key) => this.#l7.trafficPolicyOf(key),
      waypointOf: (service) => this.#waypoints.ofService(service),
    });
    this.#inbound = new InboundIndex(options.rootNamespace);
    this.#inboundWorkloads = new InboundWorkloads(this.#inbound, this.#services);
  }

  /** In force with the next apply(). */
  setMeshConfig(config: MeshConfig): void {
    this.#inbound.setMeshConfig(config);
    this.#l7.setMeshConfig(config);
  }

  /** The messages that differ after these changes. */
  apply(changes: readonly ResourceChange[]): L4Update & L7Update {
    const touched = new Set<NamespaceTranslator>();
    const moved = this.#changeNodes(changes);
    if (moved.size > 0) {
      for (const namespace of this.#namespaces.values()) {
        namespace.invalidateNodes(moved);
        touched.add(namespace);
      }
    }
    // Removals first: a name or an address may have moved to another resource in the same save.
    for (const { before } of changes) {
      if (before !== undefined) this.#change(before, false, touched);
    }
    for (const { after } of changes) {
      if (after !== undefined) this.#change(after, true, touched);
    }
    for (const pod of this.#l7.flushClasses()) {
      const namespace = this.#namespace(pod);
      namespace.invalidatePod(pod.name);
      touched.add(namespace);
    }
    for (const key of this.#l7.flushTrafficPolicies(this.#services.keys())) {
      this.#services.invalidate(key);
    }
    this.#moveWaypoints(touched);
    this.#services.flush(this.#addresses);
    for (const scope of this.#policies.settle()) {
      for (const namespace of this.#namespaces.values()) {
        if ((scope.namespace ?? namespace.name) !== namespace.name) continue;
        namespace.invalidate(scope.labels);
        touched.add(namespace);
      }
    }
    for (const namespace of touched) {
      namespace.flush({
        put: (uid, workload, pod) => {
          this.#addresses.put(uid, { kind: 'workload', workload });
          this.#l7.putWorkload(workload);
          if (pod !== undefined) this.#inboundWorkloads.put(workload, pod);
        },
        remove: (uid) => {
          this.#addresses.remove(uid);
          this.#l7.removeWorkload(uid);
          this.#inboundWorkloads.remove(uid);
        },
      });
    }
    const inbound = this.#inboundWorkloads.flush();
    this.#sendAgain(inbound.moved);
    this.#l7.setExtensions(this.#inbound.extensions());
    for (const [key, namespace] of this.#namespaces) {
      if (touched.has(namespace) && namespace.empty) this.#namespaces.delete(key);
    }
    const l7 = this.#l7.flush();
    return {
      addresses: this.#addresses.flush(),
      authorizations: this.#policies.flush(),
      ...l7,
      clusters: joinedDeltas(l7.clusters, inbound.clusters),
      listeners: joinedDeltas(l7.listeners, inbound.listeners),
    };
  }

  #moveWaypoints(touched: Set<NamespaceTranslator>): void {
    for (const scope of this.#waypoints.settle()) {
      for (const namespace of this.#namespaces.values()) {
        if ((scope ?? namespace.name) !== namespace.name) continue;
        namespace.invalidate(undefined);
        touched.add(namespace);
      }
      for (const key of this.#services.keys()) {
        if (scope === undefined || key.startsWith(`${scope}/`)) this.#services.invalidate(key);
      }
    }
  }

  /** With the class their listeners have now; nothing else about them is new. */
  #sendAgain(pods: readonly PodResource[]): void {
    const namespaces = new Set<NamespaceTranslator>();
    for (const pod of pods) {
      const namespace = this.#namespace(pod);
      namespace.invalidatePod(pod.name);
      namespaces.add(namespace);
    }
    for (const namespace of namespaces) {
      namespace.flush({
        put: (uid, workload) => this.#addresses.put(uid, { kind: 'workload', workload }),
        remove: () => {},
      });
    }
  }

  /** Of resources of the Gateway API. */
  get judge(): Judge {
    return this.#l7;
  }

  /** How many units of L7 configuration were compiled so far: what changes cost. */
  get compiledUnits(): number {
    return this.#l7.compiled;
  }

  /** For the server's scoping. */
  get visibility(): MeshVisibility {
    return this.#l7.visibility;
  }

  /** Of all Secrets, those that have to be read. */
  get namedSecrets(): NamedSecrets {
    return this.#l7.namedSecrets;
  }

  *pods(): IterableIterator<PodResource> {
    for (const namespace of this.#namespaces.values()) yield* namespace.pods();
  }

  findings(): Finding[] {
    const findings = [...this.#namespaces.values()].flatMap((namespace) => namespace.findings());
    findings.push(...this.#l7.findings(), ...this.#inbound.findings());
    findings.push(
      ...this.#policies.findings(
        (policy, labels) => this.#selectsPod(policy, labels),
        (namespace) => this.#podsOf(namespace),
      ),
    );
    return findings;
  }

  /** Names of the nodes that are somewhere else now; a node's many other changes matter to nobody here. */
  #changeNodes(changes: readonly ResourceChange[]): Set<string> {
    const moved = new Set<string>();
    for (const { before, after } of changes) {
      const node = after ?? before;
      if (node?.kind !== 'Node') continue;
      const key = this.#clusterKey(node.cluster, node.name);
      const known = this.#nodes.get(key);
      if (after === undefined) this.#nodes.delete(key);
      else this.#nodes.set(key, node);
      if (!equal(known?.locality, this.#nodes.get(key)?.locality)) moved.add(node.name);
    }
    return moved;
  }

  #change(resource: Resource, present: boolean, touched: Set<NamespaceTranslator>): void {
    this.#l7.change(resource, present);
    this.#waypoints.change(resource, present);
    this.#inbound.change(present ? undefined : resource, present ? resource : undefined);
    for (const expanded of this.#entries.change(resource, present)) {
      const { resource: made } = expanded;
      if (made !== resource && made.kind === 'Pod') this.#l7.change(made, expanded.present);
      this.#changeL4(made, expanded.present, touched);
    }
  }

  #changeL4(resource: Resource, present: boolean, touched: Set<NamespaceTranslator>): void {
    switch (resource.kind) {
      case 'AuthorizationPolicy':
        if (resource.l7?.action !== 'AUDIT') this.#changePolicy(resource, present, touched);
        return;
      case 'PeerAuthentication':
        return this.#policies.changePeer(resource, present);
      case 'Service':
        this.#services.change(resource, present);
        break;
      case 'Pod':
      case 'EndpointSlice':
        break;
      default: // says nothing about connections
        return;
    }
    const namespace = this.#namespace(resource);
    namespace.change(present ? undefined : resource, present ? resource : undefined);
    touched.add(namespace);
  }

  #changePolicy(policy: Policy, present: boolean, touched: Set<NamespaceTranslator>): void {
    this.#policies.change(policy, present);
    for (const namespace of this.#namespaces.values()) {
      if (namespace.name !== policy.namespace) continue;
      namespace.change(present ? undefined : policy, present ? policy : undefined);
      touched.add(namespace);
    }
  }

  #namespace({ cluster, namespace: name }: Resource): NamespaceTranslator {
    const clusterId = cluster ?? this.#options.clusterId;
    const key = this.#clusterKey(clusterId, name);
    let namespace = this.#namespaces.get(key);
    if (namespace === undefined) {
      const options = { ...this.#options, clusterId };
      namespace = new NamespaceTranslator(name, options, {
        policiesOf: (pod) => this.#policies.of(pod),
        localityOf: (node) => this.#nodes.get(this.#clusterKey(clusterId, node))?.locality,
        scopeOf: (uid) => this.#l7.scopeOf(uid),
        inboundClassOf: (uid) => this.#inbound.classOf(uid),
        waypointOf: (pod) => this.#waypoints.ofPod(pod),
      });
      for (const policy of this.#policies.in(name)) namespace.change(undefined, policy);
      this.#namespaces.set(key, namespace);
    }
    return namespace;
  }

  #clusterKey(cluster: string | undefined, name: string): string {
    return `${cluster ?? this.#options.clusterId} ${name}`;
  }

  #selectsPod(policy: Policy, labels: Labels): boolean {
    const anywhere = policy.namespace === this.#options.rootNamespace;
    for (const namespace of this.#namespaces.values()) {
      const [selected] =
        anywhere || namespace.name === policy.namespace ? namespace.selected(labels) : [];
      if (selected !== undefined) return true;
    }
    return false;
  }

  *#podsOf(name: string): IterableIterator<PodResource> {
    for (const namespace of this.#namespaces.values()) {
      if (namespace.name === name) yield* namespace.pods();
    }
  }
}
