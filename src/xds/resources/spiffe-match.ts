/**
 * A match on a peer's SPIFFE id ↔ Envoy's, which compares with "spiffe://" in front; the model goes without.
 */
import type { StringMatcher } from '../../model/matcher.ts';
import type { WireStringMatcher, WireStringMatcherInput } from '../codec-envoy.ts';
import { stringFromWire, stringToWire } from './matcher.ts';
import type { Reading } from './reading.ts';

const SCHEME = 'spiffe://';
const REGEX_SCHEME = `${SCHEME}(?:`;

export function spiffeToWire(match: StringMatcher): WireStringMatcherInput {
  switch (match.type) {
    case 'exact':
    case 'prefix':
      return stringToWire({ ...match, value: SCHEME + match.value });
    case 'regex':
      return stringToWire({ ...match, value: `${REGEX_SCHEME}${match.value})` });
    case 'suffix':
    case 'contains':
      return stringToWire(match);
  }
}

export function spiffeFromWire(
  wire: WireStringMatcher,
  path: string,
  reading: Reading,
): StringMatcher[] {
  return stringFromWire(wire, path, reading).flatMap((match) => {
    const value = withoutScheme(match);
    if (value !== undefined) return [{ ...match, value }];
    reading.error(path, `"${match.value}" is no ${match.type} of SPIFFE ids`);
    return [];
  });
}

function withoutScheme({ type, value }: StringMatcher): string | undefined {
  switch (type) {
    case 'exact':
      return value.startsWith(SCHEME) ? value.slice(SCHEME.length) : undefined;
    case 'prefix':
      if (value.startsWith(SCHEME)) return value.slice(SCHEME.length);
      return SCHEME.startsWith(value) ? '' : undefined;
    case 'suffix':
    case 'contains':
      // One that reaches into the scheme says something else without it.
      return value.includes('://') || value.startsWith('//') || SCHEME.includes(value)
        ? undefined
        : value;
    case 'regex':
      return regexWithoutScheme(value);
  }
}

/** What we write ourselves, what begins with the scheme or with ".*" and has no alternatives beside it. */
function regexWithoutScheme(value: string): string | undefined {
  if (value.startsWith(REGEX_SCHEME) && value.endsWith(')')) {
    const inner = value.slice(REGEX_SCHEME.length, -1);
    if (isWhole(inner)) return inner;
  }
  if (!isWhole(value) || hasAlternatives(value)) return undefined;
  // A quantifier would be one of the scheme's last slash.
  if (value.startsWith(SCHEME)) {
    const rest = value.slice(SCHEME.length);
    return /^[?*+{]/.test(rest) ? undefined : rest;
  }
  return value.startsWith('.*') ? value : undefined;
}

/** Whether the groups and classes of `value` are its own: none is left open, none closes another's. */
function isWhole(value: string): boolean {
  const found = depths(value);
  const quoted = value.includes('\\Q');
  return !quoted && found.every(({ depth }) => depth >= 0) && (found.at(-1)?.depth ?? 0) === 0;
}

function hasAlternatives(value: string): boolean {
  return depths(value).some(({ character, depth }) => character === '|' && depth === 0);
}

/** Characters of a regular expression outside classes and escapes, with the groups that are open after each. */
function depths(value: string): { readonly character: string; readonly depth: number }[] {
  const found: { character: string; depth: number }[] = [];
  let depth = 0;
  let inClass = false;
  for (let i = 0; i < value.length; i++) {
    const character = value.charAt(i);
    if (character === '\\') i++;
    else if (inClass) inClass = character !== ']';
    else {
      if (character === '[') {
        inClass = true;
        // A bracket right behind the opening one is a member.
        if (value.charAt(i + 1) === '^') i++;
        if (value.charAt(i + 1) === ']') i++;
      } else if (character === '(') depth++;
      else if (character === ')') depth--;
      found.push({ character, depth });
    }
  }
  if (inClass) found.push({ character: '', depth: -1 });
  return found;
}
