/**
 * Envoy's RBAC filters, by the letter of the model: what a chain of filters answers to a request.
 */
import assert from 'node:assert/strict';
import type {
  HttpFilter,
  Permission,
  Principal,
  Rbac,
  RbacRules,
} from '../../../../src/model/http-filter.ts';
import { parseIp, prefixContains, type Prefix } from '../../../../src/model/ip.ts';
import type { HeaderMatcher, StringMatcher } from '../../../../src/model/matcher.ts';
import type { TestRequest } from './request.ts';

export interface Answer {
  readonly allowed: boolean;
  /** names of the filters that send the request to their service */
  readonly asked: readonly string[];
  readonly logged: boolean;
}

export function answer(filters: readonly HttpFilter[], request: TestRequest): Answer {
  const asked: string[] = [];
  let logged = false;
  for (const filter of filters) {
    if (filter.type === 'ext-authz') {
      const { when } = filter.extAuthz;
      if (when === undefined || matchesRules(when, request)) asked.push(filter.name);
    } else if (filter.type === 'rbac') {
      const { rules } = filter.rbac;
      if (rules?.action === 'LOG') logged = matchesRules(rules, request);
      else if (!passes(filter.rbac, request)) return { allowed: false, asked, logged };
    }
  }
  return { allowed: true, asked, logged };
}

function passes({ rules }: Rbac, request: TestRequest): boolean {
  return rules === undefined || matchesRules(rules, request) === (rules.action === 'ALLOW');
}

function matchesRules({ policies }: RbacRules, request: TestRequest): boolean {
  return [...policies.values()].some(
    ({ permissions, principals }) =>
      permissions.some((permission) => permits(permission, request)) &&
      principals.some((principal) => isPrincipal(principal, request)),
  );
}

function permits(permission: Permission, request: TestRequest): boolean {
  switch (permission.type) {
    case 'any':
      return true;
    case 'and':
      return permission.of.every((part) => permits(part, request));
    case 'or':
      return permission.of.some((part) => permits(part, request));
    case 'not':
      return !permits(permission.of, request);
    case 'header':
      return hasHeader(permission.header, request);
    case 'path': {
      const { path } = permission;
      const [bare = ''] = request.path.split('?');
      if (path.type !== 'template') return matchesText(path, bare);
      const pattern = path.value
        .split('/')
        .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]+' : escapeRegex(part)))
        .join('/');
      return new RegExp(`^${pattern}$`).test(bare);
    }
    case 'destination-ip':
      return holds(permission.prefix, request.destinationIp);
    case 'destination-port':
      return permission.port === request.port;
    case 'sni':
      return matchesText(permission.name, request.sni);
  }
}

function isPrincipal(principal: Principal, request: TestRequest): boolean {
  switch (principal.type) {
    case 'any':
      return true;
    case 'and':
      return principal.of.every((part) => isPrincipal(part, request));
    case 'or':
      return principal.of.some((part) => isPrincipal(part, request));
    case 'not':
      return !isPrincipal(principal.of, request);
    case 'authenticated':
      if (request.principal === undefined) return false;
      return principal.name === undefined || matchesText(principal.name, request.principal);
    case 'direct-ip':
      return holds(principal.prefix, request.ip);
    case 'remote-ip':
      return holds(principal.prefix, request.remoteIp);
    case 'header':
      return hasHeader(principal.header, request);
    case 'claim': {
      const { path, match } = principal;
      let value: unknown = request.claims;
      for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key];
      if (match.type === 'present') return value !== undefined;
      const texts = Array.isArray(value) ? value : [value];
      return texts.some((text) => typeof text === 'string' && matchesText(match, text));
    }
  }
}

function hasHeader(matcher: HeaderMatcher, request: TestRequest): boolean {
  const { name, match, invert } = matcher;
  assert.equal(invert, false);
  const pseudo: Record<string, string> = { ':method': request.method, ':authority': request.host };
  const value = pseudo[name] ?? request.headers[name];
  if (value === undefined) return false;
  if (match.type === 'present') return true;
  assert.ok(match.type !== 'range');
  return matchesText(match, value);
}

function matchesText({ type, value, ignoreCase }: StringMatcher, text: string): boolean {
  const [a, b] = ignoreCase ? [text.toLowerCase(), value.toLowerCase()] : [text, value];
  switch (type) {
    case 'exact':
      return a === b;
    case 'prefix':
      return a.startsWith(b);
    case 'suffix':
      return a.endsWith(b);
    case 'contains':
      return a.includes(b);
    case 'regex':
      return new RegExp(`^(?:${value})$`).test(text);
  }
}

function holds(prefix: Prefix, address: string): boolean {
  return prefixContains(prefix, { address: parseIp(address)!, length: 32 });
}

const escapeRegex = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
