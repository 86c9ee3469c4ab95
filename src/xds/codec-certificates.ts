/**
 * The messages of istio.v1.auth.IstioCertificateService; the service itself is in codec.ts.
 */
export type { IstioCertificateRequest as WireCertificateRequestInput } from './gen/istio/v1/auth/IstioCertificateRequest.ts';
export type { IstioCertificateRequest__Output as WireCertificateRequest } from './gen/istio/v1/auth/IstioCertificateRequest.ts';
export type { IstioCertificateResponse as WireCertificateResponseInput } from './gen/istio/v1/auth/IstioCertificateResponse.ts';
export type { IstioCertificateResponse__Output as WireCertificateResponse } from './gen/istio/v1/auth/IstioCertificateResponse.ts';
