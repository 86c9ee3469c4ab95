/**
 * What stands in front of the router where requests come in, in Istio's order: tokens, CUSTOM, DENY, ALLOW, AUDIT, then the
 * local rate limit.  The same for workloads and for gateways.
 */
import type { HttpFilter, LocalRateLimit } from '../../../../model/http-filter.ts';
import type { RequestAuthenticationResource } from '../../../../model/resource/security.ts';
import type { MeshConfig } from '../../../mesh-config.ts';
import {
  authorizationFilters,
  type AppliedPolicies,
  type AuthorizationFilters,
  type Policy,
} from './authorization-filters.ts';
import { isForGateway } from './policy-catalog.ts';
import { jwtFilter } from './request-authentication.ts';

export interface SecurityParts {
  readonly policies: AppliedPolicies;
  readonly tokens: readonly RequestAuthenticationResource[];
  readonly rateLimit?: LocalRateLimit;
  readonly mesh: MeshConfig;
}

export function securityFilters(parts: SecurityParts): AuthorizationFilters {
  const { policies, tokens, rateLimit, mesh } = parts;
  const jwt = jwtFilter(tokens);
  const authorization = authorizationFilters(policies, mesh);
  const filters: HttpFilter[] = [
    ...(jwt ? [{ type: 'jwt', jwt: jwt.jwt } as const] : []),
    ...authorization.filters,
    ...(rateLimit ? [{ type: 'local-rate-limit', limit: rateLimit } as const] : []),
  ];
  const clusters = new Map(
    [...(jwt?.clusters ?? []), ...authorization.clusters].map((found) => [found.name, found]),
  );
  return { filters, clusters: [...clusters.values()] };
}

/** Of the resources of its namespace: those attached to the gateway of that name, of either API. */
export function gatewayFilters(
  gateway: string,
  policies: readonly Policy[],
  tokens: readonly RequestAuthenticationResource[],
  mesh: MeshConfig,
): AuthorizationFilters {
  const everywhere = policies.filter(({ l7 }) => l7 !== undefined && isAttached(l7, gateway));
  return securityFilters({
    policies: { everywhere, byService: new Map() },
    tokens: tokens.filter(({ spec }) => isAttached(spec, gateway)),
    mesh,
  });
}

function isAttached(
  { targetRef, targetRefs = [] }: RequestAuthenticationResource['spec'],
  gateway: string,
): boolean {
  return isForGateway([...(targetRef ? [targetRef] : []), ...targetRefs], gateway);
}
