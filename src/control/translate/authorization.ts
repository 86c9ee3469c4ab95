/**
 * AuthorizationPolicy → istio.security.Authorization, scoped as istiod scopes it.
 */
import {
  authorizationKey,
  denyAll,
  type Authorization,
  type AuthorizationScope,
} from '../../model/authorization.ts';
import type { AuthorizationPolicyResource } from '../../model/resource.ts';
import type { TranslateOptions } from './options.ts';

/** "_" is illegal in Kubernetes names, so no user's policy can be taken for this one. */
const REFUSED_PREFIX = 'podwire_refused_';

export function authorizationMessage(
  resource: AuthorizationPolicyResource,
  options: TranslateOptions,
): Authorization {
  const { namespace, name } = resource;
  const scope = scopeOf(resource, options);
  if (resource.refused) return denyAll(namespace, REFUSED_PREFIX + name, scope);
  return { name, namespace, scope, ...resource.policy };
}

export function authorizationMessageKey(
  resource: AuthorizationPolicyResource,
  options: TranslateOptions,
): string {
  return authorizationKey(authorizationMessage(resource, options));
}

function scopeOf(
  resource: AuthorizationPolicyResource,
  options: TranslateOptions,
): AuthorizationScope {
  if (resource.target.type !== 'all') return 'WORKLOAD_SELECTOR';
  return resource.namespace === options.rootNamespace ? 'GLOBAL' : 'NAMESPACE';
}
