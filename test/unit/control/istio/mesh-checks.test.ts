/**
 * Resources among others: what leads nowhere, what is at odds, and that a change redoes only what it touches.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Resource } from '../../../../src/model/resource.ts';
import type { ResourceChange } from '../../../../src/control/resource-index.ts';
import { MeshChecks } from '../../../../src/control/validate/mesh/mesh-checks.ts';
import { formatFinding } from '../../../../src/model/finding.ts';
import { validate } from './resources.ts';
import { validateDocument } from '../../../../src/control/validate/document.ts';

const NAMES = { domain: 'cluster.local', rootNamespace: 'istio-system' };

function read(
  kind: string,
  spec: string,
  place?: { readonly name?: string; readonly namespace?: string },
): Resource {
  const { resources, findings } = validate(kind, spec, place);
  assert.deepEqual(
    findings.filter(({ severity }) => severity === 'error'),
    [],
  );
  return resources[0]!;
}

function pod(name: string, labels: Record<string, string>, namespace = 'shop'): Resource {
  const status = { podIPs: [{ ip: `10.0.0.${name.length}` }] };
  const metadata = { name, namespace, labels };
  return validateDocument({ apiVersion: 'v1', kind: 'Pod', metadata, status }, '').resources[0]!;
}

const added = (resources: readonly Resource[]): ResourceChange[] =>
  resources.map((after) => ({ before: undefined, after }));

function findings(resources: readonly Resource[]): string[] {
  const checks = new MeshChecks(NAMES);
  checks.apply(added(resources));
  return lines(checks);
}

function lines(checks: MeshChecks): string[] {
  return checks
    .findings()
    .map(({ code, resource, path }) => `${code} ${resource} ${path}`)
    .sort();
}

const web = read('Service', '{ ports: [{ port: 80, name: http }] }', { name: 'web' });
const gateway = read(
  'Gateway',
  '{ servers: [{ port: { number: 80, name: a, protocol: HTTP }, hosts: ["*.example.com"] }] }',
  { name: 'gw' },
);
const secured = read(
  'Gateway',
  `{ selector: { app: gw }, servers: [{ port: { number: 443, name: a, protocol: HTTPS },
     hosts: ["*"], tls: { mode: SIMPLE, credentialName: cert } }] }`,
  { name: 'gw' },
);
const rule = (subset: string, name = 'web'): Resource =>
  read(
    'DestinationRule',
    `{ host: web, trafficPolicy: { loadBalancer: { simple: RANDOM } }, subsets: [{ name: ${subset} }] }`,
    { name },
  );
const routes = (
  destination: string,
  fields = 'hosts: [web]',
  place: { readonly name?: string; readonly namespace?: string } = {},
): Resource =>
  read(
    'VirtualService',
    `{ ${fields}, http: [{ route: [{ destination: { ${destination} } }] }] }`,
    place,
  );
const CASES: readonly (readonly [string, readonly Resource[], readonly string[]])[] = [
  ['all is there', [web, rule('v1'), routes('host: web, subset: v1, port: { number: 80 }')], []],
  [
    'a host that is not there',
    [routes('host: web')],
    ['HOST_UNKNOWN VirtualService shop/x spec.http[0].route[0].destination.host'],
  ],
  [
    'a short name is of its own namespace',
    [web, routes('host: web', 'hosts: [web]', { namespace: 'other' })],
    ['HOST_UNKNOWN VirtualService other/x spec.http[0].route[0].destination.host'],
  ],
  [
    'a ServiceEntry is a host, by wildcard too',
    [read('ServiceEntry', '{ hosts: ["*.example.com"] }'), routes('host: api.example.com')],
    [],
  ],
  [
    'a host and a subset that are not exported to the namespace',
    [
      read('ServiceEntry', '{ hosts: [a.org], exportTo: ["."] }', { namespace: 'other' }),
      web,
      read(
        'DestinationRule',
        '{ host: web.shop.svc.cluster.local, exportTo: ["."], subsets: [{ name: v1 }] }',
        { namespace: 'other' },
      ),
      routes('host: a.org', 'hosts: [a.org]', { name: 'a' }),
      routes('host: web, subset: v1', 'hosts: [web]', { name: 'b' }),
      routes('host: a.org', 'hosts: [b.org]', { name: 'c', namespace: 'other' }),
    ],
    [
      'HOST_UNKNOWN VirtualService shop/a spec.http[0].route[0].destination.host',
      'SUBSET_UNKNOWN VirtualService shop/b spec.http[0].route[0].destination.subset',
    ],
  ],
  [
    'a subset that is not there',
    [web, rule('v1'), routes('host: web, subset: v2')],
    ['SUBSET_UNKNOWN VirtualService shop/x spec.http[0].route[0].destination.subset'],
  ],
  [
    'a port that is not there',
    [web, routes('host: web, port: { number: 81 }')],
    ['PORT_UNKNOWN VirtualService shop/x spec.http[0].route[0].destination.port.number'],
  ],
  [
    'a gateway that is not there',
    [web, routes('host: web', 'hosts: [a.example.com], gateways: [gw]')],
    ['GATEWAY_UNKNOWN VirtualService shop/x spec.gateways'],
  ],
  [
    'a host its gateway does not serve',
    [web, gateway, routes('host: web', 'hosts: [a.example.com, b.org], gateways: [gw]')],
    ['HOST_UNKNOWN VirtualService shop/x spec.hosts[1]'],
  ],
  [
    'two VirtualServices for one host in the mesh: the older one wins',
    [
      web,
      { ...routes('host: web', 'hosts: [web]', { name: 'a' }), createdAt: 2 },
      {
        ...routes('host: web', 'hosts: [web.shop.svc.cluster.local]', { name: 'b' }),
        createdAt: 1,
      },
    ],
    ['HOST_CONFLICT VirtualService shop/a spec.hosts[0]'],
  ],
  [
    'two VirtualServices that no client sees both of',
    [
      web,
      routes('host: web', 'hosts: [a.org], exportTo: ["."]', { name: 'a' }),
      routes('host: web.shop.svc.cluster.local', 'hosts: [a.org], exportTo: ["."]', {
        name: 'b',
        namespace: 'other',
      }),
    ],
    [],
  ],
  [
    'two routes for everything at a gateway',
    [
      web,
      gateway,
      routes('host: web', 'hosts: [a.example.com], gateways: [gw]', { name: 'a' }),
      routes('host: web', 'hosts: [a.example.com], gateways: [gw]', { name: 'b' }),
    ],
    ['HOST_CONFLICT VirtualService shop/b spec.hosts[0]'],
  ],
  [
    'two DestinationRules for one host',
    [web, rule('v1', 'a'), rule('v1', 'b')],
    [
      'HOST_CONFLICT DestinationRule shop/b spec.subsets[0].name',
      'HOST_CONFLICT DestinationRule shop/b spec.trafficPolicy',
    ],
  ],
  [
    'a delegate that is not there',
    [read('VirtualService', '{ hosts: [web], http: [{ delegate: { name: d } }] }')],
    ['REFERENCE_UNKNOWN VirtualService shop/x spec.http[0].delegate.name'],
  ],
  [
    'a selector that matches nothing',
    [secured],
    ['SELECTOR_MATCHES_NOTHING Gateway shop/gw spec.selector'],
  ],
  [
    'a subset without pods',
    [
      web,
      read(
        'DestinationRule',
        '{ host: web, subsets: [{ name: a, labels: { v: "1" } }, { name: b, labels: { v: "2" } }] }',
      ),
      pod('p', { v: '1' }),
      pod('q', { v: '2' }, 'other'),
    ],
    ['SELECTOR_MATCHES_NOTHING DestinationRule shop/x spec.subsets[1].labels'],
  ],
  [
    'two PeerAuthentications for one namespace',
    ['a', 'b'].map((name) =>
      read('PeerAuthentication', '{ mtls: { mode: PERMISSIVE } }', { name }),
    ),
    ['SCOPE_CONFLICT PeerAuthentication shop/b spec'],
  ],
  [
    'a Sidecar for a host that is not there',
    [
      web,
      read(
        'Sidecar',
        '{ egress: [{ hosts: ["./web.shop.svc.cluster.local", "./db.shop.svc.cluster.local", "*/*"] }] }',
      ),
    ],
    ['HOST_UNKNOWN Sidecar shop/x spec.egress[0].hosts[1]'],
  ],
];

for (const [name, resources, expected] of CASES) {
  test(name, () => {
    assert.deepEqual(findings(resources), expected);
  });
}

test('change by change comes to the same as all at once', () => {
  const pool = CASES.flatMap(([, resources]) => resources);
  const steps = fc.array(fc.record({ index: fc.nat(pool.length - 1), present: fc.boolean() }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, (list) => {
      const checks = new MeshChecks(NAMES);
      const now = new Map<string, Resource>();
      for (const { index, present } of list) {
        const resource = pool[index]!;
        const before = now.get(resource.id);
        const after = present ? resource : undefined;
        if (before === after) continue;
        if (after === undefined) now.delete(resource.id);
        else now.set(resource.id, after);
        checks.apply([{ before, after }]);
      }
      const fresh = new MeshChecks(NAMES);
      fresh.apply(added([...now.values()]));
      const all = (one: MeshChecks): string[] => one.findings().map(formatFinding).sort();
      assert.deepEqual(all(checks), all(fresh));
    }),
    { numRuns: 500 },
  );
});

test('a change looks at what it touches, however large the mesh', () => {
  const checks = new MeshChecks(NAMES);
  const service = (index: number): Resource => ({
    ...web,
    id: `Service shop/s${index}`,
    name: `s${index}`,
  });
  const user = (index: number): Resource =>
    routes(`host: s${index}`, `hosts: [s${index}]`, { name: `v${index}` });
  const count = 2000;
  const services = [...Array(count).keys()].map(service);
  checks.apply(added(services.flatMap((one, index) => [one, user(index)])));
  assert.deepEqual(checks.findings(), []);
  // The one VirtualService that names it.
  assert.equal(checks.apply([{ before: services[7], after: undefined }]), 1);
  assert.equal(checks.findings().length, 1);
});

test('a preview replaces the resource of its id and leaves no trace', () => {
  const checks = new MeshChecks(NAMES);
  checks.apply(added([web, routes('host: web')]));
  assert.deepEqual(checks.preview(routes('host: web')), []);
  assert.deepEqual(
    checks.preview(routes('host: db')).map(({ code }) => code),
    ['HOST_UNKNOWN'],
  );
  assert.deepEqual(
    checks.preview(routes('host: web', 'hosts: [web]', { name: 'y' })).map(({ code }) => code),
    ['HOST_CONFLICT'],
  );
  assert.deepEqual(checks.findings(), []);
});
