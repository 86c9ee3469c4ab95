/**
 * What the checks take from the mesh as a whole.
 */
export interface MeshNames {
  /** DNS domain of Services */
  readonly domain: string;
  /** policies of this namespace apply to the whole mesh */
  readonly rootNamespace: string;
}
