/**
 * RequestAuthentication → Envoy's jwt_authn: a token that is there must be good, and none is needed.
 *
 * With several rules a token that one of them accepts is enough; where none accepts, each rule must find nothing that it
 * would look at.  A rule whose keys nobody can get accepts no token of its issuer.
 */
import type {
  JwtAuthentication,
  JwtProvider,
  JwtRequirement,
} from '../../../../model/http-filter.ts';
import type { RequestAuthenticationResource } from '../../../../model/resource/security.ts';
import type { JwtRule } from '../../../../model/resource/security.ts';
import { parseDuration } from '../../../validate/duration.ts';
import { describe, type Problem } from '../../../validate/fields.ts';
import { pageCluster, type ExtensionCluster } from './extension-cluster.ts';

export interface RequestAuthenticationFilter {
  readonly jwt: JwtAuthentication;
  readonly clusters: readonly ExtensionCluster[];
}

/** Istio's */
const TIMEOUT_MS = 5000;
const CACHE_MS = 20 * 60_000;
const CLOCK_SKEW_MS = 60_000;
/** A key whose other half was never written down: Envoy takes no empty set. */
const NO_KEYS = JSON.stringify({
  keys: [
    {
      kty: 'EC',
      crv: 'P-256',
      x: 'Ut0EdBhpPJnPQQ3r2TxZ66bFnEkcRsEIu3YWiqAaWV4',
      y: 'Sr46XP1251J66M72kY5n5vpuQo-yY20Q9mXmAvg2a_8',
    },
  ],
});
const KEY_TYPES: readonly unknown[] = ['RSA', 'EC', 'OKP', 'oct'];

/** undefined: no rules */
export function jwtFilter(
  resources: readonly RequestAuthenticationResource[],
): RequestAuthenticationFilter | undefined {
  const rules = resources.flatMap(({ spec }) => spec.jwtRules ?? []);
  if (rules.length === 0) return undefined;
  const clusters = new Map<string, ExtensionCluster>();
  const providers = new Map<string, JwtProvider>();
  rules.forEach((rule, index) => {
    const { keys, cluster } = keysOf(rule);
    if (cluster !== undefined) clusters.set(cluster.name, cluster);
    providers.set(`origins-${index}`, providerOf(rule, keys));
  });
  const requires = requirement([...providers.keys()]);
  return {
    jwt: {
      providers,
      rules: [{ path: { type: 'prefix', value: '/' }, requires }],
      requirements: new Map(),
      bypassCorsPreflight: true,
    },
    clusters: [...clusters.values()],
  };
}

export function jwtProblems({ spec }: RequestAuthenticationResource): Problem[] {
  return (spec.jwtRules ?? []).flatMap((rule, index): Problem[] => {
    const path = `spec.jwtRules[${index}]`;
    if (rule.jwks) {
      if (hasKeys(rule.jwks)) return [];
      const message = 'holds no key; every token of this issuer is refused';
      return [{ code: 'FIELD_INVALID', path: `${path}.jwks`, message, fix: 'use {"keys":[…]}' }];
    }
    const uri = uriOf(rule);
    if (uri !== undefined && pageCluster(uri) !== undefined) return [];
    const message =
      uri === undefined
        ? `no keys are named, and asking ${describe(rule.issuer)} for them is not supported`
        : `${describe(uri)} is no address of a web page`;
    return [
      {
        code: 'NOT_SUPPORTED',
        path: uri === undefined ? path : `${path}.jwksUri`,
        message: `${message}; every token of this issuer is refused`,
        fix: 'set jwks or jwksUri',
      },
    ];
  });
}

function requirement(names: readonly string[]): JwtRequirement {
  const provider = (name: string): JwtRequirement => ({
    type: 'provider',
    provider: name,
    audiences: [],
  });
  const optional = (name: string): JwtRequirement => ({
    type: 'any',
    of: [provider(name), { type: 'allow-missing' }],
  });
  const [only] = names;
  if (names.length === 1) return optional(only!);
  return { type: 'any', of: [...names.map(provider), { type: 'all', of: names.map(optional) }] };
}

function providerOf(rule: JwtRule, keys: JwtProvider['keys']): JwtProvider {
  return {
    issuer: rule.issuer,
    audiences: rule.audiences ?? [],
    keys,
    fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix = '' }) => ({ name, prefix })),
    fromQuery: rule.fromParams ?? [],
    fromCookies: rule.fromCookies ?? [],
    forward: rule.forwardOriginalToken === true,
    payloadHeader: rule.outputPayloadToHeader ?? '',
    claimHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({ header, claim })),
    clockSkewMs: CLOCK_SKEW_MS,
  };
}

function keysOf(rule: JwtRule): {
  readonly keys: JwtProvider['keys'];
  readonly cluster: ExtensionCluster | undefined;
} {
  if (rule.jwks) {
    const jwks = hasKeys(rule.jwks) ? rule.jwks : NO_KEYS;
    return { keys: { type: 'inline', jwks }, cluster: undefined };
  }
  const uri = uriOf(rule) ?? '';
  const cluster = pageCluster(uri);
  if (cluster === undefined) return { keys: { type: 'inline', jwks: NO_KEYS }, cluster };
  const timeoutMs = parseDuration(rule.timeout ?? '') || TIMEOUT_MS;
  return {
    keys: { type: 'remote', uri, cluster: cluster.name, timeoutMs, cacheMs: CACHE_MS },
    cluster,
  };
}

function uriOf({ jwksUri, jwks_uri }: JwtRule): string | undefined {
  return jwksUri || jwks_uri || undefined;
}

/** Whether they verify anything is seen where they are used. */
function hasKeys(text: string): boolean {
  try {
    const { keys } = (JSON.parse(text) ?? {}) as { readonly keys?: unknown };
    const list: readonly unknown[] = Array.isArray(keys) ? keys : [];
    return list.some((key) => KEY_TYPES.includes((key as { readonly kty?: unknown } | null)?.kty));
  } catch {
    return false;
  }
}
