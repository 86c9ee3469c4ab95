/**
 * SPIFFE identities as Istio forms them: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT.
 */
export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export const SPIFFE_SCHEME = 'spiffe://';

export function formatSpiffe(identity: Identity): string {
  const { trustDomain, namespace, serviceAccount } = identity;
  return `${SPIFFE_SCHEME}${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/** undefined unless the text has exactly Istio's form */
export function parseSpiffe(text: string): Identity | undefined {
  if (!text.startsWith(SPIFFE_SCHEME)) return undefined;
  const [trustDomain, ns, namespace, sa, serviceAccount, ...rest] = text
    .slice(SPIFFE_SCHEME.length)
    .split('/');
  if (ns !== 'ns' || sa !== 'sa' || rest.length > 0) return undefined;
  if (!trustDomain || !namespace || !serviceAccount) return undefined;
  return { trustDomain, namespace, serviceAccount };
}
