/**
 * Random Gateways and routes, as validation lets them through: right in shape, with references that may lead nowhere.
 */
import fc from 'fast-check';
import type { ApiRoute } from '../../../../src/control/translate/l7/gateway-api/view.ts';
import type {
  ApiRouteFilter,
  BackendReference,
  GatewayApiGatewayResource,
  GatewayApiListener,
  HttpApiRouteMatch,
  HttpApiRouteRule,
} from '../../../../src/model/resource/gateway-api.ts';
import { gatewayOf, GROUP, meta, toGateway, toService } from './world.ts';

const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
/** without the keys that are undefined */
const sparse = <T extends object>(shape: Record<keyof T & string, fc.Arbitrary<unknown>>) =>
  fc
    .record<Record<string, unknown>>(shape)
    .map((found) =>
      Object.fromEntries(Object.entries(found).filter(([, one]) => one !== undefined)),
    ) as unknown as fc.Arbitrary<T>;
const pick = fc.constantFrom;
/** the first nine times out of ten */
const mostly = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: pick(...others) });

const HOSTS = ['a.x', 'b.x', '*.x', '*.a.x', 'c.a.x', 'y', '*.z'] as const;
const hostname = pick(...HOSTS);
const value = pick('', '1', '100%', '%REQ(x)%', 'a b', '\\1', 'ü', '"');
const name = pick('x-a', 'X-B', 'host', 'Host', 'cookie', 'te');
const pathText = pick('/', '/a', '/a/', '/a/b', '/f.o', '/a b', '//', '/\\1');
const duration = pick('0s', '1ms', '1s', '1h', '10us', '1m30s');

const match = sparse<HttpApiRouteMatch>({
  path: fc.oneof(
    fc.record({ type: pick('Exact', 'PathPrefix'), value: pathText }),
    fc.record({ type: fc.constant('RegularExpression'), value: pick('/a.*', '/[0-9]+', '.*') }),
  ),
  headers: maybe(
    fc.array(fc.record({ type: fc.constant('Exact'), name, value: pick('1', '2', '') }), {
      maxLength: 3,
    }),
  ),
  queryParams: maybe(
    fc.array(fc.record({ type: fc.constant('Exact'), name: pick('q', 'r'), value }), {
      maxLength: 2,
    }),
  ),
  method: maybe(pick('GET', 'POST')),
});

const grpcMatch = sparse<object>({
  method: maybe(
    fc.oneof(
      sparse<object>({
        type: fc.constant('Exact'),
        service: maybe(pick('p.S', 'q')),
        method: maybe(pick('M', 'Get')),
      }),
      sparse<object>({
        type: fc.constant('RegularExpression'),
        service: maybe(pick('p.*', 'a|b')),
        method: maybe(pick('M|N', '.*')),
      }),
    ),
  ),
  headers: maybe(
    fc.array(fc.record({ type: fc.constant('Exact'), name, value: pick('1', '2') }), {
      maxLength: 2,
    }),
  ),
});

const reference = sparse<BackendReference>({
  group: mostly('', 'x.example'),
  kind: mostly('Service', 'Bucket'),
  name: pick('a', 'b', 'hashed', 'gone'),
  namespace: mostly(undefined, 'shop', 'other', 'third'),
  port: mostly<number | undefined>(80, 8080, 81, undefined),
  weight: pick(0, 1, 9),
});

const headers = fc.array(fc.record({ name, value }), { maxLength: 2 });
const modifier = fc.record({
  set: headers,
  add: headers,
  remove: fc.array(name, { maxLength: 2 }),
});
const newPath = maybe(
  fc.oneof(
    fc.record({ type: fc.constant('ReplaceFullPath'), replaceFullPath: pathText }),
    fc.record({
      type: fc.constant('ReplacePrefixMatch'),
      replacePrefixMatch: fc.oneof(pathText, fc.constant('')),
    }),
  ),
);
const filter = fc.oneof(
  fc.record({ type: fc.constant('RequestHeaderModifier'), requestHeaderModifier: modifier }),
  fc.record({ type: fc.constant('ResponseHeaderModifier'), responseHeaderModifier: modifier }),
  fc.record({
    type: fc.constant('RequestMirror'),
    requestMirror: sparse<object>({
      backendRef: reference,
      percent: maybe(fc.integer({ min: 0, max: 100 })),
      fraction: maybe(fc.record({ numerator: pick(0, 1, 7), denominator: pick(1, 7, 1000) })),
    }),
  }),
  fc.record({
    type: fc.constant('RequestRedirect'),
    requestRedirect: sparse<object>({
      scheme: maybe(pick('http', 'https')),
      hostname: maybe(pick('h.example')),
      path: newPath,
      port: maybe(pick(80, 443, 8443)),
      statusCode: pick(301, 302),
    }),
  }),
  fc.record({
    type: fc.constant('URLRewrite'),
    urlRewrite: sparse<object>({ hostname: maybe(pick('h.example')), path: newPath }),
  }),
  fc.record({
    type: fc.constant('CORS'),
    cors: fc.record({
      allowOrigins: fc.subarray(['*', 'https://a.x', 'https://*.x']),
      allowMethods: fc.subarray(['GET', '*']),
      allowCredentials: fc.boolean(),
      maxAge: fc.nat(10),
    }),
  }),
  fc.record({ type: fc.constant('ExtensionRef') }),
) as fc.Arbitrary<ApiRouteFilter>;
const filters = fc.option(fc.array(filter, { maxLength: 2 }), { nil: undefined, freq: 1 });

const backendRefs = maybe(
  fc.array(
    fc.tuple(reference, filters).map(([ref, own]) => ({ ...ref, ...(own && { filters: own }) })),
    { maxLength: 3 },
  ),
);
const sessionPersistence = maybe(
  sparse<object>({
    sessionName: maybe(pick('s')),
    type: pick('Cookie', 'Header'),
    absoluteTimeout: maybe(duration),
    idleTimeout: maybe(duration),
    cookieConfig: maybe(fc.record({ lifetimeType: pick('Permanent', 'Session') })),
  }),
);

const httpRule = sparse<HttpApiRouteRule>({
  name: maybe(pick('n')),
  matches: fc.array(match, { maxLength: 3 }),
  filters,
  backendRefs,
  timeouts: maybe(sparse<object>({ request: maybe(duration), backendRequest: maybe(duration) })),
  retry: maybe(
    sparse<object>({
      codes: maybe(fc.subarray([500, 503])),
      attempts: maybe(fc.nat(3)),
      backoff: maybe(duration),
    }),
  ),
  sessionPersistence,
});
const grpcRule = sparse<object>({
  name: maybe(pick('n')),
  matches: maybe(fc.array(grpcMatch, { maxLength: 3 })),
  filters,
  backendRefs,
  sessionPersistence,
});
const l4Rule = sparse<object>({ backendRefs: maybe(fc.array(reference, { maxLength: 3 })) });

const section = mostly(undefined, 'l0', 'l1', 'http', 'gone');
const parent = fc
  .tuple(
    pick(toGateway('shop/gw'), toService('shop/a')),
    section,
    mostly<number | undefined>(undefined, 80, 443, 8080),
  )
  .map(([to, sectionName, port]) => ({
    ...to,
    ...(sectionName === undefined ? {} : { sectionName }),
    ...(port === undefined ? {} : { port }),
  }));

/** the names of several are distinct: see routes */
export const route: fc.Arbitrary<ApiRoute> = fc
  .tuple(
    pick('HTTPRoute', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'),
    pick('shop', 'other'),
    maybe(fc.nat(3)),
    maybe(fc.array(hostname, { maxLength: 2 })),
    fc.array(parent, { minLength: 1, maxLength: 2 }),
  )
  .chain(([kind, namespace, createdAt, hostnames, parentRefs]) => {
    const rule = kind === 'HTTPRoute' ? httpRule : kind === 'GRPCRoute' ? grpcRule : l4Rule;
    return maybe(fc.array(rule as fc.Arbitrary<object>, { maxLength: 3 })).map((rules) => ({
      ...meta(kind, `${namespace}/r`, createdAt),
      spec: {
        parentRefs,
        ...(hostnames === undefined || kind === 'TCPRoute' ? {} : { hostnames }),
        ...(rules === undefined ? {} : { rules }),
      },
    })) as unknown as fc.Arbitrary<ApiRoute>;
  });

export const routes: fc.Arbitrary<ApiRoute[]> = fc.array(route, { maxLength: 6 }).map((all) =>
  all.map((one, index) => {
    const own = `r${index}`;
    return { ...one, name: own, id: `${one.kind} ${one.namespace}/${own}` };
  }),
);

const secretReference = fc.record({
  group: fc.constant(''),
  kind: pick('Secret', 'Secret', 'ConfigMap'),
  name: pick('cert', 'ca', 'gone'),
});
const listener = sparse<GatewayApiListener>({
  name: fc.constant('x'),
  hostname: maybe(hostname),
  port: pick(80, 443, 8080),
  protocol: pick('HTTP', 'HTTP', 'HTTPS', 'HTTPS', 'TLS', 'TCP', 'UDP'),
  tls: maybe(
    sparse<object>({
      mode: pick('Terminate', 'Terminate', 'Passthrough'),
      certificateRefs: maybe(fc.array(secretReference, { maxLength: 2 })),
      frontendValidation: maybe(
        fc.record({ caCertificateRefs: fc.array(secretReference, { maxLength: 2 }) }),
      ),
    }),
  ),
  allowedRoutes: sparse<object>({
    namespaces: fc.record({ from: pick('All', 'All', 'Same', 'Selector') }),
    kinds: maybe(
      fc.array(
        fc.record({ group: fc.constant(GROUP), kind: pick('HTTPRoute', 'GRPCRoute', 'X') }),
        { maxLength: 2 },
      ),
    ),
  }),
});

/** side by side on one port */
const siblings = fc
  .uniqueArray(pick(undefined, ...HOSTS), { minLength: 2, maxLength: 4 })
  .map((hosts) =>
    hosts.map((host) => ({
      allowedRoutes: { namespaces: { from: 'All' as const } },
      ...(host === undefined ? {} : { hostname: host }),
    })),
  );

export const gateway: fc.Arbitrary<GatewayApiGatewayResource> = fc
  .oneof(fc.array(listener, { minLength: 1, maxLength: 4 }), siblings)
  .map((all) => gatewayOf(all.map((one, index) => ({ ...one, name: `l${index}` }))));
