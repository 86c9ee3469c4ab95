/**
 * For whom a listener, route, cluster or load assignment is meant: its name says.
 *
 *   outbound|<port>|<scope>|<host>             listeners and routes; scope: "*", a namespace, or <namespace>~<class>
 *   outbound|<port>|<subset>|<host>[@<scope>]  clusters and load assignments; <namespace>~gateway: of gateways there
 *   inbound|<port>||                           clusters
 *   inbound|<port>|<uid>                       of a workload;  inbound|<port>|<namespace>/<class>: of a group of them
 *   gateway|<port>|<namespace>/<name>          of a gateway
 */
export type ResourceScope =
  | { readonly kind: 'everybody' }
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'workload'; readonly uid: string }
  | { readonly kind: 'gateway'; readonly gateway: string };

const EVERYBODY: ResourceScope = { kind: 'everybody' };

/** Whose cluster it is that names a Secret. */
export type SecretUser =
  /** gateways whose pods are in the namespace */
  | { readonly kind: 'gateways'; readonly namespace: string }
  /** pods of a class, as their Workload messages say it */
  | { readonly kind: 'pods'; readonly scope: string };

/** undefined: nobody in particular, and he gets none */
export function secretUserOf(cluster: string): SecretUser | undefined {
  const [namespace = '', ofClass] = (cluster.split('|')[3]?.split('@')[1] ?? '').split('~');
  if (ofClass === undefined) return undefined;
  return ofClass === 'gateway'
    ? { kind: 'gateways', namespace }
    : { kind: 'pods', scope: `${namespace}~${ofClass}` };
}

/** `thirdIsScope`: of a listener or route. */
export function resourceScopeOf(name: string, thirdIsScope: boolean): ResourceScope {
  const [direction, , third = '', host = ''] = name.split('|');
  switch (direction) {
    case 'outbound':
      return thirdIsScope ? outbound(third) : outbound(host.split('@')[1] ?? '*');
    case 'inbound':
      // one cluster per port leads to whatever pod was meant
      if (!thirdIsScope) return EVERYBODY;
      return third.includes('//')
        ? { kind: 'workload', uid: third }
        : { kind: 'namespace', namespace: third.split('/')[0] ?? '' };
    case 'gateway':
      return { kind: 'gateway', gateway: third };
    default:
      return EVERYBODY;
  }
}

function outbound(scope: string): ResourceScope {
  if (scope === '*') return EVERYBODY;
  return { kind: 'namespace', namespace: scope.split('~')[0] ?? '' };
}
