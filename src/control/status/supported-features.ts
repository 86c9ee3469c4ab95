/**
 * Features of the Gateway API, by their names in its conformance suite, that podwire's GatewayClasses have.
 */
export const SUPPORTED_FEATURES: readonly { readonly name: string }[] = [
  'GRPCRoute',
  'Gateway',
  'GatewayPort8080',
  'HTTPRoute',
  'HTTPRouteBackendProtocolH2C',
  'HTTPRouteBackendRequestHeaderModification',
  'HTTPRouteBackendTimeout',
  'HTTPRouteHostRewrite',
  'HTTPRouteMethodMatching',
  'HTTPRouteParentRefPort',
  'HTTPRoutePathRedirect',
  'HTTPRoutePathRewrite',
  'HTTPRoutePortRedirect',
  'HTTPRouteQueryParamMatching',
  'HTTPRouteRequestMirror',
  'HTTPRouteRequestMultipleMirrors',
  'HTTPRouteRequestTimeout',
  'HTTPRouteResponseHeaderModification',
  'HTTPRouteSchemeRedirect',
  'Mesh',
  'MeshConsumerRoute',
  'ReferenceGrant',
  'TLSRoute',
].map((name) => ({ name }));
