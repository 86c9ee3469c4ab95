/**
 * Inbound listeners of the mesh, change by change.
 *
 * A change of a policy looks at the workloads of its namespace again (of all, in the root namespace) and compiles the
 * listeners of the classes it is part of; a change of a workload looks at that workload.
 *
 * The kernel's half of a policy (authorization.ts) and the listener's are each complete.  At a port with a listener the
 * listener decides alone, and where nobody listens the connection is refused; at every other port the kernel decides, and
 * refuses whatever a request might be refused for.
 */
import type { Cluster } from '../../../../model/cluster.ts';
import type { Finding } from '../../../../model/finding.ts';
import type { Listener } from '../../../../model/listener.ts';
import type { Delta } from '../../../../model/messages.ts';
import type { Resource } from '../../../../model/resource.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../mesh-config.ts';
import { Outbox } from '../../outbox.ts';
import type { ExtensionCluster } from './extension-cluster.ts';
import { inboundClass, isAt, keysOf, policiesAt, type InboundClass } from './inbound-class.ts';
import { inboundFindings } from './inbound-findings.ts';
import { inboundCluster, inboundListener } from './inbound-listener.ts';
import {
  isInboundResource,
  PolicyCatalog,
  resourceKey,
  type InboundResource,
} from './policy-catalog.ts';
import { securityFilters } from './security-filters.ts';
import { telemetrySettings } from './telemetry.ts';
import type { InboundWorkload } from './workload-ports.ts';

export interface InboundUpdate {
  readonly listeners: Delta<Listener>;
  /** behind the listeners; those of extensions() are the caller's to make */
  readonly clusters: Delta<Cluster>;
  /** uids of the workloads whose class is another one now */
  readonly moved: readonly string[];
}

interface LiveClass {
  readonly members: Set<string>;
  keys: ReadonlySet<string>;
  listeners: readonly { readonly port: number; readonly name: string }[];
  extensions: readonly ExtensionCluster[];
}

export class InboundIndex {
  readonly #catalog: PolicyCatalog;
  #mesh = DEFAULT_MESH_CONFIG;
  readonly #workloads = new Map<string, InboundWorkload>();
  /** uids by namespace */
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #classOf = new Map<string, string>();
  readonly #classes = new Map<string, LiveClass>();
  /** listeners that lead to a port */
  readonly #portUsers = new Map<number, number>();
  readonly #findings = new Map<string, readonly Finding[]>();
  readonly #staleWorkloads = new Set<string>();
  readonly #staleClasses = new Set<string>();
  readonly #listeners = new Outbox<Listener>();
  readonly #clusters = new Outbox<Cluster>();

  constructor(rootNamespace: string) {
    this.#catalog = new PolicyCatalog(rootNamespace);
  }

  change(before: Resource | undefined, after: Resource | undefined): void {
    if (before !== undefined && isInboundResource(before)) this.#set(before, false);
    if (after !== undefined && isInboundResource(after)) this.#set(after, true);
  }

  /** undefined: it went */
  setWorkload(uid: string, workload: InboundWorkload | undefined): void {
    const before = this.#workloads.get(uid);
    if (before !== undefined) this.#byNamespace.get(before.namespace)?.delete(uid);
    if (workload === undefined) {
      this.#workloads.delete(uid);
    } else {
      this.#workloads.set(uid, workload);
      const uids = this.#byNamespace.get(workload.namespace) ?? new Set();
      this.#byNamespace.set(workload.namespace, uids.add(uid));
    }
    if (before !== undefined && this.#byNamespace.get(before.namespace)?.size === 0) {
      this.#byNamespace.delete(before.namespace);
    }
    this.#staleWorkloads.add(uid);
  }

  setMeshConfig(mesh: MeshConfig): void {
    this.#mesh = mesh;
    for (const name of this.#classes.keys()) this.#staleClasses.add(name);
    for (const resource of this.#catalog.all()) this.#check(resource);
  }

  flush(): InboundUpdate {
    const moved = [...this.#staleWorkloads].filter((uid) => this.#place(uid));
    this.#staleWorkloads.clear();
    for (const name of this.#staleClasses) this.#compile(name);
    this.#staleClasses.clear();
    return { listeners: this.#listeners.flush(), clusters: this.#clusters.flush(), moved };
  }

  /** The part of its listeners' names; "": it has none. */
  classOf(uid: string): string {
    return this.#classOf.get(uid) ?? '';
  }

  /** The clusters that listeners ask for, by name. */
  extensions(): ReadonlyMap<string, ExtensionCluster> {
    const all = [...this.#classes.values()].flatMap(({ extensions }) => extensions);
    return new Map(all.map((cluster) => [cluster.name, cluster]));
  }

  findings(): Finding[] {
    return [...this.#findings.values()].flat();
  }

  #set(resource: InboundResource, isPresent: boolean): void {
    this.#catalog.set(resource, isPresent);
    const key = resourceKey(resource);
    if (isPresent) this.#check(resource);
    else this.#findings.delete(key);
    const uids = this.#catalog.isRoot(resource)
      ? this.#workloads.keys()
      : (this.#byNamespace.get(resource.namespace) ?? []);
    for (const uid of uids) this.#staleWorkloads.add(uid);
    for (const [name, { keys }] of this.#classes) if (keys.has(key)) this.#staleClasses.add(name);
  }

  #check(resource: InboundResource): void {
    const findings = inboundFindings(resource, this.#mesh);
    if (findings.length > 0) this.#findings.set(resourceKey(resource), findings);
    else this.#findings.delete(resourceKey(resource));
  }

  /** true: its class is another one now */
  #place(uid: string): boolean {
    const before = this.#classOf.get(uid);
    const after = this.#classify(uid);
    if (before === after?.name) return false;
    if (before !== undefined) {
      this.#classes.get(before)?.members.delete(uid);
      this.#staleClasses.add(before);
      this.#classOf.delete(uid);
    }
    if (after !== undefined) {
      const empty = { members: new Set<string>(), keys: new Set<string>() };
      const live = this.#classes.get(after.name) ?? { ...empty, listeners: [], extensions: [] };
      if (live.members.size === 0) this.#staleClasses.add(after.name);
      this.#classes.set(after.name, live);
      live.members.add(uid);
      this.#classOf.set(uid, after.name);
    }
    return true;
  }

  #classify(uid: string): InboundClass | undefined {
    const workload = this.#workloads.get(uid);
    return workload && inboundClass(workload, this.#catalog.appliedTo(workload));
  }

  /** Any member will do: what its listeners are made of is the same for all. */
  #compile(name: string): void {
    const live = this.#classes.get(name);
    if (live === undefined) return;
    const [member] = live.members;
    const found = member === undefined ? undefined : this.#classify(member);
    const compiled = [...(found?.ports ?? [])].map(([port, settings]) => {
      const { resources } = found!;
      const { filters, clusters } = securityFilters({
        policies: policiesAt(resources, settings),
        tokens: resources.tokens.filter((token) => isAt(token, settings)),
        mesh: this.#mesh,
      });
      const telemetry = telemetrySettings(resources.telemetry, this.#mesh);
      const { protocol } = settings;
      const parts = { port, className: name, protocol, filters, telemetry, mesh: this.#mesh };
      return { port, clusters, listener: inboundListener(parts) };
    });
    const kept = new Set(compiled.map(({ listener }) => listener.name));
    for (const { port, listener } of compiled) {
      this.#listeners.put(listener.name, listener);
      this.#usePort(port, 1);
    }
    for (const { port, name: gone } of live.listeners) {
      if (!kept.has(gone)) this.#listeners.remove(gone);
      this.#usePort(port, -1);
    }
    live.keys = found === undefined ? new Set() : keysOf(found.resources);
    live.listeners = compiled.map(({ port, listener }) => ({ port, name: listener.name }));
    live.extensions = compiled.flatMap(({ clusters }) => clusters);
    if (found === undefined) this.#classes.delete(name);
  }

  #usePort(port: number, by: number): void {
    const users = (this.#portUsers.get(port) ?? 0) + by;
    const cluster = inboundCluster(port);
    if (users > 0) {
      this.#portUsers.set(port, users);
      this.#clusters.put(cluster.name, cluster);
    } else {
      this.#portUsers.delete(port);
      this.#clusters.remove(cluster.name);
    }
  }
}
