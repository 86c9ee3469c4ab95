/**
 * Rules of HTTPRoutes and GRPCRoutes → Routes.
 */
import type { HeaderMatcher, PathMatcher } from '../../../model/matcher.ts';
import type {
  ForwardAction,
  Mirror,
  RetryPolicy,
  Route,
  RouteAction,
  RouteMatch,
  WeightedCluster,
} from '../../../model/route.ts';
import type {
  BackendReference,
  GrpcApiRouteMatch,
  GrpcApiRouteRule,
  GrpcRouteResource,
  HttpApiBackendReference,
  HttpApiRouteMatch,
  HttpApiRouteRule,
  HttpRouteResource,
  NamedMatch,
} from '../../../model/resource/gateway-api.ts';
import { filterEffects, type FilterEffects } from './api-filters.ts';
import type { ReferenceGrants } from './reference-grants.ts';
import { BLACK_HOLE_CLUSTER } from './cluster.ts';
import { plainShare, type Destinations } from './destinations.ts';
import { ALL, milliseconds } from './matchers.ts';
import { ANY_REQUEST, DEFAULT_RETRY, forwardAction, hashPolicies } from './route-defaults.ts';

export interface ApiRouteContext {
  readonly destinations: Destinations;
  readonly grants: ReferenceGrants;
  readonly domain: string;
}

export function httpApiRoutes(route: HttpRouteResource, context: ApiRouteContext): Route[] {
  return (route.spec.rules ?? []).flatMap((rule, index) => {
    const matches = rule.matches.length > 0 ? rule.matches : [ANY_PATH];
    return matches.map((match) => {
      const path = httpPath(match.path);
      const built: RouteMatch = {
        ...ANY_REQUEST,
        path,
        headers: [...methodHeader(match.method), ...(match.headers ?? []).map(headerOf)],
        query: (match.queryParams ?? []).map(({ name, ...named }) => ({
          name,
          match: namedMatch(named),
        })),
      };
      const prefix =
        path.type === 'segment-prefix' || path.type === 'prefix' ? path.value : undefined;
      return apiRoute(route, rule, index, built, prefix, context);
    });
  });
}

export function grpcApiRoutes(route: GrpcRouteResource, context: ApiRouteContext): Route[] {
  return (route.spec.rules ?? []).flatMap((rule, index) => {
    const matches: readonly GrpcApiRouteMatch[] = rule.matches?.length ? rule.matches : [{}];
    return matches.map((match) => {
      const built: RouteMatch = {
        ...ANY_REQUEST,
        path: grpcPath(match.method),
        headers: (match.headers ?? []).map(headerOf),
        grpcOnly: true,
      };
      return apiRoute(route, rule, index, built, undefined, context);
    });
  });
}

const ANY_PATH: HttpApiRouteMatch = { path: { type: 'PathPrefix', value: '/' } };

function httpPath({ type, value }: HttpApiRouteMatch['path']): PathMatcher {
  if (type === 'Exact') return { type: 'exact', value };
  if (type === 'RegularExpression') return { type: 'regex', value };
  const prefix = value.replace(/\/+$/, '');
  return prefix === '' ? { type: 'prefix', value: '/' } : { type: 'segment-prefix', value: prefix };
}

function grpcPath(method: GrpcApiRouteMatch['method']): PathMatcher {
  const { service, method: name, type } = method ?? {};
  if (service === undefined && name === undefined) return { type: 'prefix', value: '/' };
  if (type === 'RegularExpression') {
    return { type: 'regex', value: `/${service ?? '[^/]+'}/${name ?? '.+'}` };
  }
  if (service === undefined) return { type: 'regex', value: `/[^/]+/${escapeDots(name ?? '')}` };
  return name === undefined
    ? { type: 'prefix', value: `/${service}/` }
    : { type: 'exact', value: `/${service}/${name}` };
}

function escapeDots(text: string): string {
  return text.replaceAll('.', '\\.');
}

function methodHeader(method: string | undefined): HeaderMatcher[] {
  return method === undefined ? [] : [headerOf({ type: 'Exact', name: ':method', value: method })];
}

function namedMatch({ type, value }: Pick<NamedMatch, 'type' | 'value'>) {
  return { type: type === 'Exact' ? 'exact' : 'regex', value, ignoreCase: false } as const;
}

function headerOf({ name, ...match }: NamedMatch): HeaderMatcher {
  return {
    name: name.toLowerCase(),
    match: namedMatch(match),
    invert: false,
    treatMissingAsEmpty: false,
  };
}

type Rule = HttpApiRouteRule | GrpcApiRouteRule;

function apiRoute(
  route: HttpRouteResource | GrpcRouteResource,
  rule: Rule,
  index: number,
  match: RouteMatch,
  prefix: string | undefined,
  context: ApiRouteContext,
): Route {
  const { listenerPort: port } = context.destinations;
  const effects = filterEffects(rule.filters, { prefix, port });
  return {
    name: rule.name ?? `${route.namespace}/${route.name}/${index}`,
    match,
    action: apiAction(route, rule, effects, context),
    requestHeaders: effects.requestHeaders,
    responseHeaders: effects.responseHeaders,
    filters: {},
    tracing: undefined,
  };
}

const REFUSED: RouteAction = { type: 'respond', status: 500, body: new Uint8Array() };

/** What cannot be carried out is answered 500, as the Gateway API asks for. */
function apiAction(
  route: HttpRouteResource | GrpcRouteResource,
  rule: Rule,
  effects: FilterEffects,
  context: ApiRouteContext,
): RouteAction {
  if (effects.unknown) return REFUSED;
  if (effects.redirect !== undefined) return { type: 'redirect', ...effects.redirect };
  const backends = rule.backendRefs ?? [];
  if (!backends.some(({ weight }) => weight > 0)) return REFUSED;
  let hash: ForwardAction['hash'] = [];
  const choices = backends.flatMap((backend) => {
    if (backend.weight <= 0) return [];
    const { share, policies } = backendShare(route, backend, context);
    if (hash.length === 0) hash = policies;
    return [share];
  });
  const { timeouts, retry } = rule as HttpApiRouteRule;
  return forwardAction(choices, {
    clusterNotFoundStatus: 500,
    timeoutMs: milliseconds(timeouts?.request) ?? 0,
    retry: retryOf(retry, milliseconds(timeouts?.backendRequest)),
    mirrors: effects.mirrors.flatMap((mirror) => mirrorOf(route, mirror, context)),
    pathRewrite: effects.pathRewrite,
    hostRewrite: effects.hostRewrite,
    hash,
  });
}

function backendShare(
  route: HttpRouteResource | GrpcRouteResource,
  backend: HttpApiBackendReference,
  context: ApiRouteContext,
): { share: WeightedCluster; policies: ForwardAction['hash'] } {
  const { listenerPort: port } = context.destinations;
  const effects = filterEffects(backend.filters, { prefix: undefined, port });
  const unit = effects.unknown ? undefined : backendUnit(route, backend, context);
  const rewrite = effects.hostRewrite;
  return {
    share: {
      cluster: unit?.name ?? BLACK_HOLE_CLUSTER,
      weight: backend.weight,
      requestHeaders: effects.requestHeaders,
      responseHeaders: effects.responseHeaders,
      hostRewrite: rewrite?.type === 'literal' ? rewrite.value : undefined,
    },
    policies: hashPolicies(unit?.hash),
  };
}

type Referrer = Parameters<ReferenceGrants['allows']>[0];

/** undefined: of another kind, or not granted */
export function backendUnit(
  route: Referrer,
  backend: Omit<BackendReference, 'weight'>,
  { destinations, grants, domain }: ApiRouteContext,
) {
  const { kind, name, port } = backend;
  const namespace = backend.namespace ?? route.namespace;
  if (kind === 'Hostname') return destinations.host(name.toLowerCase(), port);
  if (kind !== 'Service' || !grants.allows(route, { ...backend, namespace })) return undefined;
  return destinations.host(`${name}.${namespace}.svc.${domain}`, port);
}

/** Of TCPRoutes and TLSRoutes. */
export function backendShares(
  route: Referrer,
  backends: readonly BackendReference[],
  context: ApiRouteContext,
): WeightedCluster[] {
  return backends
    .filter(({ weight }) => weight > 0)
    .map((backend) =>
      plainShare(backendUnit(route, backend, context)?.name ?? BLACK_HOLE_CLUSTER, backend.weight),
    );
}

function mirrorOf(
  route: HttpRouteResource | GrpcRouteResource,
  mirror: FilterEffects['mirrors'][number],
  context: ApiRouteContext,
): Mirror[] {
  const unit = backendUnit(route, mirror.backendRef, context);
  if (unit === undefined) return [];
  const { percent, fraction } = mirror;
  const share =
    fraction === undefined ? (percent ?? 100) / 100 : fraction.numerator / fraction.denominator;
  return [{ cluster: unit.name, fraction: Math.round(share * ALL) }];
}

function retryOf(
  retry: HttpApiRouteRule['retry'],
  perTryTimeoutMs: number | undefined,
): RetryPolicy | undefined {
  if (retry === undefined) return { ...DEFAULT_RETRY, perTryTimeoutMs };
  const attempts = retry.attempts ?? 1;
  if (attempts === 0) return undefined;
  const baseMs = milliseconds(retry.backoff);
  return {
    ...DEFAULT_RETRY,
    attempts,
    statusCodes: retry.codes ?? DEFAULT_RETRY.statusCodes,
    perTryTimeoutMs,
    backoff: baseMs === undefined ? undefined : { baseMs, maxMs: baseMs * 10 },
  };
}
