/**
 * Which waypoint a Service or a pod is behind, found as istiod finds it (pilot/pkg/serviceregistry/ambient/waypoints.go): the label
 * istio.io/use-waypoint of itself or else of its namespace names a Gateway of the class istio-waypoint, whose listeners say
 * from where it may be named, and whose label istio.io/waypoint-for says for what.
 *
 * A waypoint is in force as soon as its Gateway is there, istiod's when its status has an address: until it is deployed nobody
 * goes past it.  Namespaces and Gateways are those of control's own cluster, for a namespace is the same in all of them.
 */
import { equal } from '../../model/equal.ts';
import { HBONE_PORT, type GatewayAddress } from '../../model/gateway-address.ts';
import type { Resource, ResourceMeta } from '../../model/resource.ts';
import type { NamespaceResource } from '../../model/resource/core.ts';
import type {
  GatewayApiGatewayResource,
  GatewayClassResource,
} from '../../model/resource/gateway-api.ts';
import { selectsNamespace } from './l7/gateway-api/attachment.ts';
import type { TranslateOptions } from './options.ts';

const CLASS = 'istio-waypoint';
const CONTROLLER = 'istio.io/mesh-controller';
const USE = 'istio.io/use-waypoint';
const USE_NAMESPACE = 'istio.io/use-waypoint-namespace';
const FOR = 'istio.io/waypoint-for';
const INSTANCE_OF = 'gateway.networking.k8s.io/gateway-name';
const MANAGED = 'gateway.istio.io/managed';
/** Gateways of the mesh themselves */
const MANAGED_GATEWAYS = new Set(['istio.io-mesh-controller', 'istio.io-eastwest-controller']);

type Named = Pick<ResourceMeta, 'namespace' | 'name' | 'labels'>;
/** what is dialled */
type Traffic = 'service' | 'workload';
type Allowed =
  GatewayApiGatewayResource['spec']['listeners'][number]['allowedRoutes']['namespaces'];

interface Waypoint {
  readonly namespace: string;
  readonly address: GatewayAddress;
  /** service, workload, all, none, or a word that is none of them */
  readonly traffic: string;
  readonly from: Allowed | undefined;
}

/** Where something may be behind another waypoint than before; undefined: anywhere. */
export type WaypointScope = string | undefined;

export class Waypoints {
  readonly #options: TranslateOptions;
  readonly #gateways = new Map<string, GatewayApiGatewayResource>();
  readonly #classes = new Map<string, GatewayClassResource>();
  readonly #namespaces = new Map<string, NamespaceResource>();
  /** of what has changed since the last settle(): what it said then */
  readonly #before = new Map<string, { scope: WaypointScope; now: () => unknown; said: unknown }>();

  constructor(options: TranslateOptions) {
    this.#options = options;
  }

  change(resource: Resource, present: boolean): void {
    if (resource.cluster !== undefined && resource.cluster !== this.#options.clusterId) return;
    switch (resource.kind) {
      case 'Namespace':
        return this.#changeNamespace(resource, present);
      case 'GatewayClass':
        this.#note(resource.id, undefined, () => this.#all());
        return put(this.#classes, resource.name, resource, present);
      case 'GatewayApiGateway': {
        const key = `${resource.namespace}/${resource.name}`;
        this.#note(resource.id, undefined, () => this.#waypoint(key));
        return put(this.#gateways, key, resource, present);
      }
      default:
        return undefined;
    }
  }

  /** Whose waypoints have to be looked at again, since the last call. */
  settle(): ReadonlySet<WaypointScope> {
    const scopes = new Set<WaypointScope>();
    for (const { scope, now, said } of this.#before.values()) {
      if (!equal(now(), said)) scopes.add(scope);
    }
    this.#before.clear();
    return scopes;
  }

  ofService(service: Named): GatewayAddress | undefined {
    if (MANAGED_GATEWAYS.has(service.labels.get(MANAGED) ?? '')) return undefined;
    return this.#of(service, 'service');
  }

  ofPod(pod: Named): GatewayAddress | undefined {
    const instanceOf = pod.labels.get(INSTANCE_OF);
    if (instanceOf !== undefined && this.#waypoint(`${pod.namespace}/${instanceOf}`))
      return undefined;
    return this.#of(pod, 'workload');
  }

  #of({ namespace, labels }: Named, traffic: Traffic): GatewayAddress | undefined {
    const own = labels.has(USE) ? labels : this.#namespaces.get(namespace)?.labels;
    const key = own && usedKey(own, namespace);
    const waypoint = key === undefined ? undefined : this.#waypoint(key);
    if (!waypoint || !this.#admits(waypoint, namespace)) return undefined;
    return waypoint.traffic === traffic || waypoint.traffic === 'all'
      ? waypoint.address
      : undefined;
  }

  #waypoint(key: string): Waypoint | undefined {
    const gateway = this.#gateways.get(key);
    if (!gateway) return undefined;
    const { namespace, name, labels, spec } = gateway;
    const gatewayClass = this.#classes.get(spec.gatewayClassName);
    const isWaypoint =
      spec.gatewayClassName === CLASS || gatewayClass?.spec.controllerName === CONTROLLER;
    if (!isWaypoint) return undefined;
    const listener = spec.listeners.find(({ protocol }) => protocol === 'HBONE');
    return {
      namespace,
      address: {
        service: `${namespace}/${name}.${namespace}.svc.${this.#options.domain}`,
        port: listener?.port ?? HBONE_PORT,
      },
      traffic: labels.get(FOR) ?? gatewayClass?.labels.get(FOR) ?? 'service',
      from: (listener ?? spec.listeners[0])?.allowedRoutes.namespaces,
    };
  }

  #admits({ namespace: own, from }: Waypoint, namespace: string): boolean {
    if (from?.from === 'All') return true;
    if (from?.from !== 'Selector') return namespace === own;
    return selectsNamespace(from.selector, this.#labels(namespace));
  }

  #labels(namespace: string): ReadonlyMap<string, string> {
    return this.#namespaces.get(namespace)?.labels ?? new Map<string, string>();
  }

  #all(): unknown {
    return [...this.#gateways.keys()].map((key) => this.#waypoint(key));
  }

  #changeNamespace(namespace: NamespaceResource, present: boolean): void {
    const { id, name } = namespace;
    this.#note(id, name, () => {
      const labels = this.#labels(name);
      const selected = [...this.#gateways.keys()].map((key) => {
        const waypoint = this.#waypoint(key);
        return waypoint?.from?.from === 'Selector' && this.#admits(waypoint, name);
      });
      return [usedKey(labels, name), selected];
    });
    put(this.#namespaces, name, namespace, present);
  }

  #note(id: string, scope: WaypointScope, now: () => unknown): void {
    if (!this.#before.has(id)) this.#before.set(id, { scope, now, said: now() });
  }
}

/** "namespace/name" of the Gateway; undefined: none */
function usedKey(labels: ReadonlyMap<string, string>, namespace: string): string | undefined {
  const name = labels.get(USE);
  if (name === undefined || name === 'none') return undefined;
  return `${labels.get(USE_NAMESPACE) ?? namespace}/${name}`;
}

/** A resource that moved in one save is removed after its replacement came: that one stays. */
function put<T>(map: Map<string, T>, key: string, value: T, present: boolean): void {
  if (present) map.set(key, value);
  else if (map.get(key) === value) map.delete(key);
}
