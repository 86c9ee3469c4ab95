/**
 * Kubernetes' own kinds that only say something about others: Namespace, ServiceAccount, Secret.
 */
import type { ResourceMeta } from '../resource.ts';

/** its labels are what selectors of namespaces look at */
export interface NamespaceResource extends ResourceMeta {
  readonly kind: 'Namespace';
}

export interface ServiceAccountResource extends ResourceMeta {
  readonly kind: 'ServiceAccount';
}

/** Of type kubernetes.io/tls, or generic with the keys Istio's gateways read.  Never logged, never in a finding. */
export interface SecretResource extends ResourceMeta {
  readonly kind: 'Secret';
  /** PEM; undefined: it only carries roots (a "-cacert" Secret) */
  readonly certificate: string | undefined;
  readonly privateKey: string | undefined;
  /** PEM, to verify clients with */
  readonly caCertificates: string | undefined;
  /** why what it should hold cannot be used; absent: nothing is wrong */
  readonly problem?: string;
}
