/**
 * envoy.extensions.filters.http.jwt_authn.v3 ↔ JwtAuthentication.
 */
import type { JwtAuthentication, JwtProvider, JwtRequirement } from '../../model/http-filter.ts';
import type {
  WireJwtAuthentication,
  WireJwtAuthenticationInput,
  WireJwtProvider,
  WireJwtProviderInput,
  WireJwtRequirement,
  WireJwtRequirementInput,
  WireRouteMatch,
} from '../codec-envoy.ts';
import { JWT_PAYLOAD } from './jwt-claim.ts';
import { pathFromWire, pathToWire } from './matcher.ts';
import type { Reading } from './reading.ts';
import { dataFromWire, durationFromWire, durationToWire } from './scalars.ts';

/** Claims that hold several words; istiod and podwire split these two. */
const WORD_CLAIMS = ['scope', 'permission'];
const DEFAULT_CLOCK_SKEW_S = 60;
const DEFAULT_CACHE_MS = 600_000;

export function jwtToWire(jwt: JwtAuthentication): WireJwtAuthenticationInput {
  return {
    providers: mapValues(jwt.providers, providerToWire),
    rules: jwt.rules.map(({ path, requires }) => ({
      match: pathToWire(path),
      requires: requirementToWire(requires),
    })),
    requirement_map: mapValues(jwt.requirements, requirementToWire),
    bypass_cors_preflight: jwt.bypassCorsPreflight === true,
  };
}

export function jwtFromWire(
  wire: WireJwtAuthentication,
  path: string,
  reading: Reading,
): JwtAuthentication {
  const requirements = new Map(
    Object.entries(wire.requirement_map).map(([name, requirement]) => [
      name,
      requirementFromWire(requirement, `${path}.requirement_map["${name}"]`, reading),
    ]),
  );
  return {
    providers: new Map(
      Object.entries(wire.providers).map(([name, provider]) => [
        name,
        providerFromWire(provider, `${path}.providers["${name}"]`, reading),
      ]),
    ),
    rules: wire.rules.map(({ match, requires, requirement_name }, index) => {
      const at = `${path}.rules[${index}]`;
      if (match && !isPathOnly(match)) {
        reading.error(`${at}.match`, 'has more conditions than the path');
      }
      const named = requirement_name === undefined ? undefined : requirements.get(requirement_name);
      if (requirement_name !== undefined && named === undefined) {
        reading.error(`${at}.requirement_name`, `"${requirement_name}" is not in requirement_map`);
      }
      return {
        path: pathFromWire(match, `${at}.match`, reading),
        requires:
          named ??
          (requires
            ? requirementFromWire(requires, `${at}.requires`, reading)
            : { type: 'allow-missing-or-failed' }),
      };
    }),
    requirements,
    ...(wire.bypass_cors_preflight ? { bypassCorsPreflight: true } : {}),
  };
}

function providerToWire(provider: JwtProvider): WireJwtProviderInput {
  const { keys } = provider;
  return {
    issuer: provider.issuer,
    audiences: [...provider.audiences],
    ...(keys.type === 'inline'
      ? { local_jwks: { inline_string: keys.jwks } }
      : {
          remote_jwks: {
            http_uri: {
              uri: keys.uri,
              cluster: keys.cluster,
              timeout: durationToWire(keys.timeoutMs),
            },
            cache_duration: durationToWire(keys.cacheMs),
          },
        }),
    forward: provider.forward,
    from_headers: provider.fromHeaders.map(({ name, prefix }) => ({ name, value_prefix: prefix })),
    from_params: [...provider.fromQuery],
    from_cookies: [...provider.fromCookies],
    forward_payload_header: provider.payloadHeader,
    payload_in_metadata: JWT_PAYLOAD,
    normalize_payload_in_metadata: { space_delimited_claims: WORD_CLAIMS },
    clock_skew_seconds: Math.ceil(provider.clockSkewMs / 1000),
    claim_to_headers: provider.claimHeaders.map(({ header, claim }) => ({
      header_name: header,
      claim_name: claim,
    })),
  };
}

function providerFromWire(wire: WireJwtProvider, path: string, reading: Reading): JwtProvider {
  const { error } = reading;
  const words = wire.normalize_payload_in_metadata?.space_delimited_claims ?? [];
  if (words.some((word) => !WORD_CLAIMS.includes(word))) {
    error(`${path}.normalize_payload_in_metadata`, `only ${WORD_CLAIMS.join(' and ')} are split`);
  }
  if (wire.payload_in_metadata !== '' && wire.payload_in_metadata !== JWT_PAYLOAD) {
    error(`${path}.payload_in_metadata`, `"${wire.payload_in_metadata}" is not "${JWT_PAYLOAD}"`);
  }
  return {
    issuer: wire.issuer,
    audiences: wire.audiences,
    keys: keysFromWire(wire, path, reading),
    fromHeaders: wire.from_headers.map(({ name, value_prefix }) => ({
      name,
      prefix: value_prefix,
    })),
    fromQuery: wire.from_params,
    fromCookies: wire.from_cookies,
    forward: wire.forward,
    payloadHeader: wire.forward_payload_header,
    claimHeaders: wire.claim_to_headers.map(({ header_name, claim_name }) => ({
      header: header_name,
      claim: claim_name,
    })),
    clockSkewMs: (wire.clock_skew_seconds || DEFAULT_CLOCK_SKEW_S) * 1000,
  };
}

function keysFromWire(
  wire: WireJwtProvider,
  path: string,
  { error }: Reading,
): JwtProvider['keys'] {
  if (wire.remote_jwks) {
    const { http_uri, cache_duration } = wire.remote_jwks;
    const timeoutMs = durationFromWire(http_uri?.timeout ?? null);
    if (!http_uri?.uri || !http_uri.cluster || timeoutMs === undefined) {
      error(`${path}.remote_jwks.http_uri`, 'needs uri, cluster and timeout');
    }
    return {
      type: 'remote',
      uri: http_uri?.uri ?? '',
      cluster: http_uri?.cluster ?? '',
      timeoutMs: timeoutMs ?? 0,
      cacheMs: durationFromWire(cache_duration) ?? DEFAULT_CACHE_MS,
    };
  }
  const jwks = dataFromWire(wire.local_jwks ?? null);
  if (jwks === undefined) error(`${path}.jwks_source_specifier`, 'is missing or not inline');
  return { type: 'inline', jwks: jwks?.toString('utf8') ?? '' };
}

function requirementToWire(requirement: JwtRequirement): WireJwtRequirementInput {
  switch (requirement.type) {
    case 'provider':
      return requirement.audiences.length === 0
        ? { provider_name: requirement.provider }
        : {
            provider_and_audiences: {
              provider_name: requirement.provider,
              audiences: [...requirement.audiences],
            },
          };
    case 'any':
      return { requires_any: { requirements: requirement.of.map(requirementToWire) } };
    case 'all':
      return { requires_all: { requirements: requirement.of.map(requirementToWire) } };
    case 'allow-missing':
      return { allow_missing: {} };
    case 'allow-missing-or-failed':
      return { allow_missing_or_failed: {} };
  }
}

function requirementFromWire(
  wire: WireJwtRequirement,
  path: string,
  reading: Reading,
): JwtRequirement {
  const all = (
    list: { readonly requirements: readonly WireJwtRequirement[] } | null | undefined,
  ): JwtRequirement[] =>
    (list?.requirements ?? []).map((requirement, index) =>
      requirementFromWire(
        requirement,
        `${path}.${wire.requires_type}.requirements[${index}]`,
        reading,
      ),
    );
  switch (wire.requires_type) {
    case 'provider_name':
      return { type: 'provider', provider: wire.provider_name ?? '', audiences: [] };
    case 'provider_and_audiences': {
      const { provider_name = '', audiences = [] } = wire.provider_and_audiences ?? {};
      return { type: 'provider', provider: provider_name, audiences };
    }
    case 'requires_any':
      return { type: 'any', of: all(wire.requires_any) };
    case 'requires_all':
      return { type: 'all', of: all(wire.requires_all) };
    case 'allow_missing':
      return { type: 'allow-missing' };
    case 'allow_missing_or_failed':
      return { type: 'allow-missing-or-failed' };
    default:
      reading.error(path, 'has no kind of requirement that is known');
      return { type: 'all', of: [] };
  }
}

function isPathOnly(match: WireRouteMatch): boolean {
  return (
    match.headers.length === 0 &&
    match.query_parameters.length === 0 &&
    match.runtime_fraction === null &&
    match.grpc === null &&
    match.case_sensitive?.value !== false
  );
}

function mapValues<A, B>(map: ReadonlyMap<string, A>, of: (value: A) => B): Record<string, B> {
  return Object.fromEntries([...map].map(([key, value]) => [key, of(value)]));
}
