/**
 * Istio and Gateway API resources by themselves: what is right is read as written, what is wrong is told with its field.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import gatewayApi from '../../../../src/control/schema/gateway-api.json' with { type: 'json' };
import istio from '../../../../src/control/schema/istio.json' with { type: 'json' };
import type { SchemaFile } from '../../../../src/control/schema/schema-file.ts';
import { object, summary, validate } from './resources.ts';
import { validateDocument } from '../../../../src/control/validate/document.ts';

const route = '{ route: [{ destination: { host: web } }] }';
const withRoute = (fields: string): string =>
  `{ hosts: [web], http: [{ route: [{ destination: { host: web } }], ${fields} }] }`;
const withMatch = (match: string): string => withRoute(`match: [${match}]`);

/** [kind, spec], spec in YAML */
const GOOD: readonly (readonly [string, string])[] = [
  ['VirtualService', `{ hosts: [web], http: [${route}] }`],
  ['VirtualService', withMatch('{ uri: { regex: "/v[0-9]+/.*" }, headers: { user: {} } }')],
  ['VirtualService', withMatch('{ withoutHeaders: { user: { regex: "*" } } }')],
  ['VirtualService', withMatch('{ headers: { "@request.auth.claims.group": { exact: a } } }')],
  ['VirtualService', withRoute('timeout: 1.5s, retries: { attempts: 3, retryOn: "5xx,503" }')],
  [
    'VirtualService',
    withRoute('fault: { abort: { httpStatus: 503, percentage: { value: 0.1 } } }'),
  ],
  ['VirtualService', withRoute('headers: { request: { set: { ":authority": a.b } } }')],
  [
    'VirtualService',
    `{ hosts: [web], http: [{ route: [
       { destination: { host: web, subset: a }, weight: 1 },
       { destination: { host: web, subset: b }, weight: 2 }] }] }`,
  ],
  ['VirtualService', '{ hosts: [a.b], gateways: [gw], http: [{ redirect: { uri: /x } }] }'],
  ['VirtualService', '{ hosts: [a.b], tcp: [{ route: [{ destination: { host: db } }] }] }'],
  ['VirtualService', `{ http: [${route}] }`],
  ['DestinationRule', '{ host: web, subsets: [{ name: v1, labels: { v: "1" } }] }'],
  [
    'DestinationRule',
    `{ host: web, trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true } },
       connectionPool: { tcp: { maxConnections: 10, connectTimeout: 30ms } },
       outlierDetection: { consecutive5xxErrors: 5, interval: 10s } } }`,
  ],
  [
    'Gateway',
    `{ selector: { app: gw }, servers: [
       { port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"], tls: { httpsRedirect: true } },
       { port: { number: 443, name: https, protocol: HTTPS }, hosts: [./a.b],
         tls: { mode: SIMPLE, credentialName: cert } }] }`,
  ],
  [
    'ServiceEntry',
    `{ hosts: [api.example.com], resolution: DNS, location: MESH_EXTERNAL,
       ports: [{ number: 443, name: tls, protocol: TLS }] }`,
  ],
  ['WorkloadEntry', '{ address: 10.0.0.1, labels: { app: vm }, weight: 2 }'],
  ['Sidecar', '{ egress: [{ hosts: ["./*", "istio-system/*"] }] }'],
  ['PeerAuthentication', '{ mtls: { mode: PERMISSIVE } }'],
  ['PeerAuthentication', '{ mtls: { mode: STRICT } }'],
  ['RequestAuthentication', '{ jwtRules: [{ issuer: a, jwksUri: "https://a.b/jwks" }] }'],
  ['Telemetry', '{ tracing: [{ randomSamplingPercentage: 10 }] }'],
  ['GatewayClass', '{ controllerName: podwire.io/gateway }'],
  [
    'ApiGateway',
    '{ gatewayClassName: podwire, listeners: [{ name: a, port: 80, protocol: HTTP }] }',
  ],
  [
    'HTTPRoute',
    '{ parentRefs: [{ name: gw }], rules: [{ backendRefs: [{ name: web, port: 80 }] }] }',
  ],
  ['GRPCRoute', '{ rules: [{ matches: [{ method: { service: a.B } }] }] }'],
  ['TCPRoute', '{ rules: [{ backendRefs: [{ name: db, port: 5432 }] }] }'],
  ['TLSRoute', '{ hostnames: [a.b], rules: [{ backendRefs: [{ name: db, port: 443 }] }] }'],
  [
    'ReferenceGrant',
    '{ from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a }], to: [{ group: "", kind: Service }] }',
  ],
];

for (const [kind, spec] of GOOD) {
  test(`${kind} ${spec.replaceAll(/\s+/g, ' ')}: nothing to say`, () => {
    const { resources, findings } = validate(kind, spec);
    assert.deepEqual(findings, []);
    const type = kind === 'ApiGateway' ? 'GatewayApiGateway' : kind;
    assert.deepEqual(
      resources.map((one) => one.kind),
      [type],
    );
  });
}

/** [kind, spec, findings]; "?" marks warnings, which leave the resource in */
const BAD: readonly (readonly [string, string, readonly string[]])[] = [
  ['VirtualService', '{ hosts: [web], htpp: [] }', ['FIELD_UNKNOWN spec.htpp']],
  ['VirtualService', '{ hosts: [web] }', ['FIELD_MISSING spec.http']],
  ['VirtualService', '{ hosts: web }', ['FIELD_INVALID spec.hosts']],
  ['VirtualService', '[]', ['FIELD_INVALID spec']],
  ['VirtualService', `{ hosts: ["a b"], http: [${route}] }`, ['FIELD_INVALID spec.hosts[0]']],
  ['VirtualService', `{ hosts: ["*"], http: [${route}] }`, ['FIELD_INVALID spec.hosts[0]']],
  ['VirtualService', `{ hosts: [a, a], http: [${route}] }`, ['FIELD_INVALID spec.hosts[1]']],
  ['VirtualService', '{ hosts: [a], http: [{}] }', ['FIELD_INVALID spec.http[0]']],
  ['VirtualService', withRoute('redirect: { uri: /x }'), ['FIELD_INVALID spec.http[0]']],
  [
    'VirtualService',
    withMatch('{ uri: { regex: "(" } }'),
    ['REGEX_INVALID spec.http[0].match[0].uri.regex'],
  ],
  [
    'VirtualService',
    withMatch('{ uri: { regex: "(?=a)" } }'),
    ['REGEX_INVALID spec.http[0].match[0].uri.regex'],
  ],
  [
    'VirtualService',
    withMatch('{ uri: { exact: /a, prefix: /b } }'),
    ['FIELD_INVALID spec.http[0].match[0].uri'],
  ],
  [
    'VirtualService',
    withMatch('{ headers: { "a b": {} } }'),
    ["FIELD_INVALID spec.http[0].match[0].headers['a b']"],
  ],
  ['VirtualService', withRoute('timeout: soon'), ['FIELD_INVALID spec.http[0].timeout']],
  [
    'VirtualService',
    withRoute('retries: { attempts: -1 }'),
    ['FIELD_INVALID spec.http[0].retries.attempts'],
  ],
  [
    'VirtualService',
    withRoute('retries: { retryOn: always }'),
    ['FIELD_INVALID spec.http[0].retries.retryOn'],
  ],
  [
    'VirtualService',
    withRoute('fault: { abort: { httpStatus: 503, percentage: { value: 101 } } }'),
    ['FIELD_INVALID spec.http[0].fault.abort.percentage.value'],
  ],
  [
    'VirtualService',
    '{ hosts: [a], http: [{ route: [{ destination: { host: a } }, { destination: { host: b } }] }] }',
    ['WEIGHTS_INVALID spec.http[0].route'],
  ],
  [
    'VirtualService',
    `{ hosts: [a], http: [{ route: [
       { destination: { host: a }, weight: 80 }, { destination: { host: b }, weight: 10 }] }] }`,
    ['WEIGHTS_INVALID? spec.http[0].route'],
  ],
  [
    'VirtualService',
    `{ hosts: [a], http: [${route}, { match: [{ uri: { prefix: /x } }], ${route.slice(1)}] }`,
    ['ROUTE_UNREACHABLE? spec.http[1].match[0]'],
  ],
  [
    'VirtualService',
    `{ hosts: [a], http: [{ match: [{ uri: { prefix: /a } }], ${route.slice(1)},
       { match: [{ uri: { exact: /ab }, method: { exact: GET } }, { uri: { prefix: / } }], ${route.slice(1)}] }`,
    ['ROUTE_UNREACHABLE? spec.http[1].match[0]'],
  ],
  [
    'VirtualService',
    withMatch('{ statPrefix: a, uri: { exact: /a } }'),
    ['NOT_SUPPORTED? spec.http[0].match[0].statPrefix'],
  ],
  ['DestinationRule', '{ subsets: [] }', ['FIELD_MISSING spec.host']],
  [
    'DestinationRule',
    '{ host: web, subsets: [{ name: a }, { name: a }] }',
    ['FIELD_INVALID spec.subsets[1].name'],
  ],
  [
    'DestinationRule',
    '{ host: web, trafficPolicy: { loadBalancer: { simple: FASTEST } } }',
    ['FIELD_INVALID spec.trafficPolicy.loadBalancer.simple'],
  ],
  [
    'DestinationRule',
    '{ host: web, trafficPolicy: { outlierDetection: { maxEjectionPercent: 150 } } }',
    ['FIELD_INVALID spec.trafficPolicy.outlierDetection.maxEjectionPercent'],
  ],
  [
    'DestinationRule',
    '{ host: web, trafficPolicy: { connectionPool: { tcp: { connectTimeout: 0s } } } }',
    ['FIELD_INVALID spec.trafficPolicy.connectionPool.tcp.connectTimeout'],
  ],
  [
    'DestinationRule',
    '{ host: web, trafficPolicy: { tls: { mode: MUTUAL } } }',
    ['FIELD_INVALID spec.trafficPolicy.tls'],
  ],
  [
    'DestinationRule',
    '{ host: web, trafficPolicy: { loadBalancer: { localityLbSetting: { distribute: [{ from: a, to: { b: 90 } }] } } } }',
    ['WEIGHTS_INVALID spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to'],
  ],
  ['Gateway', '{ servers: [] }', ['FIELD_MISSING spec.servers']],
  [
    'Gateway',
    '{ servers: [{ port: { number: 443, name: a, protocol: HTTPS }, hosts: [a.b] }] }',
    ['FIELD_MISSING spec.servers[0].tls'],
  ],
  [
    'Gateway',
    '{ servers: [{ port: { number: 99999, name: a, protocol: SMTP }, hosts: ["a/b/c"] }] }',
    [
      'FIELD_INVALID spec.servers[0].hosts[0]',
      'FIELD_INVALID spec.servers[0].port.number',
      'FIELD_INVALID spec.servers[0].port.protocol',
    ],
  ],
  ['ServiceEntry', '{ hosts: ["*"] }', ['FIELD_INVALID spec.hosts[0]']],
  [
    'ServiceEntry',
    '{ hosts: [a.b], addresses: [10.0.0.0/99] }',
    ['FIELD_INVALID spec.addresses[0]'],
  ],
  [
    'ServiceEntry',
    '{ hosts: [a.b], resolution: STATIC, endpoints: [{ address: a.b }] }',
    ['FIELD_INVALID spec.endpoints[0].address'],
  ],
  ['ServiceEntry', '{ hosts: ["*.b"], resolution: DNS }', ['FIELD_INVALID spec.hosts[0]']],
  ['WorkloadEntry', '{ address: "not an address" }', ['FIELD_INVALID spec.address']],
  ['WorkloadGroup', '{ template: { serviceAccount: a } }', ['NOT_SUPPORTED? spec.template']],
  ['Sidecar', '{ egress: [{ hosts: [web] }] }', ['FIELD_INVALID spec.egress[0].hosts[0]']],
  [
    'Sidecar',
    '{ egress: [{ hosts: ["./*"], captureMode: NONE }] }',
    ['NOT_SUPPORTED? spec.egress[0].captureMode'],
  ],
  ['PeerAuthentication', '{ mtls: { mode: SRTICT } }', ['POLICY_REFUSED spec.mtls.mode']],
  ['PeerAuthentication', '{ portLevelMtls: { "80": { mode: STRICT } } }', ['POLICY_REFUSED spec']],
  [
    'RequestAuthentication',
    '{ jwtRules: [{ jwks: "{}" }] }',
    ['POLICY_REFUSED spec.jwtRules[0].issuer'],
  ],
  [
    'RequestAuthentication',
    '{ jwtRules: [{ issuer: a, jwks: "{" }] }',
    ['POLICY_REFUSED spec.jwtRules[0].jwks'],
  ],
  [
    'RequestAuthentication',
    '{ targetRefs: [{ kind: Service, name: a }] }',
    ['POLICY_REFUSED spec.targetRefs[0]'],
  ],
  [
    'Telemetry',
    '{ tracing: [{ randomSamplingPercentage: 200 }] }',
    ['FIELD_INVALID spec.tracing[0].randomSamplingPercentage'],
  ],
  ['GatewayClass', '{}', ['FIELD_MISSING spec.controllerName']],
  ['ApiGateway', '{ gatewayClassName: a, listeners: [] }', ['FIELD_INVALID spec.listeners']],
  [
    'ApiGateway',
    '{ gatewayClassName: a, listeners: [{ name: a, port: 80, protocol: HTTP }, { name: a, port: 81, protocol: HTTP }] }',
    ['FIELD_INVALID spec.listeners', 'FIELD_INVALID spec.listeners[1]'],
  ],
  [
    'HTTPRoute',
    '{ rules: [{ backendRefs: [{ name: web }] }] }',
    ['FIELD_INVALID spec.rules[0].backendRefs[0]'],
  ],
  [
    'HTTPRoute',
    '{ rules: [{ backendRefs: [{ name: web, port: 80, weight: 0 }] }] }',
    ['WEIGHTS_INVALID? spec.rules[0].backendRefs'],
  ],
  [
    'HTTPRoute',
    '{ rules: [{ matches: [{ path: { type: RegularExpression, value: "[" } }] }] }',
    ['REGEX_INVALID spec.rules[0].matches[0].path.value'],
  ],
  [
    'HTTPRoute',
    '{ rules: [{ timeouts: { request: 1h30 } }] }',
    ['FIELD_INVALID spec.rules[0].timeouts.request'],
  ],
  [
    'GatewayClass',
    '{ controllerName: podwire.io/gateway-controller, parametersRef: { group: "", kind: ConfigMap, name: a } }',
    ['NOT_SUPPORTED? spec.parametersRef'],
  ],
  [
    'HTTPRoute',
    `{ rules: [{ matches: [{ path: { type: Exact, value: /a } }],
       filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /b } } }] }] }`,
    ['FIELD_INVALID spec.rules[0].filters[0]'],
  ],
  [
    'GRPCRoute',
    '{ rules: [{ matches: [{ method: { type: Exact } }] }] }',
    ['FIELD_INVALID spec.rules[0].matches[0].method'],
  ],
  ['TCPRoute', '{}', ['FIELD_MISSING spec.rules']],
  ['ReferenceGrant', '{ from: [], to: [] }', ['FIELD_INVALID spec.from', 'FIELD_INVALID spec.to']],
];

for (const [kind, spec, expected] of BAD) {
  test(`${kind} ${spec.replaceAll(/\s+/g, ' ')}: ${expected.join(', ')}`, () => {
    const { resources, findings } = validate(kind, spec);
    assert.deepEqual(summary(findings), expected);
    for (const { message, fix } of findings) assert.ok(message !== '' && fix !== '');
    const refused = expected.some((text) => !text.includes('?'));
    const closed = expected.some((text) => text.startsWith('POLICY_REFUSED'));
    assert.equal(resources.length, refused && !closed ? 0 : 1);
    if (closed) assert.ok(resources[0]!.kind === 'AuthorizationPolicy' && resources[0]!.refused);
  });
}

test('a refused security resource closes what it selects, under its own id', () => {
  const spec = '{ selector: { matchLabels: { app: a } }, mtls: { mode: 1 } }';
  const [closed] = validate('PeerAuthentication', spec).resources;
  assert.ok(closed?.kind === 'AuthorizationPolicy');
  assert.equal(closed.id, 'PeerAuthentication shop/x');
  assert.equal(closed.name, 'PeerAuthentication_x');
  assert.deepEqual(closed.target, { type: 'labels', labels: new Map([['app', 'a']]) });
  assert.deepEqual(closed.policy, { action: 'DENY', rules: [{ clauses: [] }], dryRun: false });
});

test('a policy keeps its rules as written; CUSTOM closes and AUDIT enforces nothing until requests are seen', () => {
  const spec = (action: string): string =>
    `{ action: ${action}, provider: { name: p }, rules: [{ to: [{ operation: { paths: [/a] } }] }] }`;
  const read = (action: string) => {
    const [policy] = validate('AuthorizationPolicy', spec(action)).resources;
    assert.ok(policy?.kind === 'AuthorizationPolicy');
    assert.deepEqual(policy.l7?.rules, [{ to: [{ operation: { paths: ['/a'] } }] }]);
    assert.equal(policy.l7.action, action);
    return policy;
  };
  assert.equal(read('ALLOW').refused, false);
  assert.equal(read('CUSTOM').refused, true);
  assert.deepEqual(read('AUDIT').policy.rules, []);
});

test('defaults of the schema are filled in', () => {
  const { resources } = validate(
    'HTTPRoute',
    '{ rules: [{ backendRefs: [{ name: web, port: 80 }] }] }',
  );
  assert.ok(resources[0]?.kind === 'HTTPRoute');
  const [rule] = resources[0].spec.rules!;
  assert.deepEqual(rule!.matches, [{ path: { type: 'PathPrefix', value: '/' } }]);
  assert.deepEqual(rule!.backendRefs, [
    { group: '', kind: 'Service', name: 'web', port: 80, weight: 1 },
  ]);
});

test('the two Gateways are two kinds with two ids', () => {
  const [istio] = validate(
    'Gateway',
    '{ servers: [{ port: { number: 80, name: a, protocol: HTTP }, hosts: [a.b] }] }',
  ).resources;
  const [api] = validate(
    'ApiGateway',
    '{ gatewayClassName: a, listeners: [{ name: a, port: 80, protocol: HTTP }] }',
  ).resources;
  assert.equal(istio?.id, 'Gateway shop/x');
  assert.equal(api?.id, 'Gateway.gateway.networking.k8s.io shop/x');
});

test('unknown fields beside spec and unknown versions are errors', () => {
  const one = { ...object('VirtualService', `{ hosts: [web], http: [${route}] }`), specs: {} };
  assert.deepEqual(summary(validateDocument(one, '').findings), ['FIELD_UNKNOWN specs']);
  const old = { ...one, apiVersion: 'networking.istio.io/v1alpha1', specs: undefined };
  delete (old as { specs?: unknown }).specs;
  assert.deepEqual(summary(validateDocument(old, '').findings), ['FIELD_INVALID apiVersion']);
});

test('a field of a newer CRD, which an API server has taken, costs the field alone', () => {
  const newer = `{ hosts: [web], colour: red, http: [{ route: [{ destination: { host: web, zone: a } }] }] }`;
  const admitted = { admitted: true };
  const { resources, findings } = validateDocument(object('VirtualService', newer), '', admitted);
  assert.deepEqual(summary(findings), [
    'FIELD_UNKNOWN? spec.colour',
    'FIELD_UNKNOWN? spec.http[0].route[0].destination.zone',
  ]);
  assert.equal(resources.length, 1);
  const security = object('PeerAuthentication', '{ colour: red }');
  const closed = validateDocument(security, '', admitted);
  assert.deepEqual(summary(closed.findings), ['POLICY_REFUSED spec.colour']);
});

test('patterns and expressions of a hostile resource take linear time', () => {
  const started = performance.now();
  const long = `${'a'.repeat(200_000)}!`;
  validate('HTTPRoute', `{ hostnames: [${JSON.stringify(long)}] }`);
  validate(
    'VirtualService',
    withMatch(`{ uri: { regex: ${JSON.stringify('(a*)*'.repeat(200))} } }`),
  );
  validate('VirtualService', withMatch(`{ uri: { regex: "((a{1000}){1000}){1000}" } }`));
  validate('DestinationRule', JSON.stringify({ host: long, subsets: [] }));
  assert.ok(performance.now() - started < 5000);
});

test('the schemas are JSON schemas', () => {
  // At run time they are taken for such, which saves the time to look.
  const json = new Ajv({ strict: false, validateFormats: false });
  for (const { kinds } of [istio, gatewayApi] as unknown as SchemaFile[]) {
    for (const { spec } of Object.values(kinds)) {
      assert.equal(json.validateSchema(spec), true, json.errorsText());
    }
  }
});
