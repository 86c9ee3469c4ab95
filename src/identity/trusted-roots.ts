/**
 * What the node trusts, by trust domain: every root that came with a certificate the node still holds.
 *
 * A union, because a rotation reaches a node one certificate at a time: a peer's newer chain must be good for all of the
 * node's identities as soon as one of them has heard of its root, and an older one until none is left that has it.  Roots of
 * one trust domain are never good for another's names.
 */
import type { X509Certificate } from 'node:crypto';
import { parseSpiffe } from '../model/identity.ts';
import { fingerprintOf, pemOf, type WorkloadCertificate } from './workload-certificate.ts';

export interface TrustedRoots {
  /** SHA-256, lower-case hex */
  readonly fingerprints: readonly string[];
  readonly certificates: readonly X509Certificate[];
  /** PEM of all */
  readonly bundle: string;
}

export const NO_ROOTS: TrustedRoots = { fingerprints: [], certificates: [], bundle: '' };

export function trustDomainOf(spiffe: string): string {
  return parseSpiffe(spiffe)?.trustDomain ?? '';
}

/** `now`: ms since 1970; roots that have ended are left out. In the order of their fingerprints. */
export function trustedRoots(
  certificates: Iterable<WorkloadCertificate>,
  now: number,
): ReadonlyMap<string, TrustedRoots> {
  const domains = new Map<string, Map<string, X509Certificate>>();
  for (const { spiffe, roots } of certificates) {
    const domain = trustDomainOf(spiffe);
    const known = domains.get(domain) ?? new Map<string, X509Certificate>();
    domains.set(domain, known);
    for (const root of roots) {
      if (Date.parse(root.validTo) > now) known.set(fingerprintOf(root), root);
    }
  }
  return new Map(
    [...domains].map(([domain, known]) => {
      const sorted = [...known].sort(([a], [b]) => (a < b ? -1 : 1));
      const list = sorted.map(([, root]) => root);
      const fingerprints = sorted.map(([fingerprint]) => fingerprint);
      return [domain, { fingerprints, certificates: list, bundle: list.map(pemOf).join('') }];
    }),
  );
}
