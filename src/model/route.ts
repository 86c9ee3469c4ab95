/**
 * envoy.config.route.v3.RouteConfiguration, decoded: the fields podwire honours.  Times are milliseconds; a timeout of 0
 * is none, an absent one the default of what stands above it.
 */
import type { RouteFilters } from './http-filter.ts';
import type {
  HeaderEdits,
  HeaderMatcher,
  Millionths,
  PathMatcher,
  QueryMatcher,
  StringMatcher,
} from './matcher.ts';

export interface RouteConfiguration {
  /** as the listener that uses it: `outbound|<port>|<scope>|<host>` */
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  /** "host:8080" is looked up as "host" */
  readonly ignorePortInHost: boolean;
}

export interface VirtualHost {
  readonly name: string;
  /** exact, "*.suffix", "prefix.*" or "*": the longest of the most exact kind wins */
  readonly domains: readonly string[];
  /** the first that matches wins */
  readonly routes: readonly Route[];
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly retry: RetryPolicy | undefined;
  readonly hedge: HedgePolicy | undefined;
  readonly rateLimits: readonly RateLimitDescriptor[];
  readonly filters: RouteFilters;
}

export interface Route {
  /** of the resource it came from, for logs and metrics */
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: RouteAction;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly filters: RouteFilters;
  readonly tracing: RouteTracing | undefined;
}

export interface RouteMatch {
  readonly path: PathMatcher;
  readonly ignorePathCase: boolean;
  readonly headers: readonly HeaderMatcher[];
  readonly query: readonly QueryMatcher[];
  /** undefined: all */
  readonly fraction: Millionths | undefined;
  /** content-type application/grpc only */
  readonly grpcOnly: boolean;
}

export type RouteAction =
  | ({ readonly type: 'forward' } & ForwardAction)
  | ({ readonly type: 'redirect' } & RedirectAction)
  | { readonly type: 'respond'; readonly status: number; readonly body: Uint8Array };

export interface ForwardAction {
  /** where to: a choice by weight, or the cluster that a request header names */
  readonly clusters:
    | { readonly type: 'weighted'; readonly choices: readonly WeightedCluster[] }
    | { readonly type: 'header'; readonly header: string };
  /** answer when the cluster does not exist */
  readonly clusterNotFoundStatus: 404 | 500 | 503;
  readonly timeoutMs: number | undefined;
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamMs: number | undefined;
  /** `grpc-timeout` of the caller counts up to this; undefined: not looked at */
  readonly grpcTimeoutMaxMs: number | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly hedge: HedgePolicy | undefined;
  readonly mirrors: readonly Mirror[];
  readonly hash: readonly HashPolicy[];
  readonly pathRewrite: PathRewrite | undefined;
  readonly hostRewrite: HostRewrite | undefined;
  /** `websocket`, `CONNECT`; undefined: as the connection manager says */
  readonly upgrades: readonly { readonly type: string; readonly enabled: boolean }[] | undefined;
  readonly rateLimits: readonly RateLimitDescriptor[];
  readonly includeVirtualHostRateLimits: boolean;
}

export interface WeightedCluster {
  readonly cluster: string;
  /** of the sum of all */
  readonly weight: number;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly hostRewrite: string | undefined;
}

export type PathRewrite =
  /** replaces the matched prefix, or the whole path of an exact match */
  | { readonly type: 'prefix'; readonly value: string }
  | { readonly type: 'regex'; readonly pattern: string; readonly substitution: string };

export type HostRewrite =
  | { readonly type: 'literal'; readonly value: string }
  | { readonly type: 'header'; readonly name: string }
  /** the endpoint's host name */
  | { readonly type: 'endpoint' };

export interface RedirectAction {
  readonly scheme: string | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path:
    | { readonly type: 'whole' | 'prefix'; readonly value: string }
    | { readonly type: 'regex'; readonly pattern: string; readonly substitution: string }
    | undefined;
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly stripQuery: boolean;
}

export interface RetryPolicy {
  /** Envoy's words: `5xx`, `gateway-error`, `reset`, `connect-failure`, `retriable-4xx`, `unavailable`… */
  readonly on: readonly string[];
  readonly attempts: number;
  readonly perTryTimeoutMs: number | undefined;
  readonly perTryIdleTimeoutMs: number | undefined;
  readonly statusCodes: readonly number[];
  readonly headers: readonly HeaderMatcher[];
  readonly backoff: { readonly baseMs: number; readonly maxMs: number } | undefined;
  readonly avoidPreviousHosts: boolean;
  /** how often another host is asked for before the choice is taken */
  readonly hostSelectionAttempts: number;
  /** another priority (locality) for later attempts, after so many */
  readonly previousPrioritiesFrequency: number | undefined;
}

export interface HedgePolicy {
  readonly initialRequests: number;
  readonly onPerTryTimeout: boolean;
}

export interface Mirror {
  readonly cluster: string;
  readonly fraction: Millionths;
}

export interface HashPolicy {
  readonly source:
    | { readonly type: 'header'; readonly name: string }
    | {
        readonly type: 'cookie';
        readonly name: string;
        readonly path: string;
        /** undefined: the cookie is read only; 0: a session cookie is made */
        readonly ttlMs: number | undefined;
      }
    | { readonly type: 'source-ip' }
    | { readonly type: 'query'; readonly name: string };
  /** no later policy is looked at once this one gave a hash */
  readonly terminal: boolean;
}

export interface RateLimitDescriptor {
  readonly stage: number;
  readonly actions: readonly RateLimitAction[];
}

export type RateLimitAction =
  | {
      readonly type: 'source-cluster' | 'destination-cluster' | 'remote-address';
    }
  | {
      readonly type: 'header';
      readonly header: string;
      readonly key: string;
      readonly skipIfAbsent: boolean;
    }
  | { readonly type: 'generic'; readonly key: string; readonly value: string }
  | {
      readonly type: 'header-match';
      readonly key: string;
      readonly value: string;
      readonly expect: boolean;
      readonly headers: readonly HeaderMatcher[];
    };

export interface RouteTracing {
  readonly clientSampling: Millionths | undefined;
  readonly randomSampling: Millionths | undefined;
  readonly overallSampling: Millionths | undefined;
}

export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatcher[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean | undefined;
  /** a preflight that does not match is passed on to the server */
  readonly forwardNotMatching: boolean;
}
