/**
 * Filters of Gateway API routes.
 */
import { NO_HEADER_EDITS, type HeaderEdits } from '../../../model/matcher.ts';
import type { HostRewrite, PathRewrite, RedirectAction } from '../../../model/route.ts';
import type {
  ApiRouteFilter,
  HeaderModifier,
  PathModifier,
} from '../../../model/resource/gateway-api.ts';

export interface FilterEffects {
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly redirect: RedirectAction | undefined;
  readonly pathRewrite: PathRewrite | undefined;
  readonly hostRewrite: HostRewrite | undefined;
  readonly mirrors: readonly NonNullable<ApiRouteFilter['requestMirror']>[];
  /** a filter nobody here knows: requests are to be refused */
  readonly unknown: boolean;
}

export interface FilterContext {
  /** of the match, for rewrites of it; undefined: no prefix */
  readonly prefix: string | undefined;
  readonly port: number;
}

export function filterEffects(
  filters: readonly ApiRouteFilter[] | undefined,
  context: FilterContext,
): FilterEffects {
  const find = <T extends ApiRouteFilter['type']>(type: T): ApiRouteFilter | undefined =>
    filters?.find((filter) => filter.type === type);
  const rewrite = find('URLRewrite')?.urlRewrite;
  const redirect = find('RequestRedirect')?.requestRedirect;
  return {
    requestHeaders: headerModifier(find('RequestHeaderModifier')?.requestHeaderModifier),
    responseHeaders: headerModifier(find('ResponseHeaderModifier')?.responseHeaderModifier),
    redirect: redirect && redirectOf(redirect, context),
    pathRewrite: rewrite?.path && rewriteOf(rewrite.path, context.prefix),
    hostRewrite:
      rewrite?.hostname === undefined ? undefined : { type: 'literal', value: rewrite.hostname },
    mirrors: (filters ?? []).flatMap(({ requestMirror }) => requestMirror ?? []),
    unknown: (filters ?? []).some((filter) => !KNOWN.has(filter.type)),
  };
}

const KNOWN: ReadonlySet<string> = new Set<ApiRouteFilter['type']>([
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'RequestMirror',
  'RequestRedirect',
  'URLRewrite',
]);

function headerModifier(modifier: HeaderModifier | undefined): HeaderEdits {
  if (modifier === undefined) return NO_HEADER_EDITS;
  const { set = [], add = [], remove = [] } = modifier;
  return {
    edits: [
      ...set.map(({ name, value }) => ({ name, value, action: 'set' as const })),
      ...add.map(({ name, value }) => ({ name, value, action: 'append' as const })),
    ],
    remove,
  };
}

/** A port that is not stated is that of the scheme, if that is stated, or else the listener's. */
function redirectOf(
  redirect: NonNullable<ApiRouteFilter['requestRedirect']>,
  context: FilterContext,
): RedirectAction {
  const { scheme, hostname, path, statusCode } = redirect;
  const derived = scheme === 'https' ? 443 : scheme === 'http' ? 80 : context.port;
  return {
    scheme,
    host: hostname,
    port: redirect.port ?? derived,
    path: path && redirectPath(path, context.prefix),
    status: statusCode,
    stripQuery: false,
  };
}

function redirectPath(path: PathModifier, prefix: string | undefined): RedirectAction['path'] {
  if (path.type === 'ReplaceFullPath') return { type: 'whole', value: path.replaceFullPath };
  const rewrite = rewriteOf(path, prefix);
  return rewrite.type === 'regex' ? rewrite : { type: 'prefix', value: rewrite.value };
}

function rewriteOf(path: PathModifier, prefix: string | undefined): PathRewrite {
  if (path.type === 'ReplaceFullPath') {
    return { type: 'regex', pattern: '.*', substitution: escapeSubstitution(path.replaceFullPath) };
  }
  const value = path.replacePrefixMatch.replace(/\/+$/, '');
  if (value !== '' || prefix === undefined || prefix === '/') {
    return { type: 'prefix', value: value === '' ? '/' : value };
  }
  // "/a" → "/" must make "/b" of "/a/b", and "/" of "/a".
  return { type: 'regex', pattern: `^${escapeRegex(prefix)}(/?)(.*)`, substitution: '/\\2' };
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function escapeSubstitution(text: string): string {
  return text.replaceAll('\\', '\\\\');
}
