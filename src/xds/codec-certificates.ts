/**
 * The messages of istio.v1.auth.IstioCertificateService and of SPIRE's DelegatedIdentity; the services are in codec.ts.
 */
export type { IstioCertificateRequest as WireCertificateRequestInput } from './gen/istio/v1/auth/IstioCertificateRequest.ts';
export type { IstioCertificateRequest__Output as WireCertificateRequest } from './gen/istio/v1/auth/IstioCertificateRequest.ts';
export type { IstioCertificateResponse as WireCertificateResponseInput } from './gen/istio/v1/auth/IstioCertificateResponse.ts';
export type { IstioCertificateResponse__Output as WireCertificateResponse } from './gen/istio/v1/auth/IstioCertificateResponse.ts';
export type { SubscribeToX509SVIDsRequest as WireSvidsRequestInput } from './gen/spire/api/agent/delegatedidentity/v1/SubscribeToX509SVIDsRequest.ts';
export type { SubscribeToX509SVIDsResponse__Output as WireSvids } from './gen/spire/api/agent/delegatedidentity/v1/SubscribeToX509SVIDsResponse.ts';
export type { SubscribeToX509BundlesResponse__Output as WireBundles } from './gen/spire/api/agent/delegatedidentity/v1/SubscribeToX509BundlesResponse.ts';
export type { X509SVIDWithKey__Output as WireSvid } from './gen/spire/api/agent/delegatedidentity/v1/X509SVIDWithKey.ts';
