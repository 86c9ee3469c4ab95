/**
 * Routes of the Gateway API among others: parents that are there and let them in, backends that are there and may be
 * referred to.
 */
import type { Finding } from '../../../model/finding.ts';
import type {
  ApiRouteFilter,
  BackendReference,
  GatewayApiGatewayResource,
  GrpcRouteResource,
  HttpRouteResource,
  NamespaceSelector,
  ParentReference,
  TcpRouteResource,
  TlsRouteResource,
} from '../../../model/resource/gateway-api.ts';
import { checkGrant } from './gateway.ts';
import { apiGatewayKey, hostKey, namespaceKey, serviceKey } from './keys.ts';
import { MeshReport } from './mesh-report.ts';
import type { View } from './reference-graph.ts';

export type ApiRoute = HttpRouteResource | GrpcRouteResource | TcpRouteResource | TlsRouteResource;

type Backend = Omit<BackendReference, 'weight'>;

interface Filtered {
  readonly filters?: readonly ApiRouteFilter[];
}

/** of any of the four kinds */
interface AnyRule extends Filtered {
  readonly backendRefs?: readonly (BackendReference & Filtered)[];
}

export function checkApiRoute(route: ApiRoute, view: View): Finding[] {
  const report = new MeshReport(route);
  (route.spec.parentRefs ?? []).forEach((parent, index) =>
    checkParent(route, parent, `spec.parentRefs[${index}]`, view, report),
  );
  const rules: readonly AnyRule[] = route.spec.rules ?? [];
  for (const [index, rule] of rules.entries()) {
    const path = `spec.rules[${index}]`;
    checkMirrors(route, rule.filters, path, view, report);
    for (const [item, backend] of (rule.backendRefs ?? []).entries()) {
      const at = `${path}.backendRefs[${item}]`;
      checkBackend(route, backend, at, view, report);
      checkMirrors(route, backend.filters, at, view, report);
    }
  }
  return report.findings;
}

function checkMirrors(
  route: ApiRoute,
  filters: readonly ApiRouteFilter[] | undefined,
  path: string,
  view: View,
  report: MeshReport,
): void {
  filters?.forEach(({ requestMirror }, index) => {
    if (requestMirror === undefined) return;
    const at = `${path}.filters[${index}].requestMirror.backendRef`;
    checkBackend(route, requestMirror.backendRef, at, view, report);
  });
}

function checkBackend(
  route: ApiRoute,
  backend: Backend,
  path: string,
  view: View,
  report: MeshReport,
): void {
  const { group, kind, name, namespace = route.namespace, port } = backend;
  checkGrant(route, backend, path, view, report);
  if (group === 'networking.istio.io' && kind === 'Hostname') {
    if (view.some(hostKey(name))) return;
    const fix = 'add a ServiceEntry, or correct the name';
    report.warn('HOST_UNKNOWN', `${path}.name`, `${name} is no host of the mesh`, fix);
    return;
  }
  if (group !== '' || kind !== 'Service') {
    const message = `${kind} is no backend podwire knows; requests for it are answered with 500`;
    report.warn('NOT_SUPPORTED', `${path}.kind`, message, 'use a Service');
    return;
  }
  let known = false;
  for (const service of view.find(serviceKey(namespace, name))) {
    if (service.kind !== 'Service') continue;
    known = true;
    if (service.ports.some((one) => one.port === port)) return;
  }
  if (!known) {
    const message = `names the Service ${namespace}/${name}, which does not exist`;
    report.warn('HOST_UNKNOWN', `${path}.name`, message, 'add it, or correct the name');
  } else {
    const message = `Service ${namespace}/${name} has no port ${port}`;
    report.warn('PORT_UNKNOWN', `${path}.port`, message, 'use a port of the Service');
  }
}

function checkParent(
  route: ApiRoute,
  parent: ParentReference,
  path: string,
  view: View,
  report: MeshReport,
): void {
  const { kind, name, namespace = route.namespace, sectionName, port } = parent;
  if (kind === 'Service') {
    if (view.some(serviceKey(namespace, name))) return;
    const message = `names the Service ${namespace}/${name}, which does not exist`;
    report.warn('HOST_UNKNOWN', `${path}.name`, message, 'add it, or correct the name');
    return;
  }
  if (kind !== 'Gateway') return;
  const [gateway] = view.find(apiGatewayKey(namespace, name));
  if (gateway?.kind !== 'GatewayApiGateway') {
    const message = `names the Gateway ${namespace}/${name}, which does not exist`;
    report.warn('GATEWAY_UNKNOWN', `${path}.name`, message, 'add it, or correct the name');
    return;
  }
  const listeners = gateway.spec.listeners.filter(
    (one) =>
      (sectionName === undefined || one.name === sectionName) &&
      (port === undefined || one.port === port),
  );
  if (listeners.length === 0) {
    const fix = `use one of: ${gateway.spec.listeners.map((one) => one.name).join(', ')}`;
    const message = `Gateway ${namespace}/${name} has no such listener`;
    report.warn('REFERENCE_UNKNOWN', path, message, fix);
  } else if (!listeners.some((listener) => admits(gateway, listener, route, view))) {
    const message = `Gateway ${namespace}/${name} admits no ${route.kind} of ${route.namespace}`;
    const fix = 'change allowedRoutes of the listener';
    report.warn('REFERENCE_NOT_GRANTED', path, message, fix);
  }
}

function admits(
  gateway: GatewayApiGatewayResource,
  { allowedRoutes }: GatewayApiGatewayResource['spec']['listeners'][number],
  route: ApiRoute,
  view: View,
): boolean {
  const { namespaces, kinds = [] } = allowedRoutes;
  if (kinds.length > 0 && !kinds.some(({ kind }) => kind === route.kind)) return false;
  switch (namespaces.from) {
    case 'All':
      return true;
    case 'Same':
      return gateway.namespace === route.namespace;
    case 'Selector': {
      const [found] = view.find(namespaceKey(route.namespace));
      // Kubernetes gives every namespace its name as a label.
      const own = new Map([['kubernetes.io/metadata.name', route.namespace]]);
      const labels = new Map([...own, ...(found?.labels ?? [])]);
      return selectsNamespace(namespaces.selector ?? {}, labels);
    }
  }
}

function selectsNamespace(
  { matchLabels = {}, matchExpressions = [] }: NamespaceSelector,
  labels: ReadonlyMap<string, string>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels.get(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels.get(key);
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}
