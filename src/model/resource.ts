/**
 * Kubernetes and Istio resources after validation: only what podwire reads, parsed, with defaults filled in.
 */
import type { Ip } from './ip.ts';
import type { Authorization } from './authorization.ts';
import type { SpliceMode } from './enrolment.ts';
import type { LbPolicy } from './service.ts';

export interface ResourceMeta {
  /** "Pod shop/web-1": unique in its cluster */
  readonly id: string;
  readonly file: string;
  /** cluster it was read from; absent: control's own, as for everything in the config folder */
  readonly cluster?: string;
  /** network of that cluster (topology.istio.io/network); absent: the default one */
  readonly network?: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
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
  readonly ready: boolean;
  readonly owner: { readonly kind: string; readonly name: string } | undefined;
  readonly ports: readonly ContainerPort[];
  readonly images: readonly string[];
  readonly weight: number;
  /** undefined: not enrolled */
  readonly netns: string | undefined;
  readonly captureProxy: boolean;
  readonly splice: SpliceMode;
  readonly portModes: ReadonlyMap<number, SpliceMode>;
}

export interface ServiceResourcePort {
  readonly name: string;
  readonly port: number;
  /** a number, or the name of a container port */
  readonly targetPort: number | string;
}

export interface ServiceResource extends ResourceMeta {
  readonly kind: 'Service';
  readonly addresses: readonly Ip[];
  /** TCP only */
  readonly ports: readonly ServiceResourcePort[];
  /** undefined: endpoints come from EndpointSlices alone */
  readonly selector: ReadonlyMap<string, string> | undefined;
  readonly publishNotReady: boolean;
  readonly lbPolicy: LbPolicy;
}

export interface EndpointResource {
  readonly addresses: readonly Ip[];
  readonly ready: boolean;
  /** name of the pod behind it, when the slice says so */
  readonly pod: string | undefined;
  /** share of the load; absent: 1 */
  readonly weight?: number;
}

export interface EndpointSliceResource extends ResourceMeta {
  readonly kind: 'EndpointSlice';
  /** name of its Service, in the same namespace */
  readonly service: string;
  readonly ports: readonly ContainerPort[];
  readonly endpoints: readonly EndpointResource[];
}

/** Which pods a policy is for. */
export type PolicyTarget =
  | { readonly type: 'all' }
  | { readonly type: 'labels'; readonly labels: ReadonlyMap<string, string> }
  | { readonly type: 'services'; readonly services: readonly string[] };

export interface AuthorizationPolicyResource extends ResourceMeta {
  readonly kind: 'AuthorizationPolicy';
  readonly target: PolicyTarget;
  /** name, namespace and scope are the translation's; a refused policy denies everything */
  readonly policy: Pick<Authorization, 'action' | 'rules' | 'dryRun'>;
  readonly refused: boolean;
}

export type Resource =
  PodResource | ServiceResource | EndpointSliceResource | AuthorizationPolicyResource;
