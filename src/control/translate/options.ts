/**
 * What the translation takes from the mesh as a whole.
 */
export interface TranslateOptions {
  readonly clusterId: string;
  readonly trustDomain: string;
  /** DNS domain of Services: name.namespace.svc.DOMAIN */
  readonly domain: string;
  /** policies of this namespace apply to the whole mesh */
  readonly rootNamespace: string;
}

const DEFAULT_DOMAIN = 'cluster.local';
const DEFAULT_ROOT_NAMESPACE = 'istio-system';

export function translateOptions({
  clusterId,
  trustDomain,
  domain = DEFAULT_DOMAIN,
  rootNamespace = DEFAULT_ROOT_NAMESPACE,
}: Pick<TranslateOptions, 'clusterId' | 'trustDomain'> &
  Partial<TranslateOptions>): TranslateOptions {
  return { clusterId, trustDomain, domain, rootNamespace };
}
