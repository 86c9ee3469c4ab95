/**
 * Which workloads get listeners, what is in them, and that a change touches no more than it must.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMeshConfig } from '../../../../src/control/mesh-config.ts';
import { InboundIndex } from '../../../../src/control/translate/l7/inbound/inbound-index.ts';
import { gatewayFilters } from '../../../../src/control/translate/l7/inbound/security-filters.ts';
import type { InboundWorkload } from '../../../../src/control/translate/l7/inbound/workload-ports.ts';
import type { HttpFilter } from '../../../../src/model/http-filter.ts';
import type { HttpConnectionManager, Listener } from '../../../../src/model/listener.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import { createCodec } from '../../../../src/xds/codec.ts';
import { RESOURCE_TYPES } from '../../../../src/xds/resource-types.ts';
import { policyResource } from './policy-arbitraries.ts';

const GET = { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };
const MESH = `
accessLogFile: /dev/stdout
pathNormalization: { normalization: MERGE_SLASHES }
extensionProviders:
- name: gate
  envoyExtAuthzHttp: { service: shop/gate.shop.svc, port: 8000, includeRequestHeadersInCheck: [x-user] }
- { name: lines, envoyFileAccessLog: { path: /dev/stderr, logFormat: { text: "%PROTOCOL%" } } }
- { name: jaeger, zipkin: { service: zipkin.istio-system.svc, port: 9411 } }
`;

function workload(name: string, more: Partial<InboundWorkload> = {}): InboundWorkload {
  return {
    uid: `c//Pod/shop/${name}`,
    namespace: 'shop',
    labels: new Map([['app', name]]),
    ports: new Map([
      [8080, { protocol: 'http', services: [name] }],
      [3306, { protocol: 'tcp', services: [name] }],
    ]),
    ...more,
  };
}

function resource(kind: string, name: string, spec: object, namespace = 'shop'): Resource {
  const id = `${kind} ${namespace}/${name}`;
  return { id, kind, name, namespace, file: 'f.yaml', labels: new Map(), spec } as Resource;
}

function index(resources: readonly Resource[], workloads = [workload('web')]) {
  const found = new InboundIndex('istio-system');
  const mesh = readMeshConfig(MESH, 'mesh.yaml');
  assert.deepEqual(mesh.findings, []);
  found.setMeshConfig(mesh.config);
  for (const one of resources) found.change(undefined, one);
  for (const one of workloads) found.setWorkload(one.uid, one);
  return { found, first: found.flush() };
}

function manager({ chains, defaultChain }: Listener): HttpConnectionManager {
  const handler = (defaultChain ?? chains[0])?.handler;
  assert.ok(handler?.type === 'http');
  return handler;
}

const kinds = (filters: readonly HttpFilter[]) =>
  filters.map((filter) => (filter.type === 'rbac' ? filter.rbac.rules?.action : filter.type));

test('filters stand in Istio’s order, in front of a route to where the client went', () => {
  const { found, first } = index([
    policyResource('shop', 'allow', GET),
    policyResource('shop', 'deny', { action: 'DENY', ...GET }),
    policyResource('shop', 'audit', { action: 'AUDIT', ...GET }),
    policyResource('shop', 'ask', { action: 'CUSTOM', provider: { name: 'gate' }, ...GET }),
    resource('RequestAuthentication', 'jwt', {
      jwtRules: [{ issuer: 'i', jwksUri: 'https://keys.example/jwks' }],
    }),
  ]);
  const [listener, ...more] = first.listeners.upserts;
  assert.deepEqual(more, []);
  assert.match(listener!.name, /^inbound\|8080\|shop\/[0-9a-f]{12}$/);
  assert.equal(listener!.name, `inbound|8080|${found.classOf('c//Pod/shop/web')}`);
  const { filters, mergeSlashes, routes } = manager(listener!);
  assert.deepEqual(kinds(filters), ['jwt', 'ext-authz', 'DENY', 'ALLOW', 'LOG', 'router']);
  assert.equal(mergeSlashes, true);
  assert.ok(JSON.stringify(routes).includes('"cluster":"inbound|8080||"'));
  assert.deepEqual(
    first.clusters.upserts.map(({ name }) => name),
    ['inbound|8080||'],
  );
  assert.deepEqual([...found.extensions().keys()].sort(), [
    'extension|443|https|keys.example',
    'extension|8000|http1|shop/gate.shop.svc',
  ]);
  const codec = createCodec();
  const bytes = RESOURCE_TYPES.listeners.encode(codec, listener!);
  const decoded = RESOURCE_TYPES.listeners.decode(codec, bytes);
  assert.ok(decoded.ok, JSON.stringify(decoded));
  assert.deepEqual(kinds(manager(decoded.value).filters), kinds(filters));
});

test('only what needs requests gets a listener', () => {
  const l4 = policyResource('shop', 'p', { rules: [{ to: [{ operation: { ports: ['8080'] } }] }] });
  assert.deepEqual(index([l4]).first.listeners.upserts, []);
  const other = policyResource('shop', 'p', {
    rules: [{ to: [{ operation: { methods: ['GET'], ports: ['9090'] } }] }],
  });
  assert.deepEqual(index([other]).first.listeners.upserts, []);
  const selected = { selector: { matchLabels: { app: 'web' } }, ...GET };
  const both = [workload('web'), workload('api')];
  const { found, first } = index([policyResource('shop', 'p', selected)], both);
  assert.equal(first.listeners.upserts.length, 1);
  assert.deepEqual(first.moved, ['c//Pod/shop/web']);
  assert.equal(found.classOf('c//Pod/shop/api'), '');
  const logging = resource('Telemetry', 't', { accessLogging: [{}] });
  assert.deepEqual(index([logging]).first.listeners.upserts, []);
});

test('an ALLOW policy beside it is in the listener too, an invalid one refuses', () => {
  const l4 = policyResource('istio-system', 'l4', { rules: [{}] });
  const bad = policyResource('shop', 'bad', { action: 'REFUSE' });
  const [listener] = index([policyResource('shop', 'p', GET), l4, bad]).first.listeners.upserts;
  const [deny, allow] = manager(listener!).filters;
  assert.ok(deny?.type === 'rbac' && allow?.type === 'rbac');
  assert.deepEqual([...deny.rbac.rules!.policies.keys()], ['ns[shop]-policy[bad]-refused']);
  assert.deepEqual([...allow.rbac.rules!.policies.keys()].sort(), [
    'ns[istio-system]-policy[l4]-rule[0]',
    'ns[shop]-policy[p]-rule[0]',
  ]);
});

test('an edit changes listeners and moves nobody; the last policy takes all with it', () => {
  const before = policyResource('shop', 'p', GET);
  const { found, first } = index([before], [workload('web'), workload('api')]);
  const names = first.listeners.upserts.map(({ name }) => name);
  assert.equal(new Set(['web', 'api'].map((n) => found.classOf(`c//Pod/shop/${n}`))).size, 1);
  const after = policyResource('shop', 'p', { action: 'DENY', ...GET });
  found.change(before, after);
  const second = found.flush();
  assert.deepEqual(second.moved, []);
  assert.deepEqual(
    second.listeners.upserts.map(({ name }) => name),
    names,
  );
  found.change(after, undefined);
  const third = found.flush();
  assert.deepEqual(third.listeners, { upserts: [], removals: names });
  assert.deepEqual(third.clusters.removals, ['inbound|8080||']);
  assert.deepEqual([...third.moved].sort(), ['c//Pod/shop/api', 'c//Pod/shop/web']);
  assert.equal(found.classOf('c//Pod/shop/web'), '');
  found.setWorkload('c//Pod/shop/new', workload('new'));
  assert.deepEqual(found.flush().moved, []);
});

test('an unnamed port is sniffed, and has no way past the policies', () => {
  const ports = new Map([[8080, { protocol: 'auto' as const, services: [] }]]);
  const [listener] = index([policyResource('shop', 'p', GET)], [workload('web', { ports })]).first
    .listeners.upserts;
  assert.equal(listener!.inspectHttp, true);
  assert.equal(listener!.defaultChain, undefined);
  assert.deepEqual(listener!.chains[0]!.match.applicationProtocols, [
    'http/1.0',
    'http/1.1',
    'h2c',
  ]);
});

test('policies attached to Services that share a port must all let through', () => {
  const attached = (name: string) =>
    policyResource('shop', name, { targetRefs: [{ kind: 'Service', name }], rules: [{}] });
  const ports = new Map([[8080, { protocol: 'http' as const, services: ['a', 'b', 'c'] }]]);
  const { first } = index([attached('a'), attached('b')], [workload('web', { ports })]);
  const { filters } = manager(first.listeners.upserts[0]!);
  assert.deepEqual(kinds(filters), ['ALLOW', 'ALLOW', 'router']);
});

test('a provider nobody has refuses what would be asked about, and is named', () => {
  const ask = { action: 'CUSTOM', provider: { name: 'none' }, ...GET };
  const { found, first } = index([policyResource('shop', 'ask', ask)]);
  assert.deepEqual(kinds(manager(first.listeners.upserts[0]!).filters), ['DENY', 'router']);
  assert.deepEqual(
    found.findings().map(({ code, path }) => [code, path]),
    [['PROVIDER_UNKNOWN', 'spec.provider.name']],
  );
});

test('what cannot be compared is found at its field, and closes', () => {
  const path = { rules: [{ to: [{ operation: { paths: ['/a/{**}/{*}'] } }] }] };
  const { found, first } = index([
    policyResource('shop', 'allow', path),
    policyResource('shop', 'deny', { action: 'DENY', ...path }),
  ]);
  const [deny, allow] = manager(first.listeners.upserts[0]!).filters;
  assert.ok(deny?.type === 'rbac' && allow?.type === 'rbac');
  assert.equal(allow.rbac.rules!.policies.size, 0);
  assert.deepEqual(
    [...deny.rbac.rules!.policies.values()],
    [{ permissions: [{ type: 'any' }], principals: [{ type: 'any' }] }],
  );
  assert.deepEqual(
    new Set(found.findings().map((finding) => finding.path)),
    new Set(['spec.rules[0].to[0].operation.paths[0]']),
  );
});

test('tokens: one rule, several, and keys nobody can get', () => {
  const rules = [
    { issuer: 'a', jwks: '{"keys":[]}', fromCookies: ['c'], forwardOriginalToken: true },
    { issuer: 'b' },
  ];
  const { found, first } = index([resource('RequestAuthentication', 'r', { jwtRules: rules })]);
  const [jwt] = manager(first.listeners.upserts[0]!).filters;
  assert.ok(jwt?.type === 'jwt');
  assert.equal(jwt.jwt.bypassCorsPreflight, true);
  const provider = (name: string) => ({ type: 'provider', provider: name, audiences: [] });
  const optional = (name: string) => ({
    type: 'any',
    of: [provider(name), { type: 'allow-missing' }],
  });
  const [a, b] = ['origins-0', 'origins-1'] as const;
  assert.deepEqual(jwt.jwt.rules[0]!.requires, {
    type: 'any',
    of: [provider(a), provider(b), { type: 'all', of: [optional(a), optional(b)] }],
  });
  assert.deepEqual(
    found.findings().map(({ path }) => path),
    ['spec.jwtRules[0].jwks', 'spec.jwtRules[1]'],
  );
});

test('the nearest Telemetry says where lines and spans go', () => {
  const settings = (...resources: readonly Resource[]) => {
    const { first } = index([policyResource('shop', 'p', GET), ...resources]);
    const { accessLog, tracing } = manager(first.listeners.upserts[0]!);
    return { logs: accessLog.map(({ path }) => path), sampling: tracing?.sampling };
  };
  const root = resource(
    'Telemetry',
    'mesh',
    {
      accessLogging: [{ providers: [{ name: 'lines' }] }],
      tracing: [{ providers: [{ name: 'jaeger' }], randomSamplingPercentage: 10 }],
    },
    'istio-system',
  );
  const own = (spec: object) => resource('Telemetry', 'own', spec);
  assert.deepEqual(settings(), { logs: ['/dev/stdout'], sampling: undefined });
  assert.deepEqual(settings(root), { logs: ['/dev/stderr'], sampling: 100_000 });
  assert.deepEqual(
    settings(
      root,
      own({ accessLogging: [{ disabled: true }], tracing: [{ randomSamplingPercentage: 0.5 }] }),
    ),
    { logs: [], sampling: 5000 },
  );
  assert.deepEqual(settings(root, own({ tracing: [{ disableSpanReporting: true }] })), {
    logs: ['/dev/stderr'],
    sampling: undefined,
  });
  assert.deepEqual(
    settings(own({ accessLogging: [{ match: { mode: 'CLIENT' }, disabled: true }] })),
    {
      logs: ['/dev/stdout'],
      sampling: undefined,
    },
  );
});

test('gateways get what is attached to them, and workloads do not', () => {
  const ref = {
    targetRefs: [{ kind: 'Gateway', group: 'gateway.networking.k8s.io', name: 'edge' }],
  };
  const policy = policyResource('shop', 'p', { ...ref, ...GET });
  assert.deepEqual(index([policy]).first.listeners.upserts, []);
  const { config } = readMeshConfig(MESH, 'mesh.yaml');
  assert.deepEqual(kinds(gatewayFilters('edge', [policy], [], config).filters), ['ALLOW']);
  assert.deepEqual(kinds(gatewayFilters('other', [policy], [], config).filters), []);
});
