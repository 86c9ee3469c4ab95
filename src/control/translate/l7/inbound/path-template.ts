/**
 * Paths of an AuthorizationPolicy: exact, "*suffix", "prefix*", "*", or with `{*}` (one segment) and `{**}` (any number).
 */
import type { PathTemplate } from '../../../../model/http-filter.ts';
import type { StringMatcher } from '../../../../model/matcher.ts';
import { textMatcher } from './text-pattern.ts';

/** Envoy counts operators, and takes these characters only in what is to be compared. */
const MAX_OPERATORS = 5;
const LITERAL = /^[a-zA-Z0-9-._~%!$&'()+,;:@=]+$/;

/** undefined: neither Istio nor Envoy has a meaning for it */
export function pathMatcher(path: string): StringMatcher | PathTemplate | undefined {
  if (!path.includes('{*}') && !path.includes('{**}')) return textMatcher(path);
  const segments = path.split('/');
  const [first, ...rest] = segments;
  if (first !== '' || !rest.every(isSegment)) return undefined;
  const operators = rest.filter((part) => part.startsWith('{'));
  const many = operators.indexOf('{**}');
  if (operators.length > MAX_OPERATORS) return undefined;
  // What "{**}" takes must be settled by what stands behind it.
  if (many >= 0 && many < operators.length - 1) return undefined;
  return { type: 'template', value: path.replaceAll(/\{(\*\*?)\}/g, '$1') };
}

function isSegment(text: string): boolean {
  return text === '{*}' || text === '{**}' || LITERAL.test(text);
}
