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
