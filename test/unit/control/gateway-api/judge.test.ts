/**
 * Resources of the Gateway API among others, as the translation judges them: what findings say, and that a change redoes
 * only what it touches.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ResourceChange } from '../../../../src/control/resource-index.ts';
import { validateDocument } from '../../../../src/control/validate/document.ts';
import { MeshTranslator } from '../../../../src/control/translate/mesh.ts';
import { translateOptions } from '../../../../src/control/translate/options.ts';
import { formatFinding } from '../../../../src/model/finding.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import { validate } from '../istio/resources.ts';

function read(
  kind: string,
  spec: string,
  place?: { readonly name?: string; readonly namespace?: string },
): Resource {
  const { resources, findings } = validate(kind, spec, place);
  assert.deepEqual(findings, []);
  return resources[0]!;
}

function labelled(resource: Resource, labels: Record<string, string>): Resource {
  return { ...resource, labels: new Map(Object.entries(labels)) };
}

const added = (resources: readonly Resource[]): ResourceChange[] =>
  resources.map((after) => ({ before: undefined, after }));

function judged(resources: readonly Resource[]): MeshTranslator {
  const mesh = new MeshTranslator(translateOptions({ clusterId: 'c', trustDomain: 'td' }));
  mesh.apply(added(resources));
  return mesh;
}

const lines = (mesh: MeshTranslator): string[] =>
  mesh
    .findings()
    .map(({ code, resource, path }) => `${code} ${resource} ${path}`)
    .sort();

const web = read('Service', '{ ports: [{ port: 80, name: http }] }', { name: 'web' });
const gateway = (more = '', fields = ''): Resource =>
  read(
    'ApiGateway',
    `{ gatewayClassName: podwire, ${fields} listeners: [{ name: http, port: 80, protocol: HTTP, ${more} }] }`,
    { name: 'gw' },
  );
const route = (fields: string, place: { name?: string; namespace?: string } = {}): Resource =>
  read('HTTPRoute', `{ ${fields} }`, place);
const backend = 'rules: [{ backendRefs: [{ name: web, namespace: shop, port: 80 }] }]';
const to = (more = ''): string => `parentRefs: [{ name: gw, namespace: shop, ${more} }]`;
const other = { namespace: 'other' };
const grant = read(
  'ReferenceGrant',
  '{ from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other }], to: [{ group: "", kind: Service }] }',
);
const classOf = (name: string, controllerName: string): Resource =>
  read('GatewayClass', `{ controllerName: ${controllerName} }`, { name });

const CASES: readonly (readonly [string, readonly Resource[], readonly string[]])[] = [
  [
    'without its Gateway, its Service and its port',
    [
      web,
      route(
        'parentRefs: [{ name: gw }], rules: [{ backendRefs: [{ name: db, port: 80 }, { name: web, port: 81 }] }]',
      ),
    ],
    [
      'GATEWAY_UNKNOWN HTTPRoute shop/x spec.parentRefs[0].name',
      'HOST_UNKNOWN HTTPRoute shop/x spec.rules[0].backendRefs[0].name',
      'PORT_UNKNOWN HTTPRoute shop/x spec.rules[0].backendRefs[1].port',
    ],
  ],
  ['with all it needs', [web, gateway(), route(`${to()}, ${backend}`)], []],
  [
    'a listener that is not there',
    [web, gateway(), route(`${to('sectionName: https')}, ${backend}`)],
    ['REFERENCE_UNKNOWN HTTPRoute shop/x spec.parentRefs[0]'],
  ],
  [
    'a backend in another namespace without a ReferenceGrant',
    [web, route(backend, other)],
    ['REFERENCE_NOT_PERMITTED HTTPRoute other/x spec.rules[0].backendRefs[0]'],
  ],
  ['a backend in another namespace with a ReferenceGrant', [web, grant, route(backend, other)], []],
  [
    'a Gateway that admits its own namespace only',
    [web, grant, gateway(), route(`${to()}, ${backend}`, other)],
    ['REFERENCE_NOT_PERMITTED HTTPRoute other/x spec.parentRefs[0]'],
  ],
  [
    'a Gateway that admits namespaces by label',
    [
      web,
      grant,
      gateway(
        'allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { team: a } } } }',
      ),
      labelled(read('Namespace', '{}', { name: 'other' }), { team: 'a' }),
      route(`${to()}, ${backend}`, other),
    ],
    [],
  ],
  [
    'what a rule asks for and podwire has not',
    [
      web,
      gateway(),
      route(
        `${to()}, rules: [{ filters: [{ type: ExtensionRef, extensionRef: { group: a, kind: B, name: c } }] }]`,
      ),
    ],
    ['NOT_SUPPORTED HTTPRoute shop/x spec.rules[0].filters[0]'],
  ],
  [
    'what a Gateway asks for and podwire has not',
    [gateway('', 'addresses: [{ value: 10.0.0.1 }],')],
    ['NOT_SUPPORTED Gateway.gateway.networking.k8s.io shop/gw spec.addresses'],
  ],
  [
    'a GatewayClass that is not there',
    [{ ...gateway(), spec: { gatewayClassName: 'edge', listeners: [] } } as Resource],
    ['REFERENCE_UNKNOWN Gateway.gateway.networking.k8s.io shop/gw spec.gatewayClassName'],
  ],
  [
    'of another controller nothing is said',
    [
      web,
      classOf('podwire', 'example.com/other'),
      gateway('', 'addresses: [{ value: 10.0.0.1 }],'),
      route(`${to('sectionName: none')}, ${backend}`),
    ],
    [],
  ],
];
for (const [name, resources, expected] of CASES) {
  test(name, () => {
    assert.deepEqual(lines(judged(resources)), expected);
  });
}

test('change by change comes to the same as all at once', () => {
  const pool = CASES.flatMap(([, resources]) => resources);
  const steps = fc.array(fc.record({ index: fc.nat(pool.length - 1), present: fc.boolean() }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(steps, (list) => {
      const mesh = judged([]);
      const now = new Map<string, Resource>();
      for (const { index, present } of list) {
        const resource = pool[index]!;
        const before = now.get(resource.id);
        const after = present ? resource : undefined;
        if (before === after) continue;
        if (after === undefined) now.delete(resource.id);
        else now.set(resource.id, after);
        mesh.apply([{ before, after }]);
      }
      const fresh = judged([...now.values()]);
      const said = (one: MeshTranslator): string[] => one.findings().map(formatFinding).sort();
      const verdicts = (one: MeshTranslator): string[] =>
        one.judge
          .verdicts()
          .map((verdict) => JSON.stringify(verdict))
          .sort();
      assert.deepEqual(said(mesh), said(fresh));
      assert.deepEqual(verdicts(mesh), verdicts(fresh));
    }),
    { numRuns: 300 },
  );
});

test('a route that comes is judged, and not all the others of its Gateway', () => {
  const routes = [...Array(300).keys()].map((index) =>
    route(`${to()}, hostnames: [h${index}.example.com], ${backend}`, { name: `r${index}` }),
  );
  const mesh = judged([web, gateway(), ...routes]);
  const before = mesh.compiledUnits;
  mesh.apply([{ before: routes[7], after: { ...routes[7]! } }]);
  const cost = mesh.compiledUnits - before;
  assert.ok(cost <= 3, `${cost} units`);
});

test('the Services of a Gateway’s pods are its addresses', () => {
  const service = (name: string, more: object): Resource => {
    const selector = { 'gateway.networking.k8s.io/gateway-name': 'gw' };
    const spec = { selector, ports: [{ port: 80 }], clusterIP: '10.0.0.9' };
    const one = { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
    const { resources, findings } = validateDocument({ ...one, ...more }, name);
    assert.deepEqual(findings, []);
    return resources[0]!;
  };
  const addresses = (...resources: Resource[]): string[] =>
    judged([gateway(), ...resources])
      .judge.verdicts()
      .flatMap((one) => (one.kind === 'gateway' ? one.addresses : []))
      .map(({ type, value }) => `${type} ${value}`);
  const ingress = [{ ip: '192.0.2.1' }, { hostname: 'lb.example.com' }];
  assert.deepEqual(addresses(), []);
  assert.deepEqual(addresses(service('a', {})), ['IPAddress 10.0.0.9']);
  assert.deepEqual(addresses(service('a', { status: { loadBalancer: { ingress } } })), [
    'IPAddress 192.0.2.1',
    'Hostname lb.example.com',
  ]);
  const asked = judged([
    gateway(
      '',
      'addresses: [{ value: 10.0.0.9 }, { type: Hostname, value: a.shop.svc.cluster.local }],',
    ),
    service('a', {}),
  ]);
  assert.deepEqual(
    lines(asked).filter((line) => line.includes('addresses')),
    [],
  );
});

test('a preview replaces the resource of its id and leaves no trace', () => {
  const good = route(`${to()}, ${backend}`);
  const mesh = judged([web, gateway(), good]);
  const codes = (resource: Resource): string[] =>
    mesh.judge.preview(resource).map(({ code }) => code);
  assert.deepEqual(codes(good), []);
  assert.deepEqual(codes(route('parentRefs: [{ name: none }]')), ['GATEWAY_UNKNOWN']);
  assert.deepEqual(codes(gateway('', 'addresses: [{ value: 10.0.0.1 }],')), ['NOT_SUPPORTED']);
  const grpc = (hosts: string): Resource =>
    read('GRPCRoute', `{ ${to()}, hostnames: [${hosts}], ${backend} }`, { name: 'y' });
  assert.deepEqual(codes(grpc('a.example.com')), ['HOST_CONFLICT'], 'the HTTPRoute has all hosts');
  assert.deepEqual(lines(mesh), []);
  assert.equal(mesh.judge.verdicts().length, 2);
});
