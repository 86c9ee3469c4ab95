/**
 * http: of a VirtualService → Routes.  A route with several matches is several Routes, in order.
 */
import type { HeaderMatcher } from '../../../model/matcher.ts';
import type { RouteFilters } from '../../../model/http-filter.ts';
import type {
  CorsPolicy,
  ForwardAction,
  HostRewrite,
  Mirror,
  PathRewrite,
  RedirectAction,
  RetryPolicy,
  Route,
  RouteAction,
  RouteMatch,
} from '../../../model/route.ts';
import type {
  CorsPolicySpec,
  HttpFaultInjection,
  HttpMatchRequest,
  HttpRedirect,
  HttpRetry,
  HttpRewrite,
  HttpRouteSpec,
} from '../../../model/resource/virtual-service.ts';
import { shares, type Destinations } from './destinations.ts';
import {
  ALL,
  fraction,
  headerEdits,
  headerMatcher,
  hostEdit,
  milliseconds,
  pathMatcher,
  queryMatcher,
  stringMatcher,
  withoutHeader,
} from './matchers.ts';
import { ANY_REQUEST, DEFAULT_RETRY, forwardAction, hashPolicies } from './route-defaults.ts';
import { isForGateway, type PlacedRoute } from './virtual-services.ts';

export interface RouteContext {
  readonly destinations: Destinations;
  /** "mesh" or "namespace/name" */
  readonly gateway: string;
  /** of a gateway's server, for redirects; undefined: plain text */
  readonly tls: boolean;
}

const GRPC_STATUS: readonly string[] =
  'OK,CANCELLED,UNKNOWN,INVALID_ARGUMENT,DEADLINE_EXCEEDED,NOT_FOUND,ALREADY_EXISTS,PERMISSION_DENIED,RESOURCE_EXHAUSTED,FAILED_PRECONDITION,ABORTED,OUT_OF_RANGE,UNIMPLEMENTED,INTERNAL,UNAVAILABLE,DATA_LOSS,UNAUTHENTICATED'.split(
    ',',
  );

export function httpRoutes(placed: PlacedRoute, context: RouteContext): Route[] {
  const { route, service } = placed;
  const matches = route.match ?? [];
  const live = matches.filter((match) => isLive(match, placed, context));
  if (matches.length > 0 && live.length === 0) return [];
  const rest = {
    action: routeAction(placed, context),
    requestHeaders: headerEdits(route.headers?.request),
    responseHeaders: headerEdits(route.headers?.response),
    filters: routeFilters(route),
    tracing: undefined,
  };
  const name = route.name ?? '';
  if (live.length === 0) return [{ name: name || service.name, match: ANY_REQUEST, ...rest }];
  return live.map((match) => ({
    name: [name, match.name ?? ''].filter((part) => part !== '').join('.') || service.name,
    match: routeMatch(match),
    ...rest,
  }));
}

/** Conditions on the caller and the port are decided here; the rest is the proxy's. */
function isLive(match: HttpMatchRequest, { service }: PlacedRoute, context: RouteContext): boolean {
  const { destinations, gateway } = context;
  if (!isForGateway(match.gateways, service, gateway)) return false;
  if (match.port !== undefined && match.port !== destinations.listenerPort) return false;
  if (match.sourceNamespace && !destinations.client.isIn(match.sourceNamespace)) return false;
  return destinations.client.hasLabels(match.sourceLabels);
}

function routeMatch(match: HttpMatchRequest): RouteMatch {
  const headers: HeaderMatcher[] = [];
  for (const field of ['method', 'authority', 'scheme'] as const) {
    const wanted = match[field];
    if (wanted === undefined || stringMatcher(wanted) === undefined) continue;
    headers.push(headerMatcher(`:${field}`, wanted));
  }
  for (const [name, wanted] of Object.entries(match.headers ?? {})) {
    headers.push(headerMatcher(name, wanted));
  }
  for (const [name, refused] of Object.entries(match.withoutHeaders ?? {})) {
    headers.push(withoutHeader(name, refused));
  }
  const query = Object.entries(match.queryParams ?? {}).map(([name, wanted]) =>
    queryMatcher(name, wanted),
  );
  return {
    ...ANY_REQUEST,
    path: pathMatcher(match.uri),
    ignorePathCase: match.ignoreUriCase === true,
    headers,
    query,
  };
}

function routeAction({ route, service }: PlacedRoute, context: RouteContext): RouteAction {
  if (route.redirect !== undefined) return redirectAction(route.redirect, context);
  if (route.directResponse !== undefined) {
    const { status, body } = route.directResponse;
    const bytes =
      body?.bytes === undefined
        ? Buffer.from(body?.string ?? '')
        : Buffer.from(body.bytes, 'base64');
    return { type: 'respond', status, body: new Uint8Array(bytes) };
  }
  const { destinations } = context;
  let hash: ForwardAction['hash'] = [];
  const choices = shares(route.route ?? []).map(({ item, weight }) => {
    const unit = destinations.destination(item.destination, service.namespace);
    if (hash.length === 0) hash = hashPolicies(unit.hash);
    return {
      cluster: unit.name,
      weight,
      requestHeaders: headerEdits(item.headers?.request),
      responseHeaders: headerEdits(item.headers?.response),
      hostRewrite: hostEdit(item.headers?.request),
    };
  });
  return forwardAction(choices, {
    timeoutMs: milliseconds(route.timeout) ?? 0,
    retry: retryPolicy(route.retries),
    mirrors: mirrors(route, service.namespace, destinations),
    hash,
    pathRewrite: pathRewrite(route.rewrite),
    hostRewrite: hostRewrite(route),
  });
}

export function retryPolicy(retries: HttpRetry | undefined): RetryPolicy | undefined {
  if (retries === undefined) return DEFAULT_RETRY;
  const attempts = retries.attempts ?? DEFAULT_RETRY.attempts;
  if (attempts <= 0) return undefined;
  const words = (retries.retryOn ?? '').split(',').map((word) => word.trim());
  const codes = words.filter((word) => /^[0-9]+$/.test(word)).map(Number);
  const on = words.filter((word) => word !== '' && !/^[0-9]+$/.test(word));
  if (codes.length > 0 && !on.includes('retriable-status-codes')) on.push('retriable-status-codes');
  const stated = retries.retryOn !== undefined && retries.retryOn !== '';
  return {
    ...DEFAULT_RETRY,
    ...(stated ? { on, statusCodes: codes } : {}),
    attempts,
    perTryTimeoutMs: milliseconds(retries.perTryTimeout),
    previousPrioritiesFrequency: retries.retryRemoteLocalities === true ? 2 : undefined,
  };
}

function mirrors(
  route: HttpRouteSpec,
  namespace: string,
  destinations: Destinations,
): readonly Mirror[] {
  const all: Mirror[] = (route.mirrors ?? []).map(({ destination, percentage }) => ({
    cluster: destinations.destination(destination, namespace).name,
    fraction: fraction(percentage, ALL),
  }));
  if (route.mirror !== undefined && all.length === 0) {
    const whole = route.mirrorPercent ?? route.mirror_percent;
    const share = fraction(
      route.mirrorPercentage ?? (whole === undefined ? undefined : { value: whole }),
      ALL,
    );
    all.push({
      cluster: destinations.destination(route.mirror, namespace).name,
      fraction: share,
    });
  }
  return all.filter((mirror) => mirror.fraction > 0);
}

function pathRewrite(rewrite: HttpRewrite | undefined): PathRewrite | undefined {
  const { uri, uriRegexRewrite } = rewrite ?? {};
  if (uriRegexRewrite?.match !== undefined) {
    const { match: pattern, rewrite: substitution = '' } = uriRegexRewrite;
    return { type: 'regex', pattern, substitution };
  }
  return uri === undefined || uri === '' ? undefined : { type: 'prefix', value: uri };
}

function hostRewrite(route: HttpRouteSpec): HostRewrite | undefined {
  const value = route.rewrite?.authority ?? hostEdit(route.headers?.request);
  return value === undefined || value === '' ? undefined : { type: 'literal', value };
}

const PREFIX_SUBSTITUTION = '%PREFIX()%';

function redirectAction(redirect: HttpRedirect, context: RouteContext): RouteAction {
  const { uri, redirectCode, derivePort } = redirect;
  const scheme = redirect.scheme || undefined;
  let port = redirect.port;
  if (derivePort === 'FROM_REQUEST_PORT') port = context.destinations.listenerPort;
  if (derivePort === 'FROM_PROTOCOL_DEFAULT') {
    port = scheme === undefined ? (context.tls ? 443 : 80) : scheme === 'https' ? 443 : 80;
  }
  return {
    type: 'redirect',
    scheme,
    host: redirect.authority || undefined,
    port,
    path:
      uri === undefined || uri === ''
        ? undefined
        : uri.startsWith(PREFIX_SUBSTITUTION)
          ? { type: 'prefix', value: uri.slice(PREFIX_SUBSTITUTION.length) }
          : { type: 'whole', value: uri },
    status: ((redirectCode ?? 0) || 301) as RedirectAction['status'],
    stripQuery: false,
  };
}

function routeFilters({ fault, corsPolicy }: HttpRouteSpec): RouteFilters {
  return {
    ...(fault === undefined ? {} : { fault: faultOf(fault) }),
    ...(corsPolicy === undefined ? {} : { cors: corsOf(corsPolicy) }),
  };
}

/** Without a percentage nothing is injected, as in Istio. */
function faultOf({ delay, abort }: HttpFaultInjection) {
  const ms = milliseconds(delay?.fixedDelay);
  const grpc = GRPC_STATUS.indexOf((abort?.grpcStatus ?? '').toUpperCase());
  const status =
    abort?.httpStatus !== undefined
      ? ({ type: 'http', code: abort.httpStatus } as const)
      : grpc >= 0
        ? ({ type: 'grpc', code: grpc } as const)
        : undefined;
  return {
    delay:
      ms === undefined
        ? undefined
        : { ms, fraction: fraction(delay?.percentage, (delay?.percent ?? 0) * 10_000) },
    abort: status && { status, fraction: fraction(abort?.percentage, 0) },
    headers: [],
  };
}

function corsOf(cors: CorsPolicySpec): CorsPolicy {
  const seconds = milliseconds(cors.maxAge);
  return {
    allowOrigins: [
      ...(cors.allowOrigins ?? []).flatMap((origin) => stringMatcher(origin) ?? []),
      ...(cors.allowOrigin ?? []).map((origin) =>
        origin === '*'
          ? ({ type: 'regex', value: '.*', ignoreCase: false } as const)
          : ({ type: 'exact', value: origin, ignoreCase: false } as const),
      ),
    ],
    allowMethods: (cors.allowMethods ?? []).join(','),
    allowHeaders: (cors.allowHeaders ?? []).join(','),
    exposeHeaders: (cors.exposeHeaders ?? []).join(','),
    maxAge: seconds === undefined ? '' : String(Math.round(seconds / 1000)),
    allowCredentials: cors.allowCredentials ?? undefined,
    forwardNotMatching: cors.unmatchedPreflights !== 'IGNORE',
  };
}
