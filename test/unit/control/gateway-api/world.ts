/**
 * A small mesh to translate Gateway API resources in.
 */
import type {
  ApiRoute,
  ApiView,
  RequestRoute,
} from '../../../../src/control/translate/l7/gateway-api/view.ts';
import type { Resource, ResourceMeta, ServiceResource } from '../../../../src/model/resource.ts';
import type {
  BackendReference,
  GatewayApiGatewayResource,
  GatewayApiListener,
  GrpcApiRouteRule,
  HttpApiRouteRule,
  ParentReference,
} from '../../../../src/model/resource/gateway-api.ts';

export const GROUP = 'gateway.networking.k8s.io';

export function meta<K extends Resource['kind']>(
  kind: K,
  id: string,
  createdAt?: number,
): ResourceMeta & { kind: K } {
  const [namespace = '', name = ''] = id.split('/');
  const age = createdAt === undefined ? {} : { createdAt };
  return { kind, id: `${kind} ${id}`, file: 'f', namespace, name, labels: new Map(), ...age };
}

export function toGateway(id: string, more: Partial<ParentReference> = {}): ParentReference {
  const [namespace = '', name = ''] = id.split('/');
  return { group: GROUP, kind: 'Gateway', namespace, name, ...more };
}

export function toService(id: string, more: Partial<ParentReference> = {}): ParentReference {
  return { ...toGateway(id), group: '', kind: 'Service', ...more };
}

export function backend(
  name: string,
  weight = 1,
  more: Partial<BackendReference> = {},
): BackendReference {
  return { group: '', kind: 'Service', name, port: 80, weight, ...more };
}

interface RouteParts<Rule> {
  readonly id?: string;
  readonly createdAt?: number;
  readonly hostnames?: readonly string[];
  readonly parentRefs?: readonly ParentReference[];
  readonly rules?: readonly Rule[];
}

export function httpRoute(parts: RouteParts<Partial<HttpApiRouteRule>>): RequestRoute {
  const { id = 'shop/r', createdAt, rules = [{ backendRefs: [backend('a')] }], ...spec } = parts;
  return {
    ...meta('HTTPRoute', id, createdAt),
    spec: { ...spec, rules: rules.map((rule) => ({ matches: [], ...rule })) },
  };
}

export function grpcRoute(parts: RouteParts<GrpcApiRouteRule>): RequestRoute {
  const { id = 'shop/g', createdAt, rules = [{ backendRefs: [backend('a')] }], ...spec } = parts;
  return { ...meta('GRPCRoute', id, createdAt), spec: { ...spec, rules } };
}

export function l4Route(
  kind: 'TCPRoute' | 'TLSRoute',
  parts: RouteParts<{ readonly backendRefs: readonly BackendReference[] }>,
): ApiRoute {
  const { id = `shop/${kind}`, createdAt, rules, ...spec } = parts;
  const all = rules ?? [{ backendRefs: [backend('a')] }];
  return { ...meta(kind, id, createdAt), spec: { ...spec, rules: all } } as ApiRoute;
}

export function gatewayOf(
  listeners: readonly Partial<GatewayApiListener>[],
  more: Partial<GatewayApiGatewayResource['spec']> = {},
): GatewayApiGatewayResource {
  return {
    ...meta('GatewayApiGateway', 'shop/gw'),
    spec: {
      gatewayClassName: 'podwire',
      listeners: listeners.map((listener, index) => ({
        name: `l${index}`,
        port: 80,
        protocol: 'HTTP',
        allowedRoutes: { namespaces: { from: 'Same' } },
        ...listener,
      })),
      ...more,
    },
  };
}

export function secret(id: string): Resource {
  return {
    ...meta('Secret', id),
    certificate: 'PEM',
    privateKey: 'PEM',
    caCertificates: undefined,
  };
}

export function roots(id: string): Resource {
  const none = { certificate: undefined, privateKey: undefined };
  return { ...meta('Secret', id), ...none, caCertificates: 'PEM' };
}

export function grant(namespace: string, from: string, kind: string, to: string, name?: string) {
  const target = { group: '', kind: to, ...(name === undefined ? {} : { name }) };
  return {
    ...meta('ReferenceGrant', `${namespace}/grant`),
    spec: { from: [{ group: GROUP, kind, namespace: from }], to: [target] },
  } satisfies Resource;
}

/** Services a, b and hashed have the ports 80 and 8080 in the namespaces shop and other; nothing else exists. */
export function world(...resources: readonly Resource[]): ApiView {
  const find = <K extends Resource['kind']>(kind: K, namespace: string, name: string) =>
    resources.find(
      (one): one is Extract<Resource, { kind: K }> =>
        one.kind === kind && one.namespace === namespace && one.name === name,
    );
  return {
    domain: 'cluster.local',
    routesOf: (kind, namespace, name, only) =>
      resources.filter(
        (one): one is ApiRoute =>
          /^(HTTP|GRPC|TCP|TLS)Route$/.test(one.kind) &&
          (only ?? one.kind) === one.kind &&
          ((one as ApiRoute).spec.parentRefs ?? []).some(
            (parent) =>
              parent.kind === kind &&
              parent.name === name &&
              (parent.namespace ?? one.namespace) === namespace,
          ),
      ),
    gateway: (namespace, name) => find('GatewayApiGateway', namespace, name),
    gatewayClass: (name) => find('GatewayClass', '', name),
    grants: (namespace) =>
      resources.flatMap((one) =>
        one.kind === 'ReferenceGrant' && one.namespace === namespace ? [one] : [],
      ),
    secret: (namespace, name) => find('Secret', namespace, name),
    namespaceLabels: (name) =>
      new Map([
        ['kubernetes.io/metadata.name', name],
        ['team', `team-${name}`],
      ]),
    servicePorts: (namespace, name) =>
      ['shop', 'other'].includes(namespace) && ['a', 'b', 'hashed'].includes(name)
        ? [
            { name: 'http', port: 80 },
            { name: 'alt', port: 8080 },
          ]
        : undefined,
    gatewayServices: (namespace, name) =>
      resources.filter(
        (one): one is ServiceResource =>
          one.kind === 'Service' &&
          one.namespace === namespace &&
          one.selector?.get(`${GROUP}/gateway-name`) === name,
      ),
    knowsHost: (host) => host === 'api.example.com',
    cluster: (host, port) => ({
      name: `outbound|${port}||${host}`,
      hash: [],
      hashing: host.startsWith('hashed.'),
    }),
  };
}

export const cluster = (name: string, namespace = 'shop', port = 80): string =>
  `outbound|${port}||${name}.${namespace}.svc.cluster.local`;
