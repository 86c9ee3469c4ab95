/**
 * What control reads from an API server, and where it is found there.
 *
 * Rights it needs: get, list and watch of all of these, in all namespaces.
 *
 *   ""                         namespaces nodes pods services serviceaccounts
 *   discovery.k8s.io           endpointslices
 *   networking.istio.io        virtualservices destinationrules gateways serviceentries workloadentries workloadgroups sidecars
 *   security.istio.io          peerauthentications requestauthentications authorizationpolicies
 *   telemetry.istio.io         telemetries
 *   gateway.networking.k8s.io  gatewayclasses gateways httproutes grpcroutes tcproutes tlsroutes referencegrants
 *
 * Besides these: get, list and watch of the secrets that gateways name (secrets.ts); create tokenreviews (authentication.k8s.io) to know callers; get, create and update leases
 * (coordination.k8s.io) in control's namespace, and get and patch of the status subresource of the kinds above with a status,
 * to write conditions; and what the CA's Secret (ca/secret-root-store.ts) and the ConfigMaps with the roots
 * (roots/root-config-maps.ts) need.
 */

export interface KubernetesKind {
  readonly kind: string;
  readonly group: string;
  /** plural */
  readonly resource: string;
  /** of a cluster that only lends its workloads (see KubernetesSourceOptions.role), these alone are used */
  readonly workload: boolean;
  /** undefined: what discovery offers */
  readonly version?: string;
}

const NETWORKING = 'networking.istio.io';
const SECURITY = 'security.istio.io';
const GATEWAY = 'gateway.networking.k8s.io';

export const BUILT_IN_KINDS: readonly KubernetesKind[] = [
  { kind: 'Namespace', group: '', resource: 'namespaces', workload: true, version: 'v1' },
  { kind: 'Node', group: '', resource: 'nodes', workload: true, version: 'v1' },
  { kind: 'Pod', group: '', resource: 'pods', workload: true, version: 'v1' },
  { kind: 'Service', group: '', resource: 'services', workload: true, version: 'v1' },
  { kind: 'ServiceAccount', group: '', resource: 'serviceaccounts', workload: true, version: 'v1' },
  {
    kind: 'EndpointSlice',
    group: 'discovery.k8s.io',
    resource: 'endpointslices',
    workload: true,
    version: 'v1',
  },
];

/** Read by name only: see secrets.ts. */
export const SECRET_KIND: KubernetesKind = {
  kind: 'Secret',
  group: '',
  resource: 'secrets',
  workload: false,
  version: 'v1',
};

export const CUSTOM_KINDS: readonly KubernetesKind[] = [
  custom(NETWORKING, 'VirtualService', 'virtualservices'),
  custom(NETWORKING, 'DestinationRule', 'destinationrules'),
  custom(NETWORKING, 'Gateway', 'gateways'),
  custom(NETWORKING, 'ServiceEntry', 'serviceentries'),
  custom(NETWORKING, 'WorkloadEntry', 'workloadentries'),
  custom(NETWORKING, 'WorkloadGroup', 'workloadgroups'),
  custom(NETWORKING, 'Sidecar', 'sidecars'),
  custom(SECURITY, 'PeerAuthentication', 'peerauthentications'),
  custom(SECURITY, 'RequestAuthentication', 'requestauthentications'),
  custom(SECURITY, 'AuthorizationPolicy', 'authorizationpolicies'),
  custom('telemetry.istio.io', 'Telemetry', 'telemetries'),
  custom(GATEWAY, 'GatewayClass', 'gatewayclasses'),
  custom(GATEWAY, 'Gateway', 'gateways'),
  custom(GATEWAY, 'HTTPRoute', 'httproutes'),
  custom(GATEWAY, 'GRPCRoute', 'grpcroutes'),
  custom(GATEWAY, 'TCPRoute', 'tcproutes'),
  custom(GATEWAY, 'TLSRoute', 'tlsroutes'),
  custom(GATEWAY, 'ReferenceGrant', 'referencegrants'),
];

function custom(group: string, kind: string, resource: string): KubernetesKind {
  return { kind, group, resource, workload: false };
}

/** The two kinds called Gateway are told apart as kubectl does. */
export function originKind({ kind, group }: KubernetesKind): string {
  return kind === 'Gateway' && group === GATEWAY ? `${kind}.${group}` : kind;
}

/** `<cluster>/<Kind>/<namespace>/<name>`; the namespace of a cluster-wide object is "" */
export function originOf(
  cluster: string,
  kind: KubernetesKind,
  namespace: string,
  name: string,
): string {
  return `${cluster}/${originKind(kind)}/${namespace}/${name}`;
}

const KINDS: ReadonlyMap<string, KubernetesKind> = new Map(
  [...BUILT_IN_KINDS, ...CUSTOM_KINDS].map((kind) => [originKind(kind), kind]),
);

export interface ParsedOrigin {
  readonly cluster: string;
  readonly kind: KubernetesKind;
  readonly namespace: string;
  readonly name: string;
}

/** undefined: no origin of an API server */
export function parseOrigin(origin: string): ParsedOrigin | undefined {
  const parts = origin.split('/');
  const [name, namespace, kindName] = [parts.pop(), parts.pop(), parts.pop()];
  const kind = KINDS.get(kindName ?? '');
  if (kind === undefined || !name || namespace === undefined || parts.length === 0)
    return undefined;
  return { cluster: parts.join('/'), kind, namespace, name };
}

/** What is listed and watched. */
export interface Collection {
  readonly path: string;
  /** absent: everything there */
  readonly fieldSelector?: string;
}

/** Of the collection in all namespaces. */
export function collectionPath(kind: KubernetesKind, version: string): string {
  const prefix = kind.group === '' ? '/api' : `/apis/${kind.group}`;
  return `${prefix}/${version}/${kind.resource}`;
}

export function objectPath(
  kind: KubernetesKind,
  version: string,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): string {
  const prefix = kind.group === '' ? '/api' : `/apis/${kind.group}`;
  const scope = namespace === '' ? '' : `/namespaces/${namespace}`;
  return `${prefix}/${version}${scope}/${kind.resource}/${name}`;
}
