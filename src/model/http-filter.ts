/**
 * Envoy's HTTP filters, decoded: what runs before the router, on a connection manager and overridden per route.
 */
import type { Prefix } from './ip.ts';
import type { HeaderMatcher, Millionths, PathMatcher, StringMatcher } from './matcher.ts';
import type { CorsPolicy } from './route.ts';

export type HttpFilter =
  | { readonly type: 'rbac'; readonly name: string; readonly rbac: Rbac }
  | { readonly type: 'jwt'; readonly jwt: JwtAuthentication }
  | { readonly type: 'ext-authz'; readonly name: string; readonly extAuthz: ExtAuthz }
  | { readonly type: 'rate-limit'; readonly rateLimit: RateLimitService }
  | { readonly type: 'local-rate-limit'; readonly limit: LocalRateLimit | undefined }
  | { readonly type: 'fault'; readonly fault: Fault | undefined }
  | { readonly type: 'cors' }
  | { readonly type: 'grpc-stats' }
  | { readonly type: 'buffer'; readonly maxBytes: number }
  /** always the last */
  | { readonly type: 'router' };

/** Overrides of a virtual host or a route; an absent one leaves the filter as it is. */
export interface RouteFilters {
  readonly rbac?: Rbac | 'disabled';
  readonly fault?: Fault | 'disabled';
  readonly cors?: CorsPolicy | 'disabled';
  readonly localRateLimit?: LocalRateLimit;
  readonly extAuthz?: 'disabled' | { readonly context: ReadonlyMap<string, string> };
  readonly jwt?: 'disabled' | { readonly requirement: string };
}

/** envoy.extensions.filters.http.rbac.v3.RBAC; shadow rules are counted and logged only */
export interface Rbac {
  readonly rules: RbacRules | undefined;
  readonly shadow: RbacRules | undefined;
}

export interface RbacRules {
  readonly action: 'ALLOW' | 'DENY' | 'LOG';
  /** by name, as logs and metrics show them */
  readonly policies: ReadonlyMap<string, RbacPolicy>;
}

export interface RbacPolicy {
  /** any of them */
  readonly permissions: readonly Permission[];
  /** any of them */
  readonly principals: readonly Principal[];
}

export type Permission =
  | { readonly type: 'any' }
  | { readonly type: 'and' | 'or'; readonly of: readonly Permission[] }
  | { readonly type: 'not'; readonly of: Permission }
  | { readonly type: 'header'; readonly header: HeaderMatcher }
  | { readonly type: 'path'; readonly path: StringMatcher | PathTemplate }
  | { readonly type: 'destination-ip'; readonly prefix: Prefix }
  | { readonly type: 'destination-port'; readonly port: number }
  | { readonly type: 'sni'; readonly name: StringMatcher };

/** `*` and `**` as Istio's and Envoy's path templates have them */
export interface PathTemplate {
  readonly type: 'template';
  readonly value: string;
}

export type Principal =
  | { readonly type: 'any' }
  | { readonly type: 'and' | 'or'; readonly of: readonly Principal[] }
  | { readonly type: 'not'; readonly of: Principal }
  /** the SPIFFE id without "spiffe://"; undefined: any identity at all */
  | { readonly type: 'authenticated'; readonly name: StringMatcher | undefined }
  | { readonly type: 'direct-ip' | 'remote-ip'; readonly prefix: Prefix }
  | { readonly type: 'header'; readonly header: HeaderMatcher }
  /** of the verified token: `path` into its claims, e.g. ["groups"] */
  | {
      readonly type: 'claim';
      readonly path: readonly string[];
      readonly match: StringMatcher | { readonly type: 'present' };
    };

export interface JwtAuthentication {
  readonly providers: ReadonlyMap<string, JwtProvider>;
  /** the first that matches says what is required; none: nothing is */
  readonly rules: readonly { readonly path: PathMatcher; readonly requires: JwtRequirement }[];
  readonly requirements: ReadonlyMap<string, JwtRequirement>;
  /** a CORS preflight needs no token; absent: it does */
  readonly bypassCorsPreflight?: boolean;
}

export interface JwtProvider {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly keys:
    | { readonly type: 'inline'; readonly jwks: string }
    | {
        readonly type: 'remote';
        readonly uri: string;
        readonly cluster: string;
        readonly timeoutMs: number;
        readonly cacheMs: number | undefined;
      };
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromQuery: readonly string[];
  readonly fromCookies: readonly string[];
  /** keep the token in the request */
  readonly forward: boolean;
  /** header that carries the payload, base64url; "" none */
  readonly payloadHeader: string;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** whole seconds on the wire, rounded up */
  readonly clockSkewMs: number;
}

export type JwtRequirement =
  | { readonly type: 'provider'; readonly provider: string; readonly audiences: readonly string[] }
  | { readonly type: 'any' | 'all'; readonly of: readonly JwtRequirement[] }
  | { readonly type: 'allow-missing' }
  | { readonly type: 'allow-missing-or-failed' };

export interface ExtAuthz {
  readonly service:
    | { readonly type: 'grpc'; readonly cluster: string; readonly timeoutMs: number }
    | {
        readonly type: 'http';
        readonly cluster: string;
        readonly pathPrefix: string;
        readonly timeoutMs: number;
        /** headers of the answer that are added to the request; none: none of them */
        readonly upstreamHeaders: readonly StringMatcher[];
        /** headers of the answer that a refusal has; none: all of them, as Envoy */
        readonly clientHeaders: readonly StringMatcher[];
        /** headers of the request the service gets */
        readonly requestHeaders: readonly StringMatcher[];
      };
  readonly failOpen: boolean;
  /** answer when the service cannot be reached */
  readonly errorStatus: number;
  /** 0: the body is not sent */
  readonly bodyBytes: number;
  readonly allowPartialBody: boolean;
  /** rules that send a request to the service at all; undefined: every request */
  readonly when: RbacRules | undefined;
}

export interface RateLimitService {
  readonly domain: string;
  readonly stage: number;
  readonly cluster: string;
  readonly timeoutMs: number;
  readonly failureDeny: boolean;
}

export interface LocalRateLimit {
  readonly maxTokens: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
  readonly enabled: Millionths;
  readonly enforced: Millionths;
  readonly status: number;
  /** one bucket per connection in place of one for all */
  readonly perConnection: boolean;
}

export interface Fault {
  readonly delay: { readonly ms: number; readonly fraction: Millionths } | undefined;
  readonly abort:
    | {
        readonly status: { readonly type: 'http' | 'grpc'; readonly code: number };
        readonly fraction: Millionths;
      }
    | undefined;
  readonly headers: readonly HeaderMatcher[];
}
