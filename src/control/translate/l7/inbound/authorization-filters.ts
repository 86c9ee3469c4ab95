/**
 * The AuthorizationPolicies that apply at one port → filters, in Istio's order: CUSTOM, DENY, ALLOW, AUDIT.
 *
 * All of them are here, those that the kernel enforces as well: where there is a listener it decides alone.
 */
import type { HttpFilter, Rbac, RbacPolicy, RbacRules } from '../../../../model/http-filter.ts';
import type { AuthorizationPolicyResource } from '../../../../model/resource.ts';
import type { MeshConfig } from '../../../mesh-config.ts';
import type { Problem } from '../../../validate/fields.ts';
import { ANY } from './expression.ts';
import { extAuthzOf, type ExtensionCluster } from './extension-cluster.ts';
import { rbacPolicy } from './rule.ts';

export type Policy = AuthorizationPolicyResource;
type Action = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
type NamedPolicy = readonly [string, RbacPolicy];

export interface AppliedPolicies {
  /** for every request */
  readonly everywhere: readonly Policy[];
  /**
   * For requests to one Service: all Services that lead to the port, when a policy is attached to any of them.  Which one
   * was dialled does not show there, so that a request must pass what holds for each.
   */
  readonly byService: ReadonlyMap<string, readonly Policy[]>;
}

export interface AuthorizationFilters {
  readonly filters: readonly HttpFilter[];
  readonly clusters: readonly ExtensionCluster[];
}

const RBAC = 'envoy.filters.http.rbac';
const EXT_AUTHZ = 'envoy.filters.http.ext_authz';
const EVERYTHING: RbacPolicy = { permissions: [ANY], principals: [ANY] };

export function authorizationFilters(
  { everywhere, byService }: AppliedPolicies,
  mesh: MeshConfig,
): AuthorizationFilters {
  const all = [...new Set([...everywhere, ...[...byService.values()].flat()])];
  const custom = customFilters(
    all.filter((policy) => actionOf(policy) === 'CUSTOM'),
    mesh,
  );
  const sets = byService.size === 0 ? [[]] : [...byService.values()];
  return {
    filters: [
      ...custom.filters,
      ...rbacFilter(
        'DENY',
        all.filter((policy) => actionOf(policy) === 'DENY'),
        custom.denied,
      ),
      ...sets.flatMap((attached) => allowFilter([...everywhere, ...attached])),
      ...auditFilter(all),
    ],
    clusters: custom.clusters,
  };
}

/** An invalid policy refuses everything. */
export function actionOf({ l7 }: Policy): Action {
  return l7 === undefined ? 'DENY' : (l7.action ?? 'ALLOW');
}

/** Its rules by the names that logs and statistics show. */
export function rulesOf(
  policy: Policy,
  report: (problem: Problem) => void = () => {},
): NamedPolicy[] {
  const { namespace, name, l7 } = policy;
  const prefix = `ns[${namespace}]-policy[${name}]`;
  if (l7 === undefined) return [[`${prefix}-refused`, EVERYTHING]];
  const unchecked = ['DENY', 'CUSTOM'].includes(actionOf(policy))
    ? 'matches without it'
    : 'never matches';
  return (l7.rules ?? []).flatMap((rule, index): NamedPolicy[] => {
    const path = `spec.rules[${index}]`;
    const made = rbacPolicy(rule, { namespace, path, unchecked, report });
    return made === undefined ? [] : [[`${prefix}-rule[${index}]`, made]];
  });
}

/** One filter for each service that is asked; a policy whose service nobody can ask refuses what it matches. */
function customFilters(
  policies: readonly Policy[],
  mesh: MeshConfig,
): AuthorizationFilters & { readonly denied: readonly NamedPolicy[] } {
  const byProvider = new Map<string, Policy[]>();
  for (const policy of policies) {
    const name = policy.l7?.provider?.name ?? '';
    byProvider.set(name, [...(byProvider.get(name) ?? []), policy]);
  }
  const filters: HttpFilter[] = [];
  const clusters: ExtensionCluster[] = [];
  const denied: NamedPolicy[] = [];
  for (const [name, group] of [...byProvider].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const rules = group.flatMap((policy) => rulesOf(policy));
    const provider = mesh.providers.get(name);
    if (provider?.type !== 'ext-authz') {
      denied.push(...rules);
    } else if (rules.length > 0) {
      const { extAuthz, cluster } = extAuthzOf(provider, rbacRules('DENY', rules));
      filters.push({ type: 'ext-authz', name: `${EXT_AUTHZ}.${name}`, extAuthz });
      clusters.push(cluster);
    }
  }
  return { filters, clusters, denied };
}

function allowFilter(policies: readonly Policy[]): HttpFilter[] {
  const allowing = policies.filter((policy) => actionOf(policy) === 'ALLOW');
  return rbacFilter('ALLOW', allowing, []);
}

function auditFilter(policies: readonly Policy[]): HttpFilter[] {
  const rules = policies
    .filter((policy) => actionOf(policy) === 'AUDIT')
    .flatMap((p) => rulesOf(p));
  if (rules.length === 0) return [];
  return [rbac({ rules: rbacRules('LOG', rules), shadow: undefined })];
}

/**
 * ALLOW policies that match nothing allow nothing, so that there is a filter even without rules.  Those that run dry are
 * beside the enforced ones, and close nothing.
 */
function rbacFilter(
  action: 'ALLOW' | 'DENY',
  policies: readonly Policy[],
  more: readonly NamedPolicy[],
): HttpFilter[] {
  const part = (isDry: boolean, extra: readonly NamedPolicy[]): RbacRules | undefined => {
    const those = policies.filter(({ policy }) => policy.dryRun === isDry);
    const rules = [...those.flatMap((policy) => rulesOf(policy)), ...extra];
    const isOpen = action === 'DENY' ? rules.length === 0 : those.length === 0;
    return isOpen ? undefined : rbacRules(action, rules);
  };
  const found: Rbac = { rules: part(false, more), shadow: part(true, []) };
  return found.rules === undefined && found.shadow === undefined ? [] : [rbac(found)];
}

const rbac = (rules: Rbac): HttpFilter => ({ type: 'rbac', name: RBAC, rbac: rules });

const rbacRules = (action: RbacRules['action'], rules: readonly NamedPolicy[]): RbacRules => ({
  action,
  policies: new Map(rules),
});
