/**
 * gateway.networking.k8s.io: Gateway, GatewayClass, ReferenceGrant and the routes.
 *
 * Defaults of the schema are filled in: groups and kinds of references, match types, weights.  A namespace that is absent
 * is that of the resource itself.
 */
import type { Labels, SpecResource } from './spec.ts';

/** of GatewayClasses that are podwire's, and in the statuses it writes */
export const CONTROLLER_NAME = 'podwire.io/gateway-controller';

/** kind `Gateway` in its YAML, and "Gateway.gateway.networking.k8s.io ns/name" in its id */
export type GatewayApiGatewayResource = SpecResource<'GatewayApiGateway', GatewayApiGatewaySpec>;
/** belongs to no namespace */
export type GatewayClassResource = SpecResource<'GatewayClass', GatewayClassSpec>;
export type ReferenceGrantResource = SpecResource<'ReferenceGrant', ReferenceGrantSpec>;
export type HttpRouteResource = SpecResource<'HTTPRoute', HttpApiRouteSpec>;
export type GrpcRouteResource = SpecResource<'GRPCRoute', GrpcApiRouteSpec>;
export type TcpRouteResource = SpecResource<'TCPRoute', TcpApiRouteSpec>;
export type TlsRouteResource = SpecResource<'TLSRoute', TlsApiRouteSpec>;

export interface GatewayClassSpec {
  readonly controllerName: string;
  readonly description?: string;
}

export interface GatewayApiGatewaySpec {
  readonly gatewayClassName: string;
  readonly listeners: readonly GatewayApiListener[];
  readonly addresses?: readonly { readonly type: string; readonly value: string }[];
  readonly infrastructure?: {
    readonly labels?: Labels;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

export interface GatewayApiListener {
  readonly name: string;
  /** absent: every host */
  readonly hostname?: string;
  readonly port: number;
  readonly protocol: string;
  readonly tls?: {
    readonly mode: 'Terminate' | 'Passthrough';
    readonly certificateRefs?: readonly SecretReference[];
    readonly frontendValidation?: {
      readonly caCertificateRefs?: readonly ObjectReference[];
    };
    readonly options?: Readonly<Record<string, string>>;
  };
  readonly allowedRoutes: {
    readonly namespaces: {
      readonly from: 'All' | 'Selector' | 'Same';
      readonly selector?: NamespaceSelector;
    };
    readonly kinds?: readonly { readonly group: string; readonly kind: string }[];
  };
}

export interface NamespaceSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface ObjectReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export type SecretReference = ObjectReference;

export interface ReferenceGrantSpec {
  readonly from: readonly {
    readonly group: string;
    readonly kind: string;
    readonly namespace: string;
  }[];
  /** without a name: all of the kind */
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[];
}

export interface ParentReference extends ObjectReference {
  /** a listener */
  readonly sectionName?: string;
  readonly port?: number;
}

export interface BackendReference extends ObjectReference {
  /** of the Service; required for one */
  readonly port?: number;
  readonly weight: number;
}

interface ApiRouteSpec<Rule> {
  /** a Gateway, or a Service for traffic inside the mesh */
  readonly parentRefs?: readonly ParentReference[];
  readonly rules?: readonly Rule[];
}

export interface HttpApiRouteSpec extends ApiRouteSpec<HttpApiRouteRule> {
  readonly hostnames?: readonly string[];
}

export interface GrpcApiRouteSpec extends ApiRouteSpec<GrpcApiRouteRule> {
  readonly hostnames?: readonly string[];
}

export interface TlsApiRouteSpec extends ApiRouteSpec<L4ApiRouteRule> {
  readonly hostnames?: readonly string[];
}

export type TcpApiRouteSpec = ApiRouteSpec<L4ApiRouteRule>;

export interface L4ApiRouteRule {
  readonly name?: string;
  readonly backendRefs?: readonly BackendReference[];
}

export interface HttpApiRouteRule {
  readonly name?: string;
  readonly matches: readonly HttpApiRouteMatch[];
  readonly filters?: readonly ApiRouteFilter[];
  readonly backendRefs?: readonly HttpApiBackendReference[];
  readonly timeouts?: { readonly request?: string; readonly backendRequest?: string };
  readonly retry?: {
    readonly codes?: readonly number[];
    readonly attempts?: number;
    readonly backoff?: string;
  };
  readonly sessionPersistence?: SessionPersistence;
}

export interface HttpApiBackendReference extends BackendReference {
  readonly filters?: readonly ApiRouteFilter[];
}

export interface HttpApiRouteMatch {
  readonly path: {
    readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression';
    readonly value: string;
  };
  readonly headers?: readonly NamedMatch[];
  readonly queryParams?: readonly NamedMatch[];
  readonly method?: string;
}

export interface NamedMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

export interface GrpcApiRouteRule {
  readonly name?: string;
  readonly matches?: readonly GrpcApiRouteMatch[];
  readonly filters?: readonly ApiRouteFilter[];
  readonly backendRefs?: readonly HttpApiBackendReference[];
  readonly sessionPersistence?: SessionPersistence;
}

export interface GrpcApiRouteMatch {
  readonly method?: {
    readonly type: 'Exact' | 'RegularExpression';
    readonly service?: string;
    readonly method?: string;
  };
  readonly headers?: readonly NamedMatch[];
}

/** The field that `type` names is set. */
export interface ApiRouteFilter {
  readonly type:
    | 'RequestHeaderModifier'
    | 'ResponseHeaderModifier'
    | 'RequestMirror'
    | 'RequestRedirect'
    | 'URLRewrite'
    | 'CORS'
    | 'ExtensionRef';
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestMirror?: {
    readonly backendRef: Omit<BackendReference, 'weight'>;
    readonly percent?: number;
    readonly fraction?: { readonly numerator: number; readonly denominator: number };
  };
  readonly requestRedirect?: {
    readonly scheme?: 'http' | 'https';
    readonly hostname?: string;
    readonly path?: PathModifier;
    readonly port?: number;
    readonly statusCode: 301 | 302;
  };
  readonly urlRewrite?: { readonly hostname?: string; readonly path?: PathModifier };
  /** since v1.3 */
  readonly cors?: ApiCorsFilter;
  readonly extensionRef?: Omit<ObjectReference, 'namespace'>;
}

export interface ApiCorsFilter {
  /** "*", "https://a.example" or "https://*.example" */
  readonly allowOrigins?: readonly string[];
  readonly allowCredentials?: boolean;
  readonly allowMethods?: readonly string[];
  readonly allowHeaders?: readonly string[];
  readonly exposeHeaders?: readonly string[];
  /** seconds */
  readonly maxAge?: number;
}

export interface HeaderModifier {
  readonly set?: readonly { readonly name: string; readonly value: string }[];
  readonly add?: readonly { readonly name: string; readonly value: string }[];
  readonly remove?: readonly string[];
}

export type PathModifier =
  | { readonly type: 'ReplaceFullPath'; readonly replaceFullPath: string }
  | { readonly type: 'ReplacePrefixMatch'; readonly replacePrefixMatch: string };

export interface SessionPersistence {
  readonly sessionName?: string;
  readonly absoluteTimeout?: string;
  readonly idleTimeout?: string;
  readonly type: 'Cookie' | 'Header';
  readonly cookieConfig?: { readonly lifetimeType: 'Permanent' | 'Session' };
}
