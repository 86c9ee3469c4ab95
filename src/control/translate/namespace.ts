/**
 * One namespace of one cluster: its resources, the indexes between them, and which messages a change of them touches.
 *
 * A pod's message depends on the Services and policies that select it and on the EndpointSlices that list its address;
 * the indexes find those without walking the namespace, and the pods that a Service or a policy selects as well: a change
 * costs what it is about.
 */
import type { Finding } from '../../model/finding.ts';
import type { Ip } from '../../model/ip.ts';
import type {
  AuthorizationPolicyResource,
  EndpointSliceResource,
  PodResource,
  Resource,
  ServiceResource,
} from '../../model/resource.ts';
import { Sharing } from '../../model/sharing.ts';
import type { ServicePortTarget, Workload } from '../../model/workload.ts';
import { addressesOf, EndpointIndex } from './endpoint-index.ts';
import { LabelIndex, type Labels } from './label-index.ts';
import { authorizationMessageKey } from './authorization.ts';
import type { MeshView } from './mesh-view.ts';
import type { TranslateOptions } from './options.ts';
import { PodIndex } from './pod-index.ts';
import { Tally } from './tally.ts';
import { ServiceFindings } from './service-findings.ts';
import { podTargets, serviceMessageKey, sliceTargets } from './service.ts';
import { bareWorkload, podMessageUid, podWorkload } from './workload.ts';

type Policy = AuthorizationPolicyResource;
type Services = ReadonlyMap<string, readonly ServicePortTarget[]>;

/** Where the messages go. */
export interface WorkloadSink {
  put(uid: string, workload: Workload, pod?: PodResource): void;
  remove(uid: string): void;
}

export class NamespaceTranslator {
  readonly name: string;
  readonly #options: TranslateOptions;
  readonly #mesh: MeshView;
  readonly #pods = new PodIndex();
  readonly #services = new Map<string, ServiceResource>();
  readonly #serviceSelectors = new LabelIndex<ServiceResource>();
  readonly #slices = new EndpointIndex();
  readonly #sliceList = new Set<EndpointSliceResource>();
  readonly #policySelectors = new LabelIndex<Policy>();
  /** policies by reference, by Service name */
  readonly #policiesByService = new Map<string, Set<Policy>>();
  readonly #bare = new Map<Ip, string>();
  /** Services whose named target port a pod lacks */
  readonly #unresolved = new Tally<ServiceResource>();

  readonly #shared = new Sharing();
  readonly #dirtyPods = new Set<string>();
  readonly #dirtyAddresses = new Set<Ip>();
  readonly #findings: ServiceFindings;

  constructor(name: string, options: TranslateOptions, mesh: MeshView) {
    this.name = name;
    this.#options = options;
    this.#mesh = mesh;
    this.#findings = new ServiceFindings({
      pods: this.#pods,
      services: this.#services,
      slices: this.#slices,
      sliceList: this.#sliceList,
      unresolved: this.#unresolved,
    });
  }

  /** holds nothing but policies, which are the namespace's in all clusters */
  get empty(): boolean {
    return this.#pods.size + this.#services.size + this.#sliceList.size === 0;
  }

  pods(): IterableIterator<PodResource> {
    return this.#pods.all();
  }

  change(before: Resource | undefined, after: Resource | undefined): void {
    this.#findings.invalidate();
    if (before !== undefined) this.#update(before, false);
    if (after !== undefined) this.#update(after, true);
  }

  /** This pod is looked at again. */
  invalidatePod(name: string): void {
    if (this.#pods.get(name) !== undefined) this.#dirtyPods.add(name);
  }

  /** The pods with these labels are looked at again; undefined: every pod. */
  invalidate(labels: Labels | undefined): void {
    const pods = labels === undefined ? this.#pods.all() : this.#pods.selected(labels);
    for (const { name } of pods) this.#dirtyPods.add(name);
  }

  /** What runs on these nodes is looked at again. */
  invalidateNodes(nodes: ReadonlySet<string>): void {
    for (const pod of this.#pods.all()) if (nodes.has(pod.node)) this.#dirtyPods.add(pod.name);
    for (const { endpoints } of this.#sliceList) {
      for (const { node, addresses } of endpoints) {
        if (nodes.has(node)) this.#markAddresses(addresses);
      }
    }
  }

  /** Sends what the changes since the last call touch. */
  flush(sink: WorkloadSink): void {
    // The first slice puts a Service's selector out of force, the last one brings it back.
    for (const name of this.#slices.flips()) this.#markSelected(this.#services.get(name));
    for (const ip of this.#dirtyAddresses) this.#flushAddress(ip, sink);
    for (const name of this.#dirtyPods) this.#flushPod(name, sink);
    if (this.#dirtyPods.size > 0) this.#findings.invalidate();
    this.#dirtyPods.clear();
    this.#dirtyAddresses.clear();
  }

  selected(labels: Labels): Iterable<PodResource> {
    return this.#pods.selected(labels);
  }

  findings(): readonly Finding[] {
    return this.#findings.list();
  }

  #update(resource: Resource, present: boolean): void {
    switch (resource.kind) {
      case 'Pod':
        return this.#updatePod(resource, present);
      case 'Service':
        return this.#updateService(resource, present);
      case 'EndpointSlice':
        return this.#updateSlice(resource, present);
      case 'AuthorizationPolicy':
        return this.#updatePolicy(resource, present);
      default: // never sent here
        return undefined;
    }
  }

  #updatePod(pod: PodResource, present: boolean): void {
    this.#dirtyPods.add(pod.name);
    this.#markAddresses(pod.addresses);
    if (present) this.#pods.add(pod);
    else this.#pods.delete(pod);
  }

  #updateService(service: ServiceResource, present: boolean): void {
    this.#markEndpoints(service);
    if (present) this.#services.set(service.name, service);
    else this.#services.delete(service.name);
    if (service.selector === undefined) return;
    if (present) this.#serviceSelectors.add(service, service.selector);
    else this.#serviceSelectors.delete(service, service.selector);
  }

  #updateSlice(slice: EndpointSliceResource, present: boolean): void {
    if (present) {
      this.#slices.add(slice);
      this.#sliceList.add(slice);
    } else {
      this.#slices.delete(slice);
      this.#sliceList.delete(slice);
    }
    this.#markAddresses(addressesOf(slice));
  }

  #updatePolicy(policy: Policy, present: boolean): void {
    const { target } = policy;
    if (target.type === 'labels') {
      this.invalidate(target.labels);
      if (present) this.#policySelectors.add(policy, target.labels);
      else this.#policySelectors.delete(policy, target.labels);
    } else if (target.type === 'references') {
      for (const service of target.services) {
        const policies = this.#policiesByService.get(service) ?? new Set();
        if (present) this.#policiesByService.set(service, policies.add(policy));
        else if (policies.delete(policy) && policies.size === 0) {
          this.#policiesByService.delete(service);
        }
        const known = this.#services.get(service);
        if (known !== undefined) this.#markEndpoints(known);
      }
    }
  }

  /** What may serve it: the pods it selects, and what its slices list. */
  #markEndpoints(service: ServiceResource): void {
    this.#markSelected(service);
    for (const slice of this.#slices.slicesOf(service.name))
      this.#markAddresses(addressesOf(slice));
  }

  #markSelected(service: ServiceResource | undefined): void {
    if (service?.selector !== undefined) this.invalidate(service.selector);
  }

  #markAddresses(addresses: readonly Ip[]): void {
    for (const ip of addresses) this.#dirtyAddresses.add(ip);
  }

  /** A pod that has the address is looked at again; without one the slices' own word is all there is. */
  #flushAddress(ip: Ip, sink: WorkloadSink): void {
    let isPod = false;
    for (const { name } of this.#pods.at(ip)) {
      this.#dirtyPods.add(name);
      isPod = true;
    }
    const bare = this.#slices.at(ip).filter(({ endpoint }) => {
      const named = endpoint.pod === undefined ? undefined : this.#pods.get(endpoint.pod);
      if (named?.addresses.includes(ip) !== true) return !isPod;
      this.#dirtyPods.add(named.name);
      return false;
    });
    const services = new Map<string, readonly ServicePortTarget[]>();
    for (const { slice, endpoint } of bare) this.#addSlice(slice, endpoint.ready, services);
    const before = this.#bare.get(ip);
    const [first] = bare;
    const workload =
      first === undefined || services.size === 0
        ? undefined
        : bareWorkload(first, ip, services, this.#mesh.localityOf, this.#options);
    if (before !== undefined && before !== workload?.uid) {
      sink.remove(before);
      this.#bare.delete(ip);
    }
    if (workload === undefined) return;
    sink.put(workload.uid, workload);
    this.#bare.set(ip, workload.uid);
  }

  #flushPod(name: string, sink: WorkloadSink): void {
    const pod = this.#pods.get(name);
    if (pod === undefined) {
      this.#unresolved.set(name, []);
      sink.remove(podMessageUid(this.#options.clusterId, { namespace: this.name, name }));
      return;
    }
    const services = this.#servicesOf(pod);
    const selecting = this.#policySelectors.match(pod.labels);
    const policies = [...selecting, ...this.#policiesByReference(services)].map((policy) =>
      authorizationMessageKey(policy, this.#options),
    );
    policies.push(...this.#mesh.policiesOf(pod));
    const uid = podMessageUid(this.#options.clusterId, pod);
    const attachments = {
      services: this.#shared.services(services),
      policies: this.#shared.texts([...new Set(policies)].sort()),
      locality: this.#mesh.localityOf(pod.node),
      scope: this.#mesh.scopeOf(uid),
      inboundClass: this.#mesh.inboundClassOf(uid),
      waypoint: this.#mesh.waypointOf(pod),
    };
    sink.put(uid, podWorkload(pod, attachments, this.#options), pod);
  }

  #servicesOf(pod: PodResource): Services {
    const services = new Map<string, readonly ServicePortTarget[]>();
    const unresolved: ServiceResource[] = [];
    for (const service of this.#serviceSelectors.match(pod.labels)) {
      if (this.#slices.has(service.name)) continue;
      const targets = podTargets(service, pod);
      if (targets.length < service.ports.length) unresolved.push(service);
      services.set(serviceMessageKey(service, this.#options), targets);
    }
    for (const ip of pod.addresses) {
      for (const { slice, endpoint } of this.#slices.at(ip)) {
        if (pod.hostNetwork && endpoint.pod !== pod.name) continue;
        this.#addSlice(slice, endpoint.ready, services);
      }
    }
    this.#unresolved.set(pod.name, unresolved);
    return new Map([...services].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #addSlice(
    slice: EndpointSliceResource,
    ready: boolean,
    services: Map<string, readonly ServicePortTarget[]>,
  ): void {
    const service = this.#services.get(slice.service);
    if (service === undefined || !(ready || service.publishNotReady)) return;
    const key = serviceMessageKey(service, this.#options);
    if (!services.has(key)) services.set(key, sliceTargets(service, slice.ports));
  }

  *#policiesByReference(services: Services): IterableIterator<Policy> {
    for (const [name, policies] of this.#policiesByService) {
      const service = this.#services.get(name);
      if (service === undefined) continue;
      if (services.has(serviceMessageKey(service, this.#options))) yield* policies;
    }
  }
}
