/**
 * networking.istio.io VirtualService.
 */
import type { Labels, Percent, PortSelector, SpecResource, StringMatchSpec } from './spec.ts';

export type VirtualServiceResource = SpecResource<'VirtualService', VirtualServiceSpec>;

export interface VirtualServiceSpec {
  /** absent: a delegate, reached through another VirtualService only */
  readonly hosts?: readonly string[];
  /** "ns/name", "name" or "mesh"; absent: mesh */
  readonly gateways?: readonly string[];
  readonly http?: readonly HttpRouteSpec[];
  readonly tls?: readonly TlsRouteSpec[];
  readonly tcp?: readonly TcpRouteSpec[];
  /** "*": all, ".": own namespace; absent: all */
  readonly exportTo?: readonly string[];
}

export interface DestinationSpec {
  readonly host: string;
  readonly subset?: string;
  readonly port?: PortSelector;
}

export interface HttpRouteSpec {
  readonly name?: string;
  /** any of these; absent: every request */
  readonly match?: readonly HttpMatchRequest[];
  readonly route?: readonly HttpRouteDestination[];
  readonly redirect?: HttpRedirect;
  readonly directResponse?: HttpDirectResponse;
  readonly delegate?: { readonly name?: string; readonly namespace?: string };
  readonly rewrite?: HttpRewrite;
  readonly timeout?: string;
  readonly retries?: HttpRetry;
  readonly fault?: HttpFaultInjection;
  readonly mirror?: DestinationSpec;
  /** all three spellings of one setting; absent: all requests */
  readonly mirrorPercentage?: Percent;
  readonly mirrorPercent?: number;
  readonly mirror_percent?: number;
  readonly mirrors?: readonly HttpMirrorPolicy[];
  readonly corsPolicy?: CorsPolicySpec;
  readonly headers?: HeadersSpec;
}

/** All that is set must hold. */
export interface HttpMatchRequest {
  readonly name?: string;
  readonly uri?: StringMatchSpec;
  readonly scheme?: StringMatchSpec;
  readonly method?: StringMatchSpec;
  readonly authority?: StringMatchSpec;
  /** {}: the header is there */
  readonly headers?: Readonly<Record<string, StringMatchSpec>>;
  readonly withoutHeaders?: Readonly<Record<string, StringMatchSpec>>;
  readonly queryParams?: Readonly<Record<string, StringMatchSpec>>;
  readonly port?: number;
  readonly sourceLabels?: Labels;
  readonly sourceNamespace?: string;
  readonly gateways?: readonly string[];
  readonly ignoreUriCase?: boolean;
  readonly statPrefix?: string;
}

export interface HttpRouteDestination {
  readonly destination: DestinationSpec;
  /** a share of the sum; absent or 0 in the only destination: everything */
  readonly weight?: number;
  readonly headers?: HeadersSpec;
}

export interface HeadersSpec {
  readonly request?: HeaderOperations;
  readonly response?: HeaderOperations;
}

export interface HeaderOperations {
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

export interface HttpRedirect {
  readonly uri?: string;
  readonly authority?: string;
  readonly port?: number;
  readonly derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT';
  readonly scheme?: string;
  /** absent: 301 */
  readonly redirectCode?: number;
}

export interface HttpDirectResponse {
  readonly status: number;
  /** bytes: base64 */
  readonly body?: { readonly string?: string; readonly bytes?: string };
}

export interface HttpRewrite {
  readonly uri?: string;
  readonly authority?: string;
  readonly uriRegexRewrite?: { readonly match?: string; readonly rewrite?: string };
}

export interface HttpRetry {
  /** 0: none */
  readonly attempts?: number;
  readonly perTryTimeout?: string;
  readonly retryOn?: string;
  readonly retryRemoteLocalities?: boolean | null;
}

export interface HttpFaultInjection {
  readonly delay?: {
    readonly fixedDelay?: string;
    readonly percentage?: Percent;
    readonly percent?: number;
  };
  readonly abort?: {
    readonly httpStatus?: number;
    readonly grpcStatus?: string;
    readonly percentage?: Percent;
  };
}

export interface HttpMirrorPolicy {
  readonly destination: DestinationSpec;
  readonly percentage?: Percent;
}

export interface CorsPolicySpec {
  readonly allowOrigins?: readonly StringMatchSpec[];
  readonly allowOrigin?: readonly string[];
  readonly allowMethods?: readonly string[];
  readonly allowHeaders?: readonly string[];
  readonly exposeHeaders?: readonly string[];
  readonly maxAge?: string;
  readonly allowCredentials?: boolean | null;
  readonly unmatchedPreflights?: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE';
}

export interface RouteDestination {
  readonly destination: DestinationSpec;
  readonly weight?: number;
}

export interface TlsRouteSpec {
  readonly match: readonly TlsMatchAttributes[];
  readonly route?: readonly RouteDestination[];
}

export interface TlsMatchAttributes {
  readonly sniHosts: readonly string[];
  readonly destinationSubnets?: readonly string[];
  readonly port?: number;
  readonly sourceLabels?: Labels;
  readonly sourceNamespace?: string;
  readonly gateways?: readonly string[];
}

export interface TcpRouteSpec {
  readonly match?: readonly L4MatchAttributes[];
  readonly route?: readonly RouteDestination[];
}

export interface L4MatchAttributes {
  readonly destinationSubnets?: readonly string[];
  readonly port?: number;
  readonly sourceLabels?: Labels;
  readonly sourceNamespace?: string;
  readonly sourceSubnet?: string;
  readonly gateways?: readonly string[];
}
