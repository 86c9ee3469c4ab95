/**
 * backendRefs: what they lead to, and what becomes of the share of those that lead nowhere.
 */
import type { BackendReference } from '../../../../model/resource/gateway-api.ts';
import type { WeightedCluster } from '../../../../model/route.ts';
import { NO_HEADER_EDITS } from '../../../../model/matcher.ts';
import { isPermitted, reportNotPermitted } from './grants.ts';
import type { RuleContext } from './rule-context.ts';
import { BLACK_HOLE, type BackendCluster } from './view.ts';

type Backend = Omit<BackendReference, 'weight'>;

const ISTIO_GROUP = 'networking.istio.io';

/** undefined: it leads nowhere, which is reported */
export function resolveBackend(
  backend: Backend,
  path: string,
  context: RuleContext,
): BackendCluster | undefined {
  const { group, kind } = backend;
  if (group === ISTIO_GROUP && kind === 'Hostname') return hostBackend(backend, path, context);
  if (group === '' && kind === 'Service') return serviceBackend(backend, path, context);
  const message = `${kind}${group === '' ? '' : `.${group}`} is no backend podwire knows`;
  context.report.reference(
    'InvalidKind',
    'NOT_SUPPORTED',
    `${path}.kind`,
    message,
    'use a Service',
  );
  return undefined;
}

function serviceBackend(
  backend: Backend,
  path: string,
  { route, view, report }: RuleContext,
): BackendCluster | undefined {
  const { name, port, namespace = route.namespace } = backend;
  // Before anything else, or the answer would tell what is in a namespace that did not allow it.
  if (!isPermitted(route, backend, view)) {
    reportNotPermitted(route, backend, path, report);
    return undefined;
  }
  const ports = view.servicePorts(namespace, name);
  if (ports === undefined) {
    const message = `names the Service ${namespace}/${name}, which does not exist`;
    const fix = 'add it, or correct the name';
    report.reference('BackendNotFound', 'HOST_UNKNOWN', `${path}.name`, message, fix);
    return undefined;
  }
  if (port === undefined || !ports.some((one) => one.port === port)) {
    const message =
      port === undefined
        ? `Service ${namespace}/${name} needs a port here`
        : `Service ${namespace}/${name} has no port ${port}`;
    const fix = `use one of ${ports.map((one) => one.port).join(', ')}`;
    report.reference('BackendNotFound', 'PORT_UNKNOWN', `${path}.port`, message, fix);
    return undefined;
  }
  return view.cluster(`${name}.${namespace}.svc.${view.domain}`, port);
}

function hostBackend(
  { name, port }: Backend,
  path: string,
  { view, report }: RuleContext,
): BackendCluster | undefined {
  const host = name.toLowerCase();
  if (port !== undefined && view.knowsHost(host)) return view.cluster(host, port);
  const at = port === undefined ? `${path}.port` : `${path}.name`;
  const message =
    port === undefined ? `${name} needs a port here` : `${name} is no host of the mesh`;
  const code = port === undefined ? 'PORT_UNKNOWN' : 'HOST_UNKNOWN';
  report.reference('BackendNotFound', code, at, message, 'add a ServiceEntry, or correct it');
  return undefined;
}

/** Of TCPRoutes and TLSRoutes: the share of what leads nowhere is refused. */
export function connectionShares(
  backends: readonly BackendReference[] | undefined,
  path: string,
  context: RuleContext,
): WeightedCluster[] {
  return (backends ?? []).flatMap((backend, index) => {
    const found = resolveBackend(backend, `${path}.backendRefs[${index}]`, context);
    if (backend.weight <= 0) return [];
    return [plainShare(found?.name ?? BLACK_HOLE, backend.weight)];
  });
}

export function plainShare(cluster: string, weight: number): WeightedCluster {
  return {
    cluster,
    weight,
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    hostRewrite: undefined,
  };
}
