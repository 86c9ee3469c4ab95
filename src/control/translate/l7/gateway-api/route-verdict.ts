/**
 * What a route's status says: which parents take it, and whether its references lead somewhere; with its findings.
 *
 * Parents of other controllers are not in it.
 */
import type { FindingCode } from '../../../../model/finding.ts';
import type {
  GatewayApiGatewayResource,
  ParentReference,
} from '../../../../model/resource/gateway-api.ts';
import { attach, isGatewayReference, isOwnGateway, type RefusalReason } from './attachment.ts';
import { connectionShares } from './backend.ts';
import { ApiReport } from './report.ts';
import { isLeftOut, rivalOf } from './route-conflicts.ts';
import { requestRules } from './request-rules.ts';
import { judged, no, yes, type ParentVerdict, type RouteVerdict, type Verdict } from './verdict.ts';
import { isRequestRoute, type ApiRoute, type ApiView } from './view.ts';

interface Acceptance {
  /** undefined: the parent takes it */
  readonly refusal: Verdict | undefined;
  readonly port: number;
  readonly tls: boolean;
}

/** Whether a route's parent is podwire's to write a status for. */
export function ownsParent(
  parent: ParentReference,
  namespace: string,
  view: Pick<ApiView, 'gateway' | 'gatewayClass'>,
): boolean {
  if (isServiceReference(parent)) return true;
  if (!isGatewayReference(parent)) return false;
  const gateway = view.gateway(parent.namespace ?? namespace, parent.name);
  return gateway !== undefined && isOwnGateway(gateway, view);
}

export function isServiceReference({ group, kind }: ParentReference): boolean {
  return group === '' && kind === 'Service';
}

export function routeVerdict(route: ApiRoute, view: ApiView): RouteVerdict {
  const report = new ApiReport(route);
  const taken = (route.spec.parentRefs ?? []).flatMap((parentRef, index) => {
    const acceptance = acceptanceOf(route, parentRef, `spec.parentRefs[${index}]`, view, report);
    return acceptance === undefined ? [] : [{ parentRef, index, ...acceptance }];
  });
  const { port = 80, tls = false } = taken[0] ?? {};
  readRules(route, view, report, port, tls);
  const { unresolved } = report;
  const resolvedRefs =
    unresolved === undefined ? yes('ResolvedRefs') : no(unresolved.reason, unresolved.message);
  const { accepted, partiallyInvalid } = rulesVerdict(route, report);
  const parents = taken.map(({ parentRef, index, refusal }): ParentVerdict => ({
    parentRef,
    index,
    accepted: refusal ?? accepted,
    resolvedRefs,
    partiallyInvalid: refusal === undefined ? partiallyInvalid : undefined,
  }));
  const { findings, references } = report;
  return { kind: 'route', ...judged(route), parents, findings, references };
}

/** A route is taken as long as one of its rules can be carried out. */
function rulesVerdict(
  { spec }: ApiRoute,
  { refused }: ApiReport,
): Pick<ParentVerdict, 'accepted' | 'partiallyInvalid'> {
  const messages = [...refused.values()].join('; ');
  if (refused.size === 0) return { accepted: yes('Accepted'), partiallyInvalid: undefined };
  if (refused.size >= (spec.rules ?? []).length) {
    return { accepted: no('UnsupportedValue', messages), partiallyInvalid: undefined };
  }
  // The first words are the specification's.
  const dropped = `Dropped Rule ${[...refused.keys()].join(', ')}, answered with 500`;
  return {
    accepted: yes('Accepted'),
    partiallyInvalid: no('UnsupportedValue', `${dropped}: ${messages}`),
  };
}

function readRules(
  route: ApiRoute,
  view: ApiView,
  report: ApiReport,
  port: number,
  tls: boolean,
): void {
  const context = { route, view, port, tls, report };
  if (isRequestRoute(route)) {
    requestRules(route, context);
    return;
  }
  (route.spec.rules ?? []).forEach(({ backendRefs }, index) => {
    const path = `spec.rules[${index}]`;
    if (index === 0) connectionShares(backendRefs, path, context);
    else report.warn('FIELD_UNUSED', path, 'only the first rule can ever match', 'remove it');
  });
}

/** undefined: it is not podwire's */
function acceptanceOf(
  route: ApiRoute,
  parent: ParentReference,
  path: string,
  view: ApiView,
  report: ApiReport,
): Acceptance | undefined {
  if (isServiceReference(parent)) return serviceAcceptance(route, parent, path, view, report);
  if (!isGatewayReference(parent)) return undefined;
  const { name, namespace = route.namespace } = parent;
  const gateway = view.gateway(namespace, name);
  if (gateway === undefined) {
    const message = `names the Gateway ${namespace}/${name}, which does not exist`;
    report.warn('GATEWAY_UNKNOWN', `${path}.name`, message, 'add it, or correct the name');
    return undefined;
  }
  return isOwnGateway(gateway, view)
    ? gatewayAcceptance(route, parent, gateway, path, view, report)
    : undefined;
}

function serviceAcceptance(
  route: ApiRoute,
  { name, namespace = route.namespace, port, sectionName }: ParentReference,
  path: string,
  view: ApiView,
  report: ApiReport,
): Acceptance {
  const refuse = (code: FindingCode, field: string, message: string): Acceptance => {
    report.warn(code, `${path}.${field}`, message, 'add it, or correct the reference');
    return { refusal: no('NoMatchingParent', message), port: port ?? 80, tls: false };
  };
  const ports = view.servicePorts(namespace, name);
  if (ports === undefined) {
    const message = `names the Service ${namespace}/${name}, which does not exist`;
    return refuse('HOST_UNKNOWN', 'name', message);
  }
  const found = ports.find(
    (one) =>
      (port === undefined || one.port === port) &&
      (sectionName === undefined || one.name === sectionName),
  );
  if (found === undefined) {
    const message = `Service ${namespace}/${name} has no port ${sectionName ?? port ?? ''}`;
    return refuse('PORT_UNKNOWN', port === undefined ? 'sectionName' : 'port', message.trimEnd());
  }
  if (
    isRequestRoute(route) &&
    route.spec.hostnames?.length &&
    !route.spec.parentRefs?.some(isGatewayReference)
  ) {
    const message = 'count for Gateways only: a Service is found by its address';
    report.warn('FIELD_UNUSED', 'spec.hostnames', message, 'remove them, or name a Gateway');
  }
  return { refusal: undefined, port: found.port, tls: false };
}

const REFUSALS: Readonly<
  Record<RefusalReason, { readonly code: FindingCode; readonly fix: string }>
> = {
  NoMatchingParent: {
    code: 'REFERENCE_UNKNOWN',
    fix: 'correct sectionName and port, or add a listener',
  },
  NotAllowedByListeners: {
    code: 'REFERENCE_NOT_PERMITTED',
    fix: 'change allowedRoutes of a listener',
  },
  NoMatchingListenerHostname: {
    code: 'HOST_CONFLICT',
    fix: 'use host names that a listener has, too',
  },
};
/** what got furthest says the most */
const REFUSAL_ORDER: readonly RefusalReason[] = [
  'NoMatchingListenerHostname',
  'NotAllowedByListeners',
  'NoMatchingParent',
];

function gatewayAcceptance(
  route: ApiRoute,
  parent: ParentReference,
  gateway: GatewayApiGatewayResource,
  path: string,
  view: ApiView,
  report: ApiReport,
): Acceptance {
  const name = `${gateway.namespace}/${gateway.name}`;
  const refusals = new Set<RefusalReason>();
  let conflict = 80;
  let conflicts = false;
  for (const listener of gateway.spec.listeners) {
    const found = attach(route, parent, gateway, listener, view);
    if (typeof found === 'string') {
      refusals.add(found);
      continue;
    }
    const { port, protocol } = listener;
    if (!isLeftOut({ route, hostnames: found }, gateway, listener, view))
      return { refusal: undefined, port, tls: protocol === 'HTTPS' };
    conflicts = true;
    conflict = port;
  }
  if (conflicts) {
    const connections = route.kind === 'TCPRoute';
    const what = connections ? 'the connections' : 'a host name';
    const message = `an older ${rivalOf(route.kind)} on Gateway ${name} has ${what} of it`;
    const at = connections ? path : 'spec.hostnames';
    const fix = connections ? 'give it a listener of its own' : 'use host names of its own';
    report.warn('HOST_CONFLICT', at, message, fix);
    return { refusal: no('RouteConflict', message), port: conflict, tls: false };
  }
  const reason = REFUSAL_ORDER.find((one) => refusals.has(one)) ?? 'NoMatchingParent';
  const { code, fix } = REFUSALS[reason];
  const message = `${reason}: no listener of Gateway ${name} takes the route`;
  report.warn(code, path, message, fix);
  return { refusal: no(reason, message), port: 80, tls: false };
}
