/**
 * Kubernetes and Istio resources after validation: only what podwire reads, parsed, with defaults filled in.
 */
import type { Ip } from './ip.ts';
import type { Authorization } from './authorization.ts';
import type { SpliceMode } from './enrolment.ts';
import type { LoadBalancer, LocalityPreference } from './service.ts';
import type { Locality } from './workload.ts';
import type { NamespaceResource, SecretResource, ServiceAccountResource } from './resource/core.ts';
import type { DestinationRuleResource } from './resource/destination-rule.ts';
import type { GatewayResource } from './resource/gateway.ts';
import type {
  GatewayApiGatewayResource,
  GatewayClassResource,
  GrpcRouteResource,
  HttpRouteResource,
  ReferenceGrantResource,
  TcpRouteResource,
  TlsRouteResource,
} from './resource/gateway-api.ts';
import type {
  AuthorizationPolicySpec,
  PeerAuthenticationResource,
  RequestAuthenticationResource,
} from './resource/security.ts';
import type {
  ServiceEntryResource,
  WorkloadEntryResource,
  WorkloadGroupResource,
} from './resource/service-entry.ts';
import type { SidecarResource } from './resource/sidecar.ts';
import type { TelemetryResource } from './resource/telemetry.ts';
import type { VirtualServiceResource } from './resource/virtual-service.ts';

export interface ResourceMeta {
  /** "Pod shop/web-1", "Node n1": unique in its cluster */
  readonly id: string;
  readonly file: string;
  /** cluster it was read from; absent: control's own, as for everything in the config folder */
  readonly cluster?: string;
  /** network of that cluster (topology.istio.io/network); absent: the default one */
  readonly network?: string;
  /** "" of what belongs to none */
  readonly namespace: string;
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** ms since 1970; absent of what a file holds.  Of two that are at odds the older one wins, as in Istio. */
  readonly createdAt?: number;
}

export interface ContainerPort {
  readonly name: string;
  readonly port: number;
}

export interface PodResource extends ResourceMeta {
  readonly kind: 'Pod';
  readonly addresses: readonly Ip[];
  readonly hostNetwork: boolean;
  readonly serviceAccount: string;
  readonly node: string;
  /** of what is on no node of the mesh; absent: that of its node */
  readonly locality?: Locality;
  readonly ready: boolean;
  readonly owner: { readonly kind: string; readonly name: string } | undefined;
  readonly ports: readonly ContainerPort[];
  readonly images: readonly string[];
  readonly weight: number;
  /** undefined: not enrolled */
  readonly netns: string | undefined;
  readonly captureProxy: boolean;
  /** absent: other nodes reach it by plain TCP */
  readonly hbone?: boolean;
  /** the application itself speaks HBONE */
  readonly nativeTunnel?: boolean;
  /** see EnrolledPod */
  readonly sameNodeTunnel?: boolean;
  readonly splice: SpliceMode;
  readonly portModes: ReadonlyMap<number, SpliceMode>;
}

export interface NodeResource extends ResourceMeta {
  readonly kind: 'Node';
  readonly locality: Locality;
}

export interface ServiceResourcePort {
  readonly name: string;
  readonly port: number;
  /** a number, or the name of a container port */
  readonly targetPort: number | string;
  /** "http", "kubernetes.io/h2c", …; absent: the name's prefix says it, as in Istio */
  readonly appProtocol?: string;
}

export interface ServiceResource extends ResourceMeta, LoadBalancer {
  readonly kind: 'Service';
  /** name of the ServiceEntry whose host this is, `name` then being that host; absent: a Service of Kubernetes */
  readonly entry?: string;
  readonly addresses: readonly Ip[];
  /** TCP only */
  readonly ports: readonly ServiceResourcePort[];
  /** undefined: endpoints come from EndpointSlices alone */
  readonly selector: ReadonlyMap<string, string> | undefined;
  readonly publishNotReady: boolean;
  /** namespaces that see it (networking.istio.io/exportTo); absent: all */
  readonly exportTo?: readonly string[];
  readonly localityPreference: LocalityPreference;
}

export interface EndpointResource {
  readonly addresses: readonly Ip[];
  readonly ready: boolean;
  /** name of the pod behind it, when the slice says so */
  readonly pod: string | undefined;
  /** "" where the slice does not say */
  readonly node: string;
  readonly zone: string;
  /** where it says so itself; absent: that of its node, or its zone alone */
  readonly locality?: Locality;
  /** share of the load; absent: 1 */
  readonly weight?: number;
  /** of what a ServiceEntry lists; absent: not known */
  readonly serviceAccount?: string;
}

export interface EndpointSliceResource extends ResourceMeta {
  readonly kind: 'EndpointSlice';
  /** name of its Service, in the same namespace */
  readonly service: string;
  /** name of the ServiceEntry whose endpoint this is; absent: an EndpointSlice of Kubernetes */
  readonly entry?: string;
  readonly ports: readonly ContainerPort[];
  readonly endpoints: readonly EndpointResource[];
}

/** Which pods a policy is for. */
export type PolicyTarget =
  | { readonly type: 'all' }
  | { readonly type: 'labels'; readonly labels: ReadonlyMap<string, string> }
  | { readonly type: 'services'; readonly services: readonly string[] };

/**
 * Also what an invalid PeerAuthentication or RequestAuthentication becomes: a refused policy that closes what it was to
 * protect, with the id of that resource.
 */
export interface AuthorizationPolicyResource extends ResourceMeta {
  readonly kind: 'AuthorizationPolicy';
  readonly target: PolicyTarget;
  /**
   * What can be decided per connection.  Name, namespace and scope are the translation's; a refused policy denies
   * everything.  Nothing is enforced of an AUDIT policy.
   */
  readonly policy: Pick<Authorization, 'action' | 'rules' | 'dryRun'>;
  /** closed: invalid, or (with `l7`) CUSTOM or attached to a Service, which can only be decided per request */
  readonly refused: boolean;
  /** as written, for those who see requests; absent: invalid */
  readonly l7?: AuthorizationPolicySpec;
}

export type Resource =
  | PodResource
  | NodeResource
  | ServiceResource
  | EndpointSliceResource
  | AuthorizationPolicyResource
  | NamespaceResource
  | ServiceAccountResource
  | SecretResource
  | VirtualServiceResource
  | DestinationRuleResource
  | GatewayResource
  | ServiceEntryResource
  | WorkloadEntryResource
  | WorkloadGroupResource
  | SidecarResource
  | PeerAuthenticationResource
  | RequestAuthenticationResource
  | TelemetryResource
  | GatewayApiGatewayResource
  | GatewayClassResource
  | ReferenceGrantResource
  | HttpRouteResource
  | GrpcRouteResource
  | TcpRouteResource
  | TlsRouteResource;
