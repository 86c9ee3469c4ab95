/**
 * Conditions and numbers of Istio's resources in the shape of the model.
 */
import type {
  HeaderEdit,
  HeaderEdits,
  HeaderMatcher,
  Millionths,
  PathMatcher,
  QueryMatcher,
  StringMatcher,
} from '../../../model/matcher.ts';
import type { Percent, StringMatchSpec } from '../../../model/resource/spec.ts';
import type { HeaderOperations } from '../../../model/resource/virtual-service.ts';
import { parseDuration } from '../../validate/duration.ts';

export const ALL: Millionths = 1_000_000;

/** undefined: nothing is asked but that it is there */
export function stringMatcher(
  match: StringMatchSpec,
  ignoreCase = false,
): StringMatcher | undefined {
  if (match.exact !== undefined) return { type: 'exact', value: match.exact, ignoreCase };
  if (match.prefix !== undefined) return { type: 'prefix', value: match.prefix, ignoreCase };
  // Case is the expression's own business: (?i).
  if (match.regex !== undefined) return { type: 'regex', value: match.regex, ignoreCase: false };
  return undefined;
}

/** exact text, or "*" at the start, the end or alone, as security resources have it; "*" alone: undefined */
export function wildcardMatcher(text: string, ignoreCase = false): StringMatcher | undefined {
  if (text === '*') return undefined;
  if (text.startsWith('*')) return { type: 'suffix', value: text.slice(1), ignoreCase };
  if (text.endsWith('*')) return { type: 'prefix', value: text.slice(0, -1), ignoreCase };
  return { type: 'exact', value: text, ignoreCase };
}

export function headerMatcher(name: string, match: StringMatchSpec): HeaderMatcher {
  return {
    name: name.toLowerCase(),
    match: stringMatcher(match) ?? { type: 'present' },
    invert: false,
    treatMissingAsEmpty: false,
  };
}

/** An absent header counts as one that does not match. */
export function withoutHeader(name: string, match: StringMatchSpec): HeaderMatcher {
  const header = headerMatcher(name, match);
  return { ...header, invert: true, treatMissingAsEmpty: header.match.type !== 'present' };
}

export function queryMatcher(name: string, match: StringMatchSpec): QueryMatcher {
  // "exact: ''" means that it is there, whatever it says.
  const matcher = match.exact === '' ? undefined : stringMatcher(match);
  return { name, match: matcher ?? { type: 'present' } };
}

export function pathMatcher(match: StringMatchSpec | undefined): PathMatcher {
  const matcher = match && stringMatcher(match);
  if (matcher === undefined) return { type: 'prefix', value: '/' };
  return { type: matcher.type as 'exact' | 'prefix' | 'regex', value: matcher.value };
}

/** of a percentage; absent: `otherwise` */
export function fraction(percent: Percent | undefined, otherwise: Millionths): Millionths {
  if (percent === undefined) return otherwise;
  return Math.round((percent.value ?? 0) * 10_000);
}

export function milliseconds(duration: string | undefined | null): number | undefined {
  return duration === undefined || duration === null ? undefined : parseDuration(duration);
}

/** Without the Host header, which no edit may change: see hostEdit(). */
export function headerEdits(operations: HeaderOperations | undefined): HeaderEdits {
  const edits: HeaderEdit[] = [];
  for (const [name, value] of Object.entries(operations?.set ?? {})) {
    if (!isHost(name)) edits.push({ name, value, action: 'set' });
  }
  for (const [name, value] of Object.entries(operations?.add ?? {})) {
    if (!isHost(name)) edits.push({ name, value, action: 'append' });
  }
  return { edits, remove: operations?.remove ?? [] };
}

/** What a request is to be addressed to, where headers.request.set or add names Host. */
export function hostEdit(operations: HeaderOperations | undefined): string | undefined {
  for (const edits of [operations?.set, operations?.add]) {
    for (const [name, value] of Object.entries(edits ?? {})) if (isHost(name)) return value;
  }
  return undefined;
}

function isHost(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'host' || lower === ':authority';
}
