/**
 * Which Secrets are read, and which node gets them: through the translation and the scopes of the server.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceChange } from '../../../src/control/resource-index.ts';
import { MeshScope } from '../../../src/control/scope/mesh-scope.ts';
import { NodeScopes } from '../../../src/control/scope/node-scopes.ts';
import type { Resource } from '../../../src/model/resource.ts';
import type { ServerTlsSettings } from '../../../src/model/resource/gateway.ts';
import { pod, resource, secret, service, Translated } from './l7/translated.ts';

const LABELS = { istio: 'gateway' };
const server = (tls: ServerTlsSettings, port = 443) => ({
  hosts: ['*'],
  port: { number: port, name: `https-${port}`, protocol: 'HTTPS' },
  tls,
});
const gateway = (path: string, credentialName = 'cert', more: Partial<ServerTlsSettings> = {}) =>
  resource('Gateway', path, {
    selector: LABELS,
    servers: [server({ mode: 'SIMPLE', credentialName, ...more })],
  });
const namespace = (name: string, createdAt: number) =>
  ({ ...resource('Namespace' as never, `/${name}`, {} as never), name, createdAt }) as Resource;

class Mesh {
  readonly translated = new Translated();
  readonly #scope = new MeshScope(() => this.translated.translator.visibility);
  readonly #nodes = new NodeScopes({
    ownCluster: 'Kubernetes',
    visibility: this.#scope.visibility,
    gateways: this.#scope.gateways,
  });
  readonly #agents = new Map(
    ['n1', 'n2', 'n3'].map((node) => {
      const identity = { trustDomain: 'cluster.local', namespace: 'p', serviceAccount: 'p' };
      return [node, this.#nodes.scopeOf({ identity, node })];
    }),
  );

  constructor(...resources: readonly Resource[]) {
    this.translated.onUpdate = (update) => {
      this.#scope.apply(update);
      this.#nodes.apply(update);
    };
    this.apply(...resources.map((after) => ({ before: undefined, after })));
  }

  apply(...changes: readonly ResourceChange[]): void {
    this.translated.apply(changes);
  }

  /** "n1: name name", of every node that gets any, when it asks for all there are */
  get secrets(): string[] {
    return [...this.#agents].flatMap(([node, scope]) => {
      scope.moved();
      const names = [...this.translated.secrets.values()]
        .filter((found) => scope.has('secrets', found.name, found))
        .map(({ name }) => name.replace('kubernetes://', ''));
      return names.length > 0 ? [`${node}: ${names.sort().join(' ')}`] : [];
    });
  }

  moved(node: string): readonly string[] {
    return this.#agents.get(node)!.moved();
  }

  get read(): string[] {
    return [...this.translated.translator.namedSecrets.names].sort();
  }

  get problems(): string[] {
    return this.translated.translator
      .findings()
      .filter(({ code }) => ['SECRET_UNKNOWN', 'SECRET_INVALID', 'SCOPE_CONFLICT'].includes(code))
      .map(({ code, resource: id, path, message }) => `${code} ${id} ${path} ${message}`);
  }
}

const AT = 'spec.servers[0].tls.credentialName';

test('a Secret is read when a Gateway names it, and is looked for where the gateway’s pods are', () => {
  const mesh = new Mesh(gateway('shop/gw'), secret('shop/cert'), secret('ingress/other'));
  assert.deepEqual(mesh.read, ['shop/cert'], 'no pods yet');
  const edge = pod('ingress/gw-1', '10.0.0.1', LABELS, 'n1');
  mesh.apply({ before: undefined, after: edge });
  assert.deepEqual(mesh.read, ['ingress/cert']);
  assert.deepEqual(mesh.problems, [
    `SECRET_UNKNOWN Gateway shop/gw ${AT} names the Secret ingress/cert, which does not exist`,
  ]);
  assert.equal(mesh.translated.listeners.size, 0, 'without its certificate it is not served');
  assert.deepEqual(mesh.secrets, []);

  const cert = secret('ingress/cert');
  mesh.apply({ before: undefined, after: cert });
  assert.deepEqual([mesh.problems, mesh.secrets], [[], ['n1: ingress/cert']]);
  assert.deepEqual([...mesh.translated.listeners.keys()], ['gateway|443|shop/gw']);
  const rotated = secret('ingress/cert', { certificate: 'NEW' });
  mesh.apply({ before: cert, after: rotated });
  const sent = mesh.translated.secrets.get('kubernetes://ingress/cert');
  assert.equal(sent?.type === 'certificate' && sent.chain, 'NEW');
  mesh.apply({ before: rotated, after: undefined });
  assert.equal(mesh.problems.length, 1);
});

test('without their Gateway Secrets are read no longer', () => {
  const named = gateway('edge/gw', 'cert', { mode: 'MUTUAL' });
  const mesh = new Mesh(named, secret('edge/cert', { caCertificates: 'ROOTS' }));
  assert.deepEqual(mesh.read, ['edge/cert', 'edge/cert-cacert']);
  mesh.apply({ before: named, after: undefined });
  assert.deepEqual([mesh.read, [...mesh.translated.secrets]], [[], []]);
});

test('mutual TLS without roots is not served', () => {
  const mesh = new Mesh(gateway('edge/gw', 'cert', { mode: 'MUTUAL' }), secret('edge/cert'));
  assert.equal(mesh.translated.listeners.size, 0);
  assert.deepEqual(mesh.problems, [
    `SECRET_INVALID Gateway edge/gw ${AT} Secret edge/cert has no ca.crt`,
  ]);
  mesh.apply({ before: undefined, after: secret('edge/cert-cacert', { caCertificates: 'R' }) });
  assert.deepEqual([mesh.translated.listeners.size, mesh.problems], [1, []]);
});

test('a Secret that was kept after a bad rotation is served and reported', () => {
  const mesh = new Mesh(gateway('edge/gw'), secret('edge/cert', { problem: 'is broken' }));
  assert.equal(mesh.translated.listeners.size, 1);
  assert.deepEqual(mesh.problems, [
    `SECRET_INVALID Gateway edge/gw ${AT} Secret edge/cert: is broken`,
  ]);
});

for (const credential of [
  'kubernetes://bank/cert',
  'kubernetes-gateway://bank/cert',
  'bank/cert',
]) {
  test(`a Gateway comes by no Secret of another namespace: ${credential}`, () => {
    const mesh = new Mesh(
      gateway('evil/gw', credential),
      pod('evil/gw-1', '10.0.0.1', LABELS, 'n1'),
      secret('bank/cert'),
    );
    assert.deepEqual([mesh.secrets, [...mesh.translated.secrets.keys()]], [[], []]);
    assert.ok(!mesh.read.includes('bank/cert'), mesh.read.join());
    assert.match(mesh.problems.join(), /names the Secret bank\/cert, which is not one of evil/);
  });
}

test('whoever labels his pod like the gateway’s gets neither its Secret nor its home', () => {
  const mine = pod('zzz/trap', '10.0.0.2', LABELS, 'n2');
  const mesh = new Mesh(
    namespace('ingress', 1),
    namespace('zzz', 2),
    gateway('shop/gw'),
    secret('ingress/cert'),
    pod('ingress/gw-1', '10.0.0.1', LABELS, 'n1'),
  );
  mesh.moved('n1');
  mesh.apply({ before: undefined, after: mine });
  assert.ok(mesh.moved('n1').includes('secrets'), 'it is looked at again');
  assert.deepEqual(mesh.secrets, ['n1: ingress/cert']);
  assert.match(
    mesh.problems.join(),
    /SCOPE_CONFLICT .* selects pods of ingress, zzz; .* of ingress/,
  );
  mesh.apply({ before: undefined, after: secret('zzz/cert') });
  assert.deepEqual(mesh.secrets, ['n1: ingress/cert']);
});

const EXT = 'api.example.com';
const external = resource('ServiceEntry', 'shop/ext', {
  hosts: [EXT],
  location: 'MESH_EXTERNAL',
  resolution: 'DNS',
  exportTo: ['*'],
  ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 443 }],
} as never);
const originate = (path: string, more: object = {}, credentialName = 'client') =>
  resource('DestinationRule', path, {
    host: EXT,
    trafficPolicy: { tls: { mode: 'MUTUAL', credentialName } },
    ...more,
  } as never);
const toExternal = (gateways?: readonly string[], path = 'edge/out') =>
  resource('VirtualService', path, {
    hosts: [EXT],
    ...(gateways && { gateways }),
    http: [{ route: [{ destination: { host: EXT } }] }],
  } as never);
const egress = resource('Gateway', 'edge/out', {
  selector: LABELS,
  servers: [{ hosts: ['*'], port: { number: 80, name: 'http', protocol: 'HTTP' } }],
});

test('TLS origination at a gateway: its nodes get the Secret, and other clients no TLS', () => {
  const rule = originate('edge/ext');
  const mesh = new Mesh(
    external,
    egress,
    toExternal(['mesh', 'out']),
    rule,
    secret('edge/client', { caCertificates: 'ROOTS' }),
    pod('edge/out-1', '10.0.0.1', LABELS, 'n1'),
    pod('edge/other', '10.0.0.2', { app: 'x' }, 'n2'),
    pod('shop/web', '10.0.0.3', { app: 'web' }, 'n3'),
  );
  const { clusters } = mesh.translated;
  const gatewayCluster = clusters.get(`outbound|80||${EXT}@edge~gateway`);
  assert.deepEqual(gatewayCluster?.tls?.certificates, ['kubernetes://edge/client']);
  assert.deepEqual(
    [...clusters].filter(([, { tls }]) => tls !== undefined).map(([name]) => name),
    [`outbound|80||${EXT}@edge~gateway`],
    'everybody else speaks plainly',
  );
  assert.ok(clusters.size > 1);
  assert.deepEqual(mesh.secrets, ['n1: edge/client edge/client-cacert']);
  mesh.apply({ before: rule, after: undefined });
  assert.deepEqual([mesh.secrets, mesh.read], [[], []]);
});

test('TLS origination of selected pods: their nodes get the Secret of their namespace', () => {
  const selecting = { workloadSelector: { matchLabels: { app: 'web' } } };
  const web = pod('shop/web', '10.0.0.3', { app: 'web' }, 'n3');
  const mesh = new Mesh(
    external,
    toExternal(undefined, 'shop/out'),
    originate('shop/ext', selecting),
    secret('shop/client', { caCertificates: 'ROOTS' }),
    pod('shop/other', '10.0.0.1', { app: 'x' }, 'n1'),
    pod('evil/web', '10.0.0.2', { app: 'web' }, 'n2'),
    web,
  );
  assert.deepEqual(mesh.secrets, ['n3: shop/client shop/client-cacert']);
  mesh.moved('n1');
  mesh.apply({ before: web, after: pod('shop/web', '10.0.0.3', { app: 'web' }, 'n1') });
  assert.ok(mesh.moved('n1').includes('secrets'));
  assert.deepEqual(mesh.secrets, ['n1: shop/client shop/client-cacert']);
});

test('a DestinationRule comes by no Secret of another namespace, and a missing one is reported', () => {
  const mesh = new Mesh(
    external,
    egress,
    toExternal(['out']),
    originate('edge/ext', {}, 'kubernetes://bank/client'),
    secret('bank/client', { caCertificates: 'ROOTS' }),
    pod('edge/out-1', '10.0.0.1', LABELS, 'n1'),
    service('bank/web', '10.96.0.1', { http: 80 }),
  );
  assert.deepEqual([mesh.secrets, [...mesh.translated.secrets.keys()]], [[], []]);
  assert.match(
    mesh.problems.join(),
    /SECRET_UNKNOWN DestinationRule edge\/ext spec.trafficPolicy.tls.credentialName names the Secret bank/,
  );
});
