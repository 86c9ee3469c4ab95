/**
 * security.istio.io: the specs of PeerAuthentication, RequestAuthentication and AuthorizationPolicy.
 */
import type { LabelSelector, PolicyTargetReference, SpecResource } from './spec.ts';

export type PeerAuthenticationResource = SpecResource<'PeerAuthentication', PeerAuthenticationSpec>;
export type RequestAuthenticationResource = SpecResource<
  'RequestAuthentication',
  RequestAuthenticationSpec
>;

export type MtlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerAuthenticationSpec {
  readonly selector?: LabelSelector;
  readonly mtls?: { readonly mode?: MtlsMode };
  /** by port of the workload, as text */
  readonly portLevelMtls?: Readonly<Record<string, { readonly mode?: MtlsMode }>>;
}

export interface RequestAuthenticationSpec {
  readonly selector?: LabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly jwtRules?: readonly JwtRule[];
}

export interface JwtRule {
  readonly issuer: string;
  readonly audiences?: readonly string[];
  readonly jwksUri?: string;
  readonly jwks_uri?: string;
  readonly jwks?: string;
  readonly fromHeaders?: readonly { readonly name: string; readonly prefix?: string }[];
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  readonly outputPayloadToHeader?: string;
  readonly outputClaimToHeaders?: readonly { readonly header: string; readonly claim: string }[];
  readonly forwardOriginalToken?: boolean;
  readonly timeout?: string;
}

/** As written: with the conditions on HTTP that the form for connections cannot express. */
export interface AuthorizationPolicySpec {
  readonly selector?: LabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
  /** absent: ALLOW */
  readonly action?: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  /** of CUSTOM */
  readonly provider?: { readonly name?: string };
  /** any of these; absent or empty: none, that is ALLOW nothing */
  readonly rules?: readonly AuthorizationRuleSpec[];
}

/** All that is set must hold. */
export interface AuthorizationRuleSpec {
  readonly from?: readonly { readonly source?: AuthorizationSourceSpec }[];
  readonly to?: readonly { readonly operation?: AuthorizationOperationSpec }[];
  readonly when?: readonly AuthorizationConditionSpec[];
}

export interface AuthorizationSourceSpec {
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
  readonly trustDomains?: readonly string[];
  readonly notTrustDomains?: readonly string[];
}

export interface AuthorizationOperationSpec {
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  /** texts; numbers are understood too */
  readonly ports?: readonly (string | number)[];
  readonly notPorts?: readonly (string | number)[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
}

export interface AuthorizationConditionSpec {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}
