/**
 * ReplaceFullPath and ReplacePrefixMatch, for rewrites and redirects.
 */
import type { HttpApiRouteMatch, PathModifier } from '../../../../model/resource/gateway-api.ts';
import type { PathRewrite, RedirectAction } from '../../../../model/route.ts';
import { escapeRegex, trimPrefix } from './match.ts';

/** undefined: the match has no prefix that could be replaced */
export function pathRewrite(
  path: PathModifier,
  match: HttpApiRouteMatch['path'],
): PathRewrite | undefined {
  if (path.type === 'ReplaceFullPath') {
    const substitution = path.replaceFullPath.replaceAll('\\', '\\\\');
    return { type: 'regex', pattern: '^/.*$', substitution };
  }
  if (match.type !== 'PathPrefix') return undefined;
  const prefix = trimPrefix(match.value);
  const value = trimPrefix(path.replacePrefixMatch);
  // What is matched is "/": a plain replacement would glue "/x" to what follows.
  if (prefix === '') return { type: 'prefix', value: `${value}/` };
  if (value !== '') return { type: 'prefix', value };
  // "/a" → "/" makes "/b" of "/a/b" and "/" of "/a".
  return { type: 'regex', pattern: `^${escapeRegex(prefix)}(/?)(.*)`, substitution: '/\\2' };
}

export function redirectPath(
  path: PathModifier,
  match: HttpApiRouteMatch['path'],
): RedirectAction['path'] {
  if (path.type === 'ReplaceFullPath') return { type: 'whole', value: path.replaceFullPath };
  return pathRewrite(path, match);
}
