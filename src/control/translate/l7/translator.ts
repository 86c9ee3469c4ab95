/**
 * Resources and Workload messages → listeners, routes, clusters, load assignments and secrets, change by change.
 *
 * What is compiled, and again when: graph.ts.  What a client's scope is: client-classes.ts and scopes.ts.
 */
import type { Finding } from '../../../model/finding.ts';
import type { MeshUpdate } from '../../../model/messages.ts';
import type { Locality } from '../../../model/load-assignment.ts';
import type { PodResource, Resource } from '../../../model/resource.ts';
import type { ServiceEntryResource } from '../../../model/resource/service-entry.ts';
import type { ServiceTrafficPolicy } from '../../../model/service.ts';
import type { Workload } from '../../../model/workload.ts';
import type { MeshConfig } from '../../mesh-config.ts';
import type { TranslateOptions } from '../options.ts';
import { Outbox } from '../outbox.ts';
import { entryEndpointUid, podMessageUid } from '../workload.ts';
import { compileAnyAddress } from './any-address.ts';
import { compileApiGateway, previewApiGateway } from './api-gateway.ts';
import {
  compileApiRoute,
  compileGatewayClass,
  ownership,
  previewApiRoute,
  type Ownership,
} from './api-route.ts';
import { ApiRoutes } from './api-routes.ts';
import { isApiRoute } from './api-view.ts';
import { Catalog } from './catalog.ts';
import { ClientClasses } from './client-classes.ts';
import { ClusterFactory } from './cluster.ts';
import { DestinationRules } from './destination-rules.ts';
import { Endpoints } from './endpoints.ts';
import { compileExtension } from './extension-unit.ts';
import { compileGateway } from './gateway.ts';
import type { ApiVerdict } from './gateway-api/verdict.ts';
import { GatewayPods } from './gateway-pods.ts';
import { Graph, type Compile } from './graph.ts';
import type { ExtensionCluster } from './inbound/extension-cluster.ts';
import type { Message, MessageType } from './message.ts';
import { compileHost } from './outbound.ts';
import { MeshVisibility } from './mesh-visibility.ts';
import { NamedSecrets } from './named-secrets.ts';
import type { Parts } from './parts.ts';
import { Registry } from './registry.ts';
import { KernelTrafficPolicies } from './kernel-traffic-policy.ts';
import { Imports } from './visibility.ts';
import { VirtualServices } from './virtual-services.ts';

export type L7Update = Required<
  Pick<MeshUpdate, 'listeners' | 'routes' | 'clusters' | 'loadAssignments' | 'secrets'>
>;

/** What podwire makes of resources of the Gateway API. */
export interface Judge {
  /** of every Gateway, GatewayClass and route */
  verdicts(): ApiVerdict[];
  /** what a Gateway or a route would be told if it came (again) */
  preview(resource: Resource): readonly Finding[];
  readonly ownership: Ownership;
}

export class L7Translator implements Judge {
  /** for the scoping of a server */
  readonly visibility: MeshVisibility;
  /** to be read, of all Secrets */
  readonly namedSecrets = new NamedSecrets();
  readonly #options: TranslateOptions;
  readonly #graph = new Graph((key, isRead) => this.namedSecrets.note(key, isRead));
  readonly #endpoints = new Endpoints(this.#graph);
  readonly #classes = new ClientClasses(this.#graph);
  readonly #parts: Parts;
  /** how many resources make a unit a root */
  readonly #roots = new Map<string, number>();
  /** names of the extension clusters in force */
  #extensions: ReadonlySet<string> = new Set();
  readonly #trafficPolicies: KernelTrafficPolicies;
  readonly #nodes = new Map<string, Locality>();
  readonly #podsByNode = new Map<string, Set<PodResource>>();
  readonly #outboxes: { readonly [T in MessageType]: Outbox<unknown> } = {
    listeners: new Outbox(),
    routes: new Outbox(),
    clusters: new Outbox(),
    loadAssignments: new Outbox(),
    secrets: new Outbox(),
  };

  constructor(options: TranslateOptions) {
    this.#options = options;
    const catalog = new Catalog(this.#graph, options);
    const imports = new Imports(catalog);
    const registry = new Registry(catalog, imports, options.clusterId);
    const gatewayPods = new GatewayPods(this.#graph, catalog);
    this.visibility = new MeshVisibility(registry, this.#classes, gatewayPods);
    const rules = new DestinationRules(catalog);
    this.#trafficPolicies = new KernelTrafficPolicies(catalog, rules);
    this.#parts = {
      catalog,
      imports,
      registry,
      rules,
      virtualServices: new VirtualServices(catalog, imports),
      apiRoutes: new ApiRoutes(catalog, registry),
      clusters: new ClusterFactory(catalog, registry, rules, this.#endpoints),
      classes: this.#classes,
      endpoints: this.#endpoints,
      gatewayPods,
    };
  }

  /** In force with the next flush(). */
  setMeshConfig(config: MeshConfig): void {
    this.#parts.catalog.setMeshConfig(config);
  }

  change(resource: Resource, present: boolean): void {
    if (resource.kind === 'Pod') return this.#changePod(resource, present);
    if (resource.kind === 'Node') return this.#changeNode(resource, present);
    this.#parts.catalog.change(resource, present);
    if (resource.kind === 'ServiceEntry') this.#labelEndpoints(resource, present);
    if (resource.kind === 'DestinationRule') this.#trafficPolicies.change(resource);
    this.#classes.changeRule(resource, present);
    this.visibility.change(resource, present);
    for (const [name, compile] of this.#rootsOf(resource)) this.#root(name, compile, present);
  }

  /** The pods whose scope differs from before: to be called before their Workload messages are made. */
  flushClasses(): PodResource[] {
    return this.#classes.flush();
  }

  /** Of a pod's Workload message; "": its namespace. */
  scopeOf(uid: string): string {
    return this.#classes.scopeOf(uid);
  }

  /** What the kernel carries out of the DestinationRule that is in force for most clients. */
  trafficPolicyOf(serviceKey: string): ServiceTrafficPolicy | undefined {
    return this.#trafficPolicies.policyOf(serviceKey);
  }

  /** Those of the Services' keys whose policy may be another one since the last call. */
  flushTrafficPolicies(keys: Iterable<string>): Iterable<string> {
    return this.#trafficPolicies.flush(keys);
  }

  /** All that inbound listeners ask for, by name; a name says all there is to know. */
  setExtensions(extensions: ReadonlyMap<string, ExtensionCluster>): void {
    const { registry } = this.#parts;
    for (const [name, extension] of extensions) {
      if (this.#extensions.has(name)) continue;
      this.#graph.addRoot(name, () => compileExtension(registry, this.#endpoints, extension));
    }
    for (const name of this.#extensions) if (!extensions.has(name)) this.#graph.removeRoot(name);
    this.#extensions = new Set(extensions.keys());
  }

  putWorkload(workload: Workload): void {
    this.#endpoints.put(workload);
  }

  removeWorkload(uid: string): void {
    this.#endpoints.remove(uid);
  }

  flush(): L7Update {
    this.#parts.catalog.flush();
    this.#graph.flush({
      put: ({ type, body }: Message) => this.#outboxes[type].put(body.name, body),
      remove: ({ type, body }: Message) => this.#outboxes[type].remove(body.name),
    });
    const { listeners, routes, clusters, loadAssignments, secrets } = this.#outboxes;
    return {
      listeners: listeners.flush(),
      routes: routes.flush(),
      clusters: clusters.flush(),
      loadAssignments: loadAssignments.flush(),
      secrets: secrets.flush(),
    } as L7Update;
  }

  /** How many units were compiled so far: what a change costs. */
  get compiled(): number {
    return this.#graph.compiled;
  }

  findings(): Finding[] {
    return this.#graph.findings();
  }

  verdicts(): ApiVerdict[] {
    return this.#graph.verdicts();
  }

  preview(resource: Resource): readonly Finding[] {
    if (resource.kind === 'GatewayApiGateway') return previewApiGateway(this.#parts, resource);
    return isApiRoute(resource) ? previewApiRoute(this.#parts, resource) : [];
  }

  get ownership(): Ownership {
    return ownership(this.#parts);
  }

  #rootsOf(resource: Resource): [string, Compile][] {
    const parts = this.#parts;
    switch (resource.kind) {
      case 'Service': {
        const host = parts.catalog.serviceHost(resource);
        return [[`host ${host}`, () => compileHost(parts, host)]];
      }
      case 'ServiceEntry': {
        const hosts = [...new Set(resource.spec.hosts.map((host) => host.toLowerCase()))];
        const ports = [...new Set((resource.spec.ports ?? []).map(({ number }) => number))];
        return [
          ...hosts.map((host): [string, Compile] => [
            `host ${host}`,
            () => compileHost(parts, host),
          ]),
          ...ports.map((port): [string, Compile] => [
            `any address ${port}`,
            () => compileAnyAddress(parts, port),
          ]),
        ];
      }
      case 'Gateway': {
        const key = `${resource.namespace}/${resource.name}`;
        return [[`gateway ${key}`, () => compileGateway(parts, key)]];
      }
      case 'GatewayApiGateway': {
        const key = `${resource.namespace}/${resource.name}`;
        return [[`api gateway ${key}`, () => compileApiGateway(parts, key)]];
      }
      case 'GatewayClass': {
        const { name } = resource;
        return [[`gateway class ${name}`, () => compileGatewayClass(parts, name)]];
      }
      case 'HTTPRoute':
      case 'GRPCRoute':
      case 'TCPRoute':
      case 'TLSRoute': {
        const { kind } = resource;
        const key = `${resource.namespace}/${resource.name}`;
        return [[`${kind} ${key}`, () => compileApiRoute(parts, kind, key)]];
      }
      default:
        return [];
    }
  }

  #root(name: string, compile: Compile, present: boolean): void {
    const before = this.#roots.get(name) ?? 0;
    const after = before + (present ? 1 : -1);
    if (after > 0) this.#roots.set(name, after);
    else this.#roots.delete(name);
    if (before === 0 && after > 0) this.#graph.addRoot(name, compile);
    if (before > 0 && after === 0) this.#graph.removeRoot(name);
  }

  /** Of endpoints that a ServiceEntry lists itself, for subsets. */
  #labelEndpoints(entry: ServiceEntryResource, present: boolean): void {
    const { cluster = this.#options.clusterId, spec } = entry;
    // Of two with one address, which are one workload, the first is in force.
    for (const { address = '', labels = {} } of (spec.endpoints ?? []).toReversed()) {
      const known = present ? new Map(Object.entries(labels)) : undefined;
      this.#endpoints.setLabels(entryEndpointUid(cluster, entry, address), known);
    }
  }

  #changePod(pod: PodResource, present: boolean): void {
    const node = this.#nodeKey(pod.cluster, pod.node);
    const pods = this.#podsByNode.get(node) ?? new Set();
    if (present) this.#podsByNode.set(node, pods.add(pod));
    else pods.delete(pod);
    if (pods.size === 0) this.#podsByNode.delete(node);
    this.visibility.changePod(pod, node, present);
    this.#setPod(pod, present);
  }

  #setPod(pod: PodResource, present: boolean): void {
    const uid = podMessageUid(pod.cluster ?? this.#options.clusterId, pod);
    const { labels } = pod;
    const locality = this.#nodes.get(this.#nodeKey(pod.cluster, pod.node));
    this.#endpoints.setLabels(uid, present ? labels : undefined);
    this.#classes.setPod(uid, present ? { pod, locality } : undefined);
  }

  #changeNode(node: Extract<Resource, { kind: 'Node' }>, present: boolean): void {
    const { region, zone, subzone } = node.locality;
    const key = this.#nodeKey(node.cluster, node.name);
    if (present) this.#nodes.set(key, { region, zone, subZone: subzone });
    else this.#nodes.delete(key);
    for (const pod of this.#podsByNode.get(key) ?? []) this.#setPod(pod, true);
  }

  #nodeKey(cluster: string | undefined, name: string): string {
    return `${cluster ?? this.#options.clusterId} ${name}`;
  }
}
