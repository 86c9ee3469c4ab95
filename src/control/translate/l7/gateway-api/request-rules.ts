/**
 * Rules of an HTTPRoute or GRPCRoute → Routes with their rank.  A rule with several matches is several Routes.
 */
import type {
  GrpcApiRouteMatch,
  GrpcApiRouteRule,
  GrpcRouteResource,
  HttpApiBackendReference,
  HttpApiRouteMatch,
  HttpApiRouteRule,
  HttpRouteResource,
} from '../../../../model/resource/gateway-api.ts';
import type {
  ForwardAction,
  Route,
  RouteAction,
  RouteMatch,
  WeightedCluster,
} from '../../../../model/route.ts';
import { forwardAction } from '../route-defaults.ts';
import { resolveBackend } from './backend.ts';
import { filterEffects, type FilterEffects } from './filters.ts';
import { ANY_PATH, grpcMatch, httpMatch } from './match.ts';
import { grpcWeights, httpWeights, type Rank, type RankedRoute } from './precedence.ts';
import { requestTimeoutMs, retryPolicy } from './retry.ts';
import type { RuleContext } from './rule-context.ts';
import { sessionHash } from './session.ts';
import { BLACK_HOLE, type BackendCluster, type RequestRoute } from './view.ts';

type Rule = HttpApiRouteRule | GrpcApiRouteRule;
type Path = HttpApiRouteMatch['path'];

export function requestRules(route: RequestRoute, context: RuleContext): RankedRoute[] {
  return route.kind === 'HTTPRoute' ? httpRules(route, context) : grpcRules(route, context);
}

function httpRules(route: HttpRouteResource, context: RuleContext): RankedRoute[] {
  return (route.spec.rules ?? []).flatMap((rule, index) => {
    const matches = rule.matches.length > 0 ? rule.matches : [ANY_PATH];
    return matches.map((match, item) => {
      const rank = { weights: httpWeights(match), owner: route, rule: index, match: item };
      return ranked(rule, rank, httpMatch(match), match.path, context);
    });
  });
}

function grpcRules(route: GrpcRouteResource, context: RuleContext): RankedRoute[] {
  return (route.spec.rules ?? []).flatMap((rule, index) => {
    const matches: readonly GrpcApiRouteMatch[] = rule.matches?.length ? rule.matches : [{}];
    return matches.map((match, item) => {
      const rank = { weights: grpcWeights(match), owner: route, rule: index, match: item };
      const path: Path = { type: 'Exact', value: '' };
      return ranked(rule, rank, grpcMatch(match), path, context);
    });
  });
}

function ranked(
  rule: Rule,
  rank: Rank,
  match: RouteMatch,
  path: Path,
  context: RuleContext,
): RankedRoute {
  const at = `spec.rules[${rank.rule}]`;
  const effects = filterEffects(rule.filters, path, at, context);
  const { namespace, name } = context.route;
  const route: Route = {
    name: `${namespace}/${name}/${rule.name ?? rank.rule}`,
    match,
    action: action(rule, path, effects, at, context),
    requestHeaders: effects.requestHeaders,
    responseHeaders: effects.responseHeaders,
    filters: effects.cors === undefined ? {} : { cors: effects.cors },
    tracing: undefined,
  };
  return { route, rank };
}

const REFUSED: RouteAction = { type: 'respond', status: 500, body: new Uint8Array() };

function action(
  rule: Rule,
  path: Path,
  effects: FilterEffects,
  at: string,
  context: RuleContext,
): RouteAction {
  // All of them first: what is wrong with one is said even where another one decides.
  const shares = (rule.backendRefs ?? []).map((backend, index) =>
    share(backend, path, `${at}.backendRefs[${index}]`, context),
  );
  const { redirect } = effects;
  if (effects.refused) return REFUSED;
  if (redirect !== undefined) return { type: 'redirect', ...redirect };
  const live = shares.filter(({ weight }) => weight > 0);
  const valid = live.filter(({ cluster }) => cluster !== undefined);
  if (valid.length === 0) return REFUSED;
  const lone = live.length === 1 ? live[0] : undefined;
  const dead = lone === undefined ? impossible(live, context) : new Set<Share>();
  const session = sessionHash(
    rule.sessionPersistence,
    valid.flatMap(({ cluster }) => cluster ?? []),
    `${at}.sessionPersistence`,
    context.report,
  );
  const timing = rule as HttpApiRouteRule;
  return forwardAction(
    live.map((one) => weighted(one, dead.has(one))),
    {
      // Envoy's answer for the name of no cluster, which invalid shares have.
      clusterNotFoundStatus: 500,
      timeoutMs: requestTimeoutMs(timing),
      retry: retryPolicy(timing),
      mirrors: [...effects.mirrors, ...(lone?.effects.mirrors ?? [])],
      hash: session.length > 0 ? session : firstHash(live),
      pathRewrite: lone?.effects.pathRewrite ?? effects.pathRewrite,
      hostRewrite: effects.hostRewrite,
    },
  );
}

interface Share {
  readonly weight: number;
  readonly path: string;
  /** undefined: answered 500 */
  readonly cluster: BackendCluster | undefined;
  readonly effects: FilterEffects;
}

function share(
  backend: HttpApiBackendReference,
  match: Path,
  path: string,
  context: RuleContext,
): Share {
  const effects = filterEffects(backend.filters, match, path, context);
  const found = resolveBackend(backend, path, context);
  const { redirect, cors } = effects;
  const answers =
    redirect === undefined ? (cors === undefined ? undefined : 'CORS') : 'RequestRedirect';
  if (answers !== undefined) {
    const fix = 'set it on the rule';
    context.report.refuse(`${path}.filters`, `podwire does ${answers} for a whole rule only`, fix);
  }
  const refused = effects.refused || answers !== undefined;
  return { weight: backend.weight, path, cluster: refused ? undefined : found, effects };
}

/** Mirrors and new paths are Envoy's for a route, not for one of its clusters: they go with a lone backend only. */
function impossible(live: readonly Share[], { report }: RuleContext): Set<Share> {
  const dead = new Set<Share>();
  for (const one of live) {
    const { mirrors, pathRewrite } = one.effects;
    if (mirrors.length === 0 && pathRewrite === undefined) continue;
    const what = pathRewrite === undefined ? 'RequestMirror' : 'URLRewrite of the path';
    const message = `podwire cannot do ${what} for one of several backends`;
    report.refuse(`${one.path}.filters`, message, 'set it on the rule, or split the rule');
    dead.add(one);
  }
  return dead;
}

function weighted({ weight, cluster, effects }: Share, dead: boolean): WeightedCluster {
  const { hostRewrite } = effects;
  return {
    cluster: dead || cluster === undefined ? BLACK_HOLE : cluster.name,
    weight,
    requestHeaders: effects.requestHeaders,
    responseHeaders: effects.responseHeaders,
    hostRewrite: hostRewrite?.type === 'literal' ? hostRewrite.value : undefined,
  };
}

function firstHash(live: readonly Share[]): ForwardAction['hash'] {
  return live.find(({ cluster }) => cluster?.hash.length)?.cluster?.hash ?? [];
}
