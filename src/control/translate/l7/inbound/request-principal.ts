/**
 * "<issuer>/<subject>" of a verified token, as Istio splits it: at the last "/", since issuers are mostly URLs.
 */
import type { StringMatcher } from '../../../../model/matcher.ts';
import { allOf, type Expression, type PrincipalLeaf } from './expression.ts';
import { NOT_EMPTY } from './text-pattern.ts';

export function requestPrincipal(text: string): Expression<PrincipalLeaf> {
  const { issuer, subject } = split(text);
  return allOf<PrincipalLeaf>([
    { type: 'claim', path: ['iss'], match: issuer },
    { type: 'claim', path: ['sub'], match: subject },
  ]);
}

function split(text: string): { readonly issuer: StringMatcher; readonly subject: StringMatcher } {
  const slash = text.lastIndexOf('/');
  const issuer = slash < 0 ? text : text.slice(0, slash);
  const subject = slash < 0 ? '' : text.slice(slash + 1);
  if (text === '*') return { issuer: NOT_EMPTY, subject: NOT_EMPTY };
  if (text.startsWith('*')) {
    return slash < 0
      ? { issuer: NOT_EMPTY, subject: matcher('suffix', text.slice(1)) }
      : { issuer: suffix(issuer.slice(1)), subject: matcher('exact', subject) };
  }
  if (text.endsWith('*')) {
    return slash < 0
      ? { issuer: matcher('prefix', text.slice(0, -1)), subject: NOT_EMPTY }
      : { issuer: matcher('exact', issuer), subject: prefix(subject.slice(0, -1)) };
  }
  return { issuer: matcher('exact', issuer), subject: matcher('exact', subject) };
}

const suffix = (value: string) => (value === '' ? NOT_EMPTY : matcher('suffix', value));
const prefix = (value: string) => (value === '' ? NOT_EMPTY : matcher('prefix', value));

function matcher(type: StringMatcher['type'], value: string): StringMatcher {
  return { type, value, ignoreCase: false };
}
