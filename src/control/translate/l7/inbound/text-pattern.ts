/**
 * Texts of an AuthorizationPolicy → matchers: exact, "*suffix", "prefix*" or "*"; and the parts of an identity.
 *
 * Identities are "<trust domain>/ns/<namespace>/sa/<account>" without the scheme, as the model compares them.  A "*" stands
 * for a part of one segment there, so that no account name can look like another namespace.
 */
import type { StringMatcher } from '../../../../model/matcher.ts';
import { wildcardMatcher } from '../matchers.ts';

/** what "*" says of a text that is there: that it is not empty */
export const NOT_EMPTY: StringMatcher = { type: 'regex', value: '.+', ignoreCase: false };

const SEGMENT = '[^/]+';

/** undefined: a "*" in the middle, which Istio has no meaning for */
export function textMatcher(text: string, ignoreCase = false): StringMatcher | undefined {
  if (text === '*') return NOT_EMPTY;
  const inner = text.replace(/^\*/, '').replace(text.startsWith('*') ? '' : /\*$/, '');
  return inner.includes('*') ? undefined : wildcardMatcher(text, ignoreCase);
}

/** of a whole identity; "*": any, which the model says with `name: undefined` */
export function identityPattern(text: string): StringMatcher | undefined {
  const match = textMatcher(text);
  // As a regex it can be told apart from the scheme on the wire.
  return match?.type === 'suffix'
    ? { ...match, type: 'regex', value: `.*${escape(match.value)}` }
    : match;
}

export function namespaceMatcher(pattern: string): StringMatcher | undefined {
  return identityMatcher(SEGMENT, segment(pattern), SEGMENT);
}

/** "account" of `namespace`, or "namespace/account" */
export function accountMatcher(text: string, namespace: string): StringMatcher | undefined {
  const slash = text.indexOf('/');
  const parts = slash < 0 ? [namespace, text] : [text.slice(0, slash), text.slice(slash + 1)];
  const [owner = '', account = ''] = parts;
  const isPlain = [owner, account].every((part) => part !== '' && !/[*/]/.test(part));
  return isPlain ? identityMatcher(SEGMENT, escape(owner), escape(account)) : undefined;
}

export function trustDomainMatcher(pattern: string): StringMatcher | undefined {
  return identityMatcher(segment(pattern), SEGMENT, SEGMENT);
}

function identityMatcher(
  trustDomain: string | undefined,
  namespace: string | undefined,
  account: string,
): StringMatcher | undefined {
  if (trustDomain === undefined || namespace === undefined) return undefined;
  return {
    type: 'regex',
    value: `${trustDomain}/ns/${namespace}/sa/${account}`,
    ignoreCase: false,
  };
}

function segment(pattern: string): string | undefined {
  if (pattern === '*') return SEGMENT;
  const match = textMatcher(pattern);
  switch (match?.type) {
    case 'exact':
      return escape(match.value);
    case 'prefix':
      return `${escape(match.value)}[^/]*`;
    case 'suffix':
      return `[^/]*${escape(match.value)}`;
    default:
      return undefined;
  }
}

/** RE2's syntax */
function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}
