/**
 * What stands in front of the router where requests come in, in Istio's order: tokens, CUSTOM, DENY, ALLOW, AUDIT, then the
 * local rate limit.  The same for workloads and for gateways.
 */
import type { HttpFilter, LocalRateLimit } from '../../../../model/http-filter.ts';
import type { RequestAuthenticationResource } from '../../../../model/resource/security.ts';
import type { MeshConfig } from '../../../mesh-config.ts';
import {
  actionOf,
  authorizationFilters,
  type AppliedPolicies,
  type AuthorizationFilters,
  type Policy,
} from './authorization-filters.ts';
import { resourceKey, targetOf } from './policy-catalog.ts';
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

/** Pods of a gateway that policies cannot tell apart. */
export interface GatewayPodGroup {
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
}

export interface GatewaySecurity {
  readonly gateway: { readonly namespace: string; readonly name: string };
  /** those that serve it; at least one */
  readonly groups: readonly GatewayPodGroup[];
  /** of all namespaces concerned, in Istio's order */
  readonly policies: readonly Policy[];
  readonly tokens: readonly RequestAuthenticationResource[];
  readonly rootNamespace: string;
  readonly mesh: MeshConfig;
}

/**
 * What is attached to the gateway, selects its pods, or is for their namespace or the mesh.
 *
 * All pods of a gateway share its listener.  Where policies select some of them only, a request has to pass what holds for
 * each: what one pod allows must not open another.
 */
export function gatewayFilters(security: GatewaySecurity): AuthorizationFilters {
  const { groups, policies, tokens, mesh } = security;
  const sets = new Map<string, readonly Policy[]>();
  for (const group of groups) {
    const applied = policies.filter((policy) => isFor(policy, group, security));
    sets.set(JSON.stringify(applied.map(resourceKey)), applied);
  }
  const [only = []] = sets.values();
  return securityFilters({
    policies:
      sets.size > 1
        ? { everywhere: [], byService: sets }
        : { everywhere: only, byService: new Map() },
    tokens: tokens.filter((token) => groups.some((group) => isFor(token, group, security))),
    mesh,
  });
}

/** Whether something decides who may come in at all, for the listeners that have no place for filters. */
export function isGuarded(security: GatewaySecurity): boolean {
  const { groups, policies } = security;
  return policies.some(
    (policy) =>
      actionOf(policy) !== 'AUDIT' &&
      !policy.policy.dryRun &&
      groups.some((group) => isFor(policy, group, security)),
  );
}

function isFor(
  resource: Policy | RequestAuthenticationResource,
  { namespace, labels: own }: GatewayPodGroup,
  { gateway, rootNamespace }: GatewaySecurity,
): boolean {
  const { labels = new Map<string, string>(), services, gateways } = targetOf(resource);
  if (services !== undefined) {
    return resource.namespace === gateway.namespace && gateways.includes(gateway.name);
  }
  const isNear = resource.namespace === namespace || resource.namespace === rootNamespace;
  return isNear && [...labels].every(([name, value]) => own.get(name) === value);
}
