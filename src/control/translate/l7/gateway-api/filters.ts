/**
 * Filters of rules and backends.  What a filter asks for and cannot be done is answered 500: `refused`.
 */
import { NO_HEADER_EDITS, type HeaderEdits } from '../../../../model/matcher.ts';
import type {
  ApiCorsFilter,
  ApiRouteFilter,
  HeaderModifier,
  HttpApiRouteMatch,
} from '../../../../model/resource/gateway-api.ts';
import type {
  CorsPolicy,
  HostRewrite,
  Mirror,
  PathRewrite,
  RedirectAction,
} from '../../../../model/route.ts';
import { ALL } from '../matchers.ts';
import { resolveBackend } from './backend.ts';
import { escapeRegex } from './match.ts';
import { pathRewrite, redirectPath } from './path-rewrite.ts';
import type { RuleContext } from './rule-context.ts';

export interface FilterEffects {
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly redirect: RedirectAction | undefined;
  readonly pathRewrite: PathRewrite | undefined;
  readonly hostRewrite: HostRewrite | undefined;
  readonly mirrors: readonly Mirror[];
  readonly cors: CorsPolicy | undefined;
  readonly refused: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const SINGLE = 'remove all but one: a filter of this type counts once';

/** `match`: of the request, for what replaces its prefix; `at`: where the list stands */
export function filterEffects(
  filters: readonly ApiRouteFilter[] | undefined,
  match: HttpApiRouteMatch['path'],
  at: string,
  context: RuleContext,
): FilterEffects {
  const effects: Mutable<FilterEffects> = {
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    redirect: undefined,
    pathRewrite: undefined,
    hostRewrite: undefined,
    mirrors: [],
    cors: undefined,
    refused: false,
  };
  const seen = new Set<string>();
  for (const [index, filter] of (filters ?? []).entries()) {
    const path = `${at}.filters[${index}]`;
    if (filter.type !== 'RequestMirror' && seen.has(filter.type)) {
      context.report.refuse(path, `a second ${filter.type}`, SINGLE);
      effects.refused = true;
    } else if (!apply(filter, match, path, context, effects)) {
      effects.refused = true;
    }
    seen.add(filter.type);
  }
  return effects;
}

/** false: it cannot be carried out */
function apply(
  filter: ApiRouteFilter,
  match: HttpApiRouteMatch['path'],
  path: string,
  context: RuleContext,
  effects: Mutable<FilterEffects>,
): boolean {
  const { requestHeaderModifier, responseHeaderModifier, requestMirror, cors } = filter;
  const { requestRedirect, urlRewrite } = filter;
  if (requestHeaderModifier !== undefined) {
    const host = hostOf(requestHeaderModifier);
    effects.requestHeaders = headerEdits(requestHeaderModifier);
    effects.hostRewrite ??= host === undefined ? undefined : { type: 'literal', value: host };
  } else if (responseHeaderModifier !== undefined) {
    effects.responseHeaders = headerEdits(responseHeaderModifier);
  } else if (requestMirror !== undefined) {
    effects.mirrors = [...effects.mirrors, ...mirrors(requestMirror, path, context)];
  } else if (requestRedirect !== undefined) {
    effects.redirect = redirect(requestRedirect, match, context);
    return requestRedirect.path === undefined || effects.redirect.path !== undefined
      ? true
      : refusePrefix(path, context);
  } else if (urlRewrite !== undefined) {
    const { hostname, path: modifier } = urlRewrite;
    if (hostname !== undefined) effects.hostRewrite = { type: 'literal', value: hostname };
    effects.pathRewrite = modifier && pathRewrite(modifier, match);
    return modifier === undefined || effects.pathRewrite !== undefined
      ? true
      : refusePrefix(path, context);
  } else if (cors !== undefined) {
    effects.cors = corsPolicy(cors);
  } else {
    const { kind = filter.type, name = '' } = filter.extensionRef ?? {};
    const fix = 'remove the filter, or use another type';
    context.report.refuse(path, `podwire has no filter ${kind} ${name}`.trimEnd(), fix);
    return false;
  }
  return true;
}

function refusePrefix(path: string, { report }: RuleContext): false {
  const fix = 'match by PathPrefix, or use ReplaceFullPath';
  report.refuse(path, 'ReplacePrefixMatch where the match is no PathPrefix', fix);
  return false;
}

/** Values are formats for Envoy, and plain text in the Gateway API.  The Host header is no header there: see hostOf(). */
function headerEdits({ set = [], add = [], remove = [] }: HeaderModifier): HeaderEdits {
  const edit = (action: 'set' | 'append') => (header: { name: string; value: string }) =>
    isHost(header.name)
      ? []
      : [{ name: header.name, value: header.value.replaceAll('%', '%%'), action }];
  return {
    edits: [...set.flatMap(edit('set')), ...add.flatMap(edit('append'))],
    remove: remove.filter((name) => !isHost(name)),
  };
}

function hostOf({ set = [], add = [] }: HeaderModifier): string | undefined {
  return [...set, ...add].find(({ name }) => isHost(name))?.value;
}

function isHost(name: string): boolean {
  return name.toLowerCase() === 'host';
}

/** A mirror that leads nowhere takes nothing from the request itself. */
function mirrors(
  { backendRef, percent, fraction }: NonNullable<ApiRouteFilter['requestMirror']>,
  path: string,
  context: RuleContext,
): Mirror[] {
  const found = resolveBackend(backendRef, `${path}.requestMirror.backendRef`, context);
  const share =
    fraction === undefined
      ? (percent ?? 100) / 100
      : fraction.numerator / (fraction.denominator || 100);
  const parts = Math.min(ALL, Math.round(share * ALL));
  return found === undefined || parts <= 0 ? [] : [{ cluster: found.name, fraction: parts }];
}

function redirect(
  asked: NonNullable<ApiRouteFilter['requestRedirect']>,
  match: HttpApiRouteMatch['path'],
  context: RuleContext,
): RedirectAction {
  const { scheme, hostname, path, statusCode } = asked;
  return {
    scheme,
    host: hostname,
    port: redirectPort(asked, context),
    path: path && redirectPath(path, match),
    status: statusCode,
    stripQuery: false,
  };
}

/**
 * Not stated: that of a stated scheme, else the listener's.  The usual port of a scheme is left out of the Location, but
 * where the request's own host may carry another one it has to be said.
 */
function redirectPort(
  { scheme, hostname, port }: NonNullable<ApiRouteFilter['requestRedirect']>,
  context: RuleContext,
): number | undefined {
  const usual = (scheme ?? (context.tls ? 'https' : 'http')) === 'https' ? 443 : 80;
  const wanted = port ?? (scheme === undefined ? context.port : usual);
  const bare = hostname !== undefined || context.port === 80 || context.port === 443;
  return wanted === usual && bare ? undefined : wanted;
}

function corsPolicy(cors: ApiCorsFilter): CorsPolicy {
  return {
    allowOrigins: (cors.allowOrigins ?? []).map((origin) =>
      origin.includes('*')
        ? {
            type: 'regex',
            value: origin.split('*').map(escapeRegex).join('.*'),
            ignoreCase: false,
          }
        : { type: 'exact', value: origin, ignoreCase: false },
    ),
    allowMethods: (cors.allowMethods ?? []).join(','),
    allowHeaders: (cors.allowHeaders ?? []).join(','),
    exposeHeaders: (cors.exposeHeaders ?? []).join(','),
    maxAge: cors.maxAge === undefined ? '' : String(cors.maxAge),
    allowCredentials: cors.allowCredentials,
    forwardNotMatching: false,
  };
}
