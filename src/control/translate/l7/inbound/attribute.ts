/**
 * What an AuthorizationPolicy can ask about, and the condition a value of it becomes.
 */
import type { HeaderMatcher } from '../../../../model/matcher.ts';
import { parsePrefix } from '../../../../model/ip.ts';
import type { Expression, PermissionLeaf, PrincipalLeaf } from './expression.ts';
import { pathMatcher } from './path-template.ts';
import { requestPrincipal } from './request-principal.ts';
import {
  accountMatcher,
  identityPattern,
  namespaceMatcher,
  textMatcher,
  trustDomainMatcher,
} from './text-pattern.ts';

export interface Attribute<Leaf> {
  /** known per request only */
  readonly http: boolean;
  /** undefined: the value has no meaning here; `namespace` is the policy's */
  readonly make: (value: string, namespace: string) => Expression<Leaf> | undefined;
}

type PrincipalAttribute = Attribute<PrincipalLeaf>;
type PermissionAttribute = Attribute<PermissionLeaf>;

const principal: PrincipalAttribute = {
  http: false,
  make: (value) => {
    if (value === '*') return { type: 'authenticated', name: undefined };
    const name = identityPattern(value);
    return name && { type: 'authenticated', name };
  },
};
const namespace: PrincipalAttribute = {
  http: false,
  make: (value) => {
    const name = namespaceMatcher(value);
    return name && { type: 'authenticated', name };
  },
};
const account: PrincipalAttribute = {
  http: false,
  make: (value, ownNamespace) => {
    const name = accountMatcher(value, ownNamespace);
    return name && { type: 'authenticated', name };
  },
};
const trustDomain: PrincipalAttribute = {
  http: false,
  make: (value) => {
    const name = trustDomainMatcher(value);
    return name && { type: 'authenticated', name };
  },
};
const directIp: PrincipalAttribute = { http: false, make: (value) => block('direct-ip', value) };
const remoteIp: PrincipalAttribute = { http: true, make: (value) => block('remote-ip', value) };
const tokenPrincipal: PrincipalAttribute = { http: true, make: requestPrincipal };

/** Fields of `source`, with not* beside each. */
export const SOURCE_ATTRIBUTES = {
  principals: principal,
  requestPrincipals: tokenPrincipal,
  namespaces: namespace,
  serviceAccounts: account,
  ipBlocks: directIp,
  remoteIpBlocks: remoteIp,
  trustDomains: trustDomain,
} as const;

const port: PermissionAttribute = {
  http: false,
  make: (value) => {
    const number = /^[0-9]{1,5}$/.test(value) ? Number(value) : 0;
    return number >= 1 && number <= 65_535 ? { type: 'destination-port', port: number } : undefined;
  },
};

/** Fields of `operation`, with not* beside each. */
export const OPERATION_ATTRIBUTES = {
  hosts: { http: true, make: (value) => header(':authority', value, true) },
  ports: port,
  methods: { http: true, make: (value) => header(':method', value) },
  paths: {
    http: true,
    make: (value) => {
      const path = pathMatcher(value);
      return path && { type: 'path', path };
    },
  },
} as const satisfies Record<string, PermissionAttribute>;

const PRINCIPAL_KEYS: Readonly<Record<string, PrincipalAttribute>> = {
  'source.ip': directIp,
  'remote.ip': remoteIp,
  'source.namespace': namespace,
  'source.principal': principal,
  'source.serviceAccount': account,
  'source.trustDomain': trustDomain,
  'request.auth.principal': tokenPrincipal,
  'request.auth.audiences': claim(['aud']),
  'request.auth.presenter': claim(['azp']),
};
const PERMISSION_KEYS: Readonly<Record<string, PermissionAttribute>> = {
  'destination.ip': {
    http: false,
    make: (value) => {
      const prefix = parsePrefix(value);
      return prefix && { type: 'destination-ip', prefix };
    },
  },
  'destination.port': port,
  'connection.sni': {
    http: false,
    make: (value) => {
      const name = textMatcher(value);
      return name && { type: 'sni', name };
    },
  },
};

/** What a key of `when` asks about, on whichever side of RBAC that stands; undefined: no known key. */
export function conditionAttribute(
  key: string,
):
  | { readonly side: 'principal'; readonly attribute: PrincipalAttribute }
  | { readonly side: 'permission'; readonly attribute: PermissionAttribute }
  | undefined {
  const permission = Object.hasOwn(PERMISSION_KEYS, key) ? PERMISSION_KEYS[key] : undefined;
  if (permission) return { side: 'permission', attribute: permission };
  const known = Object.hasOwn(PRINCIPAL_KEYS, key) ? PRINCIPAL_KEYS[key] : bracketed(key);
  return known && { side: 'principal', attribute: known };
}

function bracketed(key: string): PrincipalAttribute | undefined {
  const [, name] = /^request\.headers\[([^[\]]+)\]$/.exec(key) ?? [];
  if (name !== undefined) return { http: true, make: (value) => header(name, value) };
  const [, claims] = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/.exec(key) ?? [];
  return claims === undefined ? undefined : claim(claims.slice(1, -1).split(']['));
}

/** A claim is a text or a list of texts; any of them counts. */
function claim(path: readonly string[]): PrincipalAttribute {
  return {
    http: true,
    make: (value) => {
      const match = textMatcher(value);
      return match && { type: 'claim', path, match };
    },
  };
}

function header(
  name: string,
  value: string,
  ignoreCase = false,
): { readonly type: 'header'; readonly header: HeaderMatcher } | undefined {
  const match = value === '*' ? ({ type: 'present' } as const) : textMatcher(value, ignoreCase);
  if (match === undefined) return undefined;
  const common = { invert: false, treatMissingAsEmpty: false };
  return { type: 'header', header: { name: name.toLowerCase(), match, ...common } };
}

function block<T extends 'direct-ip' | 'remote-ip'>(type: T, value: string) {
  const prefix = parsePrefix(value);
  return prefix && { type, prefix };
}
