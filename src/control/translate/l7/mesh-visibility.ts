/**
 * Which Services a namespace may see, and where gateways run: for the scoping of a server.
 */
import type { Resource } from '../../../model/resource.ts';
import { Client } from './client.ts';
import type { ClientClasses } from './client-classes.ts';
import type { GatewayPods } from './gateway-pods.ts';
import type { Registry } from './registry.ts';

export class MeshVisibility {
  readonly #registry: Registry;
  readonly #classes: ClientClasses;
  /** where gateways run */
  readonly gateways: GatewayPods;
  /** Sidecars, and Services and ServiceEntries with an exportTo */
  readonly #hiding = new Set<Resource>();
  #classesSeen = 0;
  #version = 0;

  constructor(registry: Registry, classes: ClientClasses, gateways: GatewayPods) {
    this.#registry = registry;
    this.#classes = classes;
    this.gateways = gateways;
  }

  /** `node`: "<cluster> <node>" of a pod */
  changePod(pod: Extract<Resource, { kind: 'Pod' }>, node: string, present: boolean): void {
    this.gateways.changePod(pod, node, present);
  }

  change(resource: Resource, present: boolean): void {
    if (resource.kind === 'Gateway') this.gateways.changeGateway(resource, present);
    if (resource.kind === 'Namespace') this.gateways.changeNamespace(resource.name);
    const hides = isHiding(resource);
    if (hides && present) this.#hiding.add(resource);
    if (hides && !present) this.#hiding.delete(resource);
    // Another definition of a host may be the one in force now.
    const defines = resource.kind === 'Service' || resource.kind === 'ServiceEntry';
    if (hides || (defines && this.#hiding.size > 0)) this.#version++;
  }

  /** Everybody sees everything. */
  get hidesNothing(): boolean {
    return this.#hiding.size === 0;
  }

  /** Another number: who sees what may have changed. */
  get version(): number {
    const classes = this.#classes.version;
    if (classes !== this.#classesSeen && !this.hidesNothing) this.#version++;
    this.#classesSeen = classes;
    return this.#version;
  }

  /** Whether any pod of the namespace may. `serviceKey`: "namespace/host" */
  serviceVisible(clientNamespace: string, serviceKey: string): boolean {
    const slash = serviceKey.indexOf('/');
    const [namespace, host] = [serviceKey.slice(0, slash), serviceKey.slice(slash + 1)];
    const registry = this.#registry;
    const definition = registry.definitions(host).find((found) => found.namespace === namespace);
    if (definition === undefined) return false;
    if (registry.visible(definition, new Client(clientNamespace))) return true;
    for (const ofClass of this.#classes.classesOf(clientNamespace)) {
      if (registry.visible(definition, new Client(clientNamespace, ofClass))) return true;
    }
    return false;
  }
}

function isHiding(resource: Resource): boolean {
  switch (resource.kind) {
    case 'Sidecar':
      return true;
    case 'Service':
      return (resource.exportTo ?? []).length > 0;
    case 'ServiceEntry':
      return (resource.spec.exportTo ?? []).length > 0;
    default:
      return false;
  }
}
