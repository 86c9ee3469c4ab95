/**
 * Matches of HTTPRoutes and GRPCRoutes.
 */
import type { HeaderMatcher, PathMatcher } from '../../../../model/matcher.ts';
import type {
  GrpcApiRouteMatch,
  HttpApiRouteMatch,
  NamedMatch,
} from '../../../../model/resource/gateway-api.ts';
import type { RouteMatch } from '../../../../model/route.ts';
import { ANY_REQUEST } from '../route-defaults.ts';

export const ANY_PATH: HttpApiRouteMatch = { path: { type: 'PathPrefix', value: '/' } };

export function httpMatch({ path, method, headers, queryParams }: HttpApiRouteMatch): RouteMatch {
  return {
    ...ANY_REQUEST,
    path: pathMatcher(path),
    headers: [
      ...(method === undefined ? [] : [header(':method', 'Exact', method)]),
      ...headerMatchers(headers),
    ],
    query: (queryParams ?? []).map(({ name, type, value }) => ({ name, match: text(type, value) })),
  };
}

export function grpcMatch({ method, headers }: GrpcApiRouteMatch): RouteMatch {
  return {
    ...ANY_REQUEST,
    path: methodMatcher(method),
    headers: headerMatchers(headers),
    grpcOnly: true,
  };
}

/** A trailing "/" of a prefix means nothing. */
export function trimPrefix(prefix: string): string {
  return prefix.replace(/\/+$/, '');
}

function pathMatcher({ type, value }: HttpApiRouteMatch['path']): PathMatcher {
  if (type === 'Exact') return { type: 'exact', value };
  if (type === 'RegularExpression') return { type: 'regex', value };
  const prefix = trimPrefix(value);
  return prefix === '' ? { type: 'prefix', value: '/' } : { type: 'segment-prefix', value: prefix };
}

function methodMatcher(wanted: GrpcApiRouteMatch['method']): PathMatcher {
  const { service = '', method = '', type } = wanted ?? {};
  if (service === '' && method === '') return { type: 'prefix', value: '/' };
  if (type === 'RegularExpression') {
    // In groups, since a user's "a|b" must not reach beyond its part.
    const parts = [service, method].map((part) => (part === '' ? '[^/]+' : `(?:${part})`));
    return { type: 'regex', value: `/${parts.join('/')}` };
  }
  if (service === '') return { type: 'regex', value: `/[^/]+/${escapeRegex(method)}` };
  return method === ''
    ? { type: 'prefix', value: `/${service}/` }
    : { type: 'exact', value: `/${service}/${method}` };
}

/** Of several for one header, whatever its case, the first counts. */
function headerMatchers(matches: readonly NamedMatch[] = []): HeaderMatcher[] {
  const byName = new Map<string, HeaderMatcher>();
  for (const { name, type, value } of matches) {
    const lower = name.toLowerCase();
    if (!byName.has(lower)) byName.set(lower, header(lower, type, value));
  }
  return [...byName.values()];
}

function header(name: string, type: NamedMatch['type'], value: string): HeaderMatcher {
  return { name, match: text(type, value), invert: false, treatMissingAsEmpty: false };
}

function text(type: NamedMatch['type'], value: string) {
  return { type: type === 'Exact' ? 'exact' : 'regex', value, ignoreCase: false } as const;
}

export function escapeRegex(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
