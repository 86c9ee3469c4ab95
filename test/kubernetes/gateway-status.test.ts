/**
 * Statuses of the Gateway API on a real API server with the CRDs of the Gateway API itself, which refuse what does not
 * have their shape: from the object through control and back.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlCore } from '../../src/control/core.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { KubernetesError } from '../../src/control/kubernetes/error.ts';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import { KubernetesSource } from '../../src/control/sources/kubernetes/source.ts';
import type { ApiStatus } from '../../src/control/status/gateway-api.ts';
import { StatusPublisher } from '../../src/control/status/publisher.ts';
import { SUPPORTED_FEATURES } from '../../src/control/status/supported-features.ts';
import { StatusWriter } from '../../src/control/status/writer.ts';
import { translateOptions } from '../../src/control/translate/options.ts';
import { CONTROLLER_NAME } from '../../src/model/resource/gateway-api.ts';
import { startControl } from '../support/control.ts';
import { installIstioKinds } from '../support/istiod.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { create, createNamespace, merge, remove } from './objects.ts';
import { QUICK, silentLog } from './recorder.ts';

const GROUP = 'gateway.networking.k8s.io';
const OTHER = 'example.com/other';
const V1 = `/apis/${GROUP}/v1`;
const CLASSES = `${V1}/gatewayclasses`;
const VERSIONS: Readonly<Record<string, readonly [version: string, plural: string]>> = {
  Gateway: ['v1', 'gateways'],
  HTTPRoute: ['v1', 'httproutes'],
  GRPCRoute: ['v1', 'grpcroutes'],
  TCPRoute: ['v1alpha2', 'tcproutes'],
  TLSRoute: ['v1alpha2', 'tlsroutes'],
  ReferenceGrant: ['v1beta1', 'referencegrants'],
};
const RESOLVED = 'ResolvedRefs True ResolvedRefs';
const THEIRS = {
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message: 'theirs',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};
const TAKEN = ['Accepted True Accepted', RESOLVED];

let kubernetes: Kubernetes;
let admin: KubernetesClient;
let world: Replica;

interface Replica {
  readonly writer: StatusWriter;
  readonly leader: { leading: boolean };
  close(): Promise<void>;
}

/** What control is as far as statuses go. */
async function replica(
  leading: boolean,
  client: Pick<KubernetesClient, 'call'> = admin,
): Promise<Replica> {
  const leader = { leading };
  const core: ControlCore = new ControlCore({
    sources: [
      new KubernetesSource({
        client: await loadClient({ kubeconfig: kubernetes.kubeconfig }),
        cluster: 'east',
        role: 'primary',
        rootNamespace: 'istio-system',
        log: silentLog,
        timing: QUICK,
      }),
    ],
    translate: translateOptions({ clusterId: 'east', trustDomain: 'cluster.local' }),
    log: silentLog,
    onUpdate: () => {},
    onOrigins: (origins) => publisher.changed(origins),
  });
  const writer = new StatusWriter({
    client,
    cluster: 'east',
    leader,
    ownership: core.ownership,
    log: silentLog,
    writesPerSecond: 200,
  });
  const publisher = new StatusPublisher(writer, () => core.reports());
  writer.start();
  await core.start();
  return {
    writer,
    leader,
    close: async () => {
      publisher.close();
      await writer.close();
      await core.close();
    },
  };
}

before(async () => {
  kubernetes = await startKubernetes();
  admin = kubernetes.admin;
  for (const namespace of ['shop', 'other']) await createNamespace(admin, namespace);
  await installIstioKinds(kubernetes);
  await gatewayClass('edge', CONTROLLER_NAME);
  await gatewayClass('theirs', OTHER);
  const selector = { [`${GROUP}/gateway-name`]: 'main' };
  await service('shop', 'web');
  await service('other', 'far');
  await service('shop', 'main', selector);
  world = await replica(true);
});
after(async () => {
  await world?.close();
  await kubernetes?.stop();
});

async function gatewayClass(name: string, controllerName: string): Promise<void> {
  const apiVersion = `${GROUP}/v1`;
  const spec = { controllerName };
  await create(admin, CLASSES, { apiVersion, kind: 'GatewayClass', metadata: { name }, spec });
}

async function service(
  namespace: string,
  name: string,
  selector: Record<string, string> = { app: name },
): Promise<void> {
  await create(admin, `/api/v1/namespaces/${namespace}/services`, {
    metadata: { name },
    spec: { selector, ports: [{ name: 'http', port: 80 }] },
  });
}

const pathOf = (kind: string, name: string, namespace = 'shop'): string => {
  const [version, plural] = VERSIONS[kind]!;
  return `/apis/${GROUP}/${version}/namespaces/${namespace}/${plural}/${name}`;
};

async function apply(
  kind: string,
  name: string,
  spec: Record<string, unknown>,
  namespace = 'shop',
): Promise<string> {
  const path = pathOf(kind, name, namespace);
  const apiVersion = `${GROUP}/${VERSIONS[kind]![0]}`;
  const collection = path.slice(0, path.lastIndexOf('/'));
  await create(admin, collection, { apiVersion, kind, metadata: { name }, spec });
  return path;
}

interface Read {
  readonly metadata: { readonly resourceVersion: string; readonly generation: number };
  readonly status?: ApiStatus;
}

const read = async (path: string): Promise<Read> => (await admin.call(path)) as Read;
const short = (conditions: ApiStatus['conditions'] = []): string[] =>
  conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`);

/** of podwire's entries, by the name of the parent */
async function parents(path: string): Promise<Record<string, string[]>> {
  const { status } = await read(path);
  const own = (status?.parents ?? []).filter((one) => one.controllerName === CONTROLLER_NAME);
  return Object.fromEntries(
    own.map(({ parentRef: { name, sectionName }, conditions }) => [
      sectionName === undefined ? name : `${name}/${sectionName}`,
      short(conditions),
    ]),
  );
}

async function reaches<T>(get: () => Promise<T>, expected: T, message?: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const found = await get();
    try {
      assert.deepEqual(found, expected, message);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(50);
  }
}

/** Nothing is written for longer than a change takes to come back. */
async function settled(): Promise<void> {
  for (let before = -1; before !== world.writer.writes; await sleep(1200)) {
    before = world.writer.writes;
  }
}

const attached = async (path: string): Promise<Record<string, number>> =>
  Object.fromEntries(
    ((await read(path)).status?.listeners ?? []).map((one) => [one.name, one.attachedRoutes]),
  );

const listener = (name: string, port: number, protocol = 'HTTP', more = {}) => ({
  name,
  port,
  protocol,
  ...more,
});
const web = [{ backendRefs: [{ name: 'web', port: 80 }] }];
const to = (name: string, more = {}) => ({ parentRefs: [{ name, ...more }] });

test('GatewayClasses: podwire’s are accepted with their features, others are left alone', async () => {
  await reaches(
    async () => short((await read(`${CLASSES}/edge`)).status?.conditions),
    ['Accepted True Accepted'],
  );
  assert.deepEqual((await read(`${CLASSES}/edge`)).status?.supportedFeatures, SUPPORTED_FEATURES);
  const theirs = (await read(`${CLASSES}/theirs`)).status?.conditions ?? [];
  // The CRD's own default.
  assert.deepEqual(short(theirs), ['Accepted Unknown Pending']);
});

test('a Gateway with routes of all kinds: listeners, addresses, and every parent', async (t) => {
  const everywhere = { allowedRoutes: { namespaces: { from: 'All' } } };
  const gateway = await apply('Gateway', 'main', {
    gatewayClassName: 'edge',
    listeners: [
      listener('http', 80, 'HTTP', { hostname: '*.example.com', ...everywhere }),
      listener('tcp', 5432, 'TCP'),
      listener('tls', 8443, 'TLS', { tls: { mode: 'Passthrough' } }),
      listener('https', 443, 'HTTPS', { tls: { certificateRefs: [{ name: 'none' }] } }),
      listener('udp', 53, 'UDP'),
    ],
  });
  t.after(() => remove(admin, gateway));
  await reaches(() => attached(gateway), { http: 0, tcp: 0, tls: 0, https: 0, udp: 0 });
  const { status, metadata } = await read(gateway);
  assert.deepEqual(short(status?.conditions), [
    'Accepted True ListenersNotValid',
    'Programmed True Programmed',
  ]);
  assert.equal(status?.conditions?.[0]?.observedGeneration, metadata.generation);
  const { spec } = (await admin.call('/api/v1/namespaces/shop/services/main')) as {
    spec: { clusterIP: string };
  };
  assert.deepEqual(status?.addresses, [{ type: 'IPAddress', value: spec.clusterIP }]);
  const good = [
    'Accepted True Accepted',
    'Programmed True Programmed',
    RESOLVED,
    'Conflicted False NoConflicts',
  ];
  const byName = new Map(status.listeners?.map((one) => [one.name, one]));
  for (const name of ['http', 'tcp', 'tls']) {
    assert.deepEqual(short(byName.get(name)?.conditions), good, name);
  }
  assert.deepEqual(short(byName.get('https')?.conditions), [
    'Accepted True Accepted',
    'Programmed False Invalid',
    'ResolvedRefs False InvalidCertificateRef',
    'Conflicted False NoConflicts',
  ]);
  assert.deepEqual(short(byName.get('udp')?.conditions).slice(0, 2), [
    'Accepted False UnsupportedProtocol',
    'Programmed False Invalid',
  ]);
  assert.deepEqual(byName.get('tls')?.supportedKinds, [{ group: GROUP, kind: 'TLSRoute' }]);

  const hosts = { hostnames: ['a.example.com'] };
  const routes = {
    http: await apply('HTTPRoute', 'web', { ...to('main'), ...hosts, rules: web }),
    grpc: await apply('GRPCRoute', 'api', {
      ...to('main', { sectionName: 'http' }),
      hostnames: ['b.example.com'],
      rules: web,
    }),
    tcp: await apply('TCPRoute', 'db', { ...to('main', { sectionName: 'tcp' }), rules: web }),
    tls: await apply('TLSRoute', 'raw', {
      ...to('main', { port: 8443 }),
      hostnames: ['c.example.com'],
      rules: web,
    }),
  };
  await reaches(() => parents(routes.http), { main: TAKEN });
  await reaches(() => parents(routes.grpc), { 'main/http': TAKEN });
  await reaches(() => parents(routes.tcp), { 'main/tcp': TAKEN });
  await reaches(() => parents(routes.tls), { main: TAKEN });
  // An HTTPRoute without a listener's name is on every listener that takes it.
  await reaches(() => attached(gateway), { http: 2, tcp: 1, tls: 1, https: 1, udp: 0 });

  const more = await apply('HTTPRoute', 'more', {
    ...to('main', { sectionName: 'http' }),
    ...hosts,
  });
  const far = await apply(
    'HTTPRoute',
    'far',
    {
      parentRefs: [
        { name: 'main', namespace: 'shop', sectionName: 'http' },
        { name: 'main', namespace: 'shop', sectionName: 'tcp' },
        { name: 'main', namespace: 'shop', sectionName: 'none' },
      ],
      ...hosts,
      rules: [{ backendRefs: [{ name: 'web', namespace: 'shop', port: 80 }] }],
    },
    'other',
  );
  const forbidden = 'ResolvedRefs False RefNotPermitted';
  await reaches(() => parents(far), {
    'main/http': ['Accepted True Accepted', forbidden],
    'main/tcp': ['Accepted False NotAllowedByListeners', forbidden],
    'main/none': ['Accepted False NoMatchingParent', forbidden],
  });
  await reaches(() => attached(gateway), { http: 4, tcp: 1, tls: 1, https: 1, udp: 0 });
  const grant = await apply('ReferenceGrant', 'far', {
    from: [{ group: GROUP, kind: 'HTTPRoute', namespace: 'other' }],
    to: [{ group: '', kind: 'Service' }],
  });
  await reaches(async () => (await parents(far))['main/http'], TAKEN);
  await remove(admin, grant);
  await reaches(async () => (await parents(far))['main/http']?.[1], forbidden);

  for (const path of [more, far, routes.tcp]) await remove(admin, path);
  await reaches(() => attached(gateway), { http: 2, tcp: 0, tls: 1, https: 1, udp: 0 });

  await settled();
  const { writes } = world.writer;
  const versions = await Promise.all(
    [gateway, routes.http, routes.grpc, routes.tls].map(
      async (path) => (await read(path)).metadata.resourceVersion,
    ),
  );
  // Another replica comes to the same, and has nothing to write when it is to lead.
  const other = await replica(true);
  t.after(() => other.close());
  await sleep(2500);
  assert.deepEqual([world.writer.writes, other.writer.writes], [writes, 0]);
  assert.deepEqual(
    await Promise.all(
      [gateway, routes.http, routes.grpc, routes.tls].map(
        async (path) => (await read(path)).metadata.resourceVersion,
      ),
    ),
    versions,
  );
  for (const path of [routes.http, routes.grpc, routes.tls]) await remove(admin, path);
});

test('why a route is not taken, or in part', async (t) => {
  const gateway = await apply('Gateway', 'narrow', {
    gatewayClassName: 'edge',
    listeners: [listener('http', 80, 'HTTP', { hostname: 'a.example.com' })],
  });
  t.after(() => remove(admin, gateway));
  const extension = {
    filters: [{ type: 'ExtensionRef', extensionRef: { group: 'a.b', kind: 'C', name: 'd' } }],
  };
  const cases: readonly (readonly [string, object, readonly string[]])[] = [
    [
      'host',
      { hostnames: ['b.example.com'], rules: web },
      ['Accepted False NoMatchingListenerHostname', RESOLVED],
    ],
    [
      'backend',
      { rules: [{ backendRefs: [{ name: 'none', port: 80 }] }] },
      ['Accepted True Accepted', 'ResolvedRefs False BackendNotFound'],
    ],
    [
      'kind',
      { rules: [{ backendRefs: [{ group: 'a.b', kind: 'Bucket', name: 'c' }] }] },
      ['Accepted True Accepted', 'ResolvedRefs False InvalidKind'],
    ],
    ['filter', { rules: [extension] }, ['Accepted False UnsupportedValue', RESOLVED]],
    ['some', { rules: [extension, ...web] }, [...TAKEN, 'PartiallyInvalid True UnsupportedValue']],
    // The CRD takes it; podwire's validator does not.
    [
      'regex',
      { rules: [{ matches: [{ path: { type: 'RegularExpression', value: '/(' } }] }] },
      ['Accepted False UnsupportedValue'],
    ],
  ];
  for (const [name, spec, expected] of cases) {
    const path = await apply('HTTPRoute', name, { ...to('narrow'), ...spec });
    await reaches(() => parents(path), { narrow: [...expected] }, name);
    await remove(admin, path);
  }
});

test('entries of others stay; podwire’s go when the parent is no longer its own', async (t) => {
  const listeners = [listener('http', 80)];
  const gateway = await apply('Gateway', 'moving', { gatewayClassName: 'edge', listeners });
  const route = await apply('HTTPRoute', 'shared', {
    parentRefs: [
      { name: 'moving' },
      { name: 'elsewhere' },
      { group: '', kind: 'Service', name: 'web' },
    ],
    rules: web,
  });
  t.after(() => remove(admin, route));
  t.after(() => remove(admin, gateway));
  const theirs = {
    parentRef: { group: GROUP, kind: 'Gateway', name: 'elsewhere' },
    controllerName: OTHER,
    conditions: [THEIRS],
  };
  await reaches(() => parents(route), { moving: TAKEN, web: TAKEN });
  const { status } = await read(route);
  const mixed = { parents: [theirs, ...(status?.parents ?? [])] };
  await admin.call(`${route}/status`, merge({ status: mixed }));
  await admin.call(gateway, merge({ spec: { gatewayClassName: 'theirs' } }));
  await reaches(() => parents(route), { web: TAKEN });
  assert.deepEqual((await read(route)).status?.parents?.[0], theirs);
  await settled();
  const gone = (await read(gateway)).status?.conditions?.[0];
  assert.equal(gone?.observedGeneration, 1, 'a Gateway of another controller is left alone');

  await admin.call(gateway, merge({ spec: { gatewayClassName: 'edge' } }));
  await reaches(() => parents(route), { web: TAKEN, moving: TAKEN });
  const own = (await read(route)).status?.parents?.find(
    ({ parentRef }) => parentRef.name === 'web',
  );
  const before = status?.parents?.find(({ parentRef }) => parentRef.name === 'web');
  assert.deepEqual(own, before, 'nothing about it has changed, nor has a time');
});

test('a change is observed: generation, and times of what is another status now', async (t) => {
  const listeners = [listener('http', 80)];
  const gateway = await apply('Gateway', 'aging', { gatewayClassName: 'edge', listeners });
  const route = await apply('HTTPRoute', 'aging', { ...to('aging'), rules: web });
  t.after(() => remove(admin, route));
  t.after(() => remove(admin, gateway));
  await reaches(() => parents(route), { aging: TAKEN });
  const conditionsOf = async () => (await read(route)).status?.parents?.[0]?.conditions ?? [];
  const first = await conditionsOf();
  // Times are whole seconds.
  await sleep(1100);
  const rules = [{ backendRefs: [{ name: 'none', port: 80 }] }];
  await admin.call(route, merge({ spec: { rules } }));
  await reaches(
    async () => (await conditionsOf()).map(({ observedGeneration }) => observedGeneration),
    [2, 2],
  );
  const second = await conditionsOf();
  assert.deepEqual(short(second), ['Accepted True Accepted', 'ResolvedRefs False BackendNotFound']);
  assert.equal(second[0]?.lastTransitionTime, first[0]?.lastTransitionTime);
  assert.notEqual(second[1]?.lastTransitionTime, first[1]?.lastTransitionTime);
});

/** Between the read and the write of podwire another controller writes. */
function meddling(
  t: TestContext,
  path: () => string,
): { client: Pick<KubernetesClient, 'call'>; conflicts: number } {
  let times = 2;
  const found = { client: { call }, conflicts: 0 };
  async function call(...[at, options]: Parameters<KubernetesClient['call']>): Promise<unknown> {
    if (options?.method === 'PATCH' && at === `${path()}/status` && times-- > 0) {
      const { status } = await read(path());
      const parentRef = { group: GROUP, kind: 'Gateway', name: `their-${times}` };
      const entry = { parentRef, controllerName: OTHER, conditions: [THEIRS] };
      const all = [...(status?.parents ?? []), entry];
      await admin.call(`${path()}/status`, merge({ status: { parents: all } }));
    }
    try {
      return await admin.call(at, options);
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 409) found.conflicts++;
      throw error;
    }
  }
  t.after(() => (times = 0));
  return found;
}

test('who comes in between is not overwritten: the write is done again', async (t) => {
  await settled();
  world.leader.leading = false;
  t.after(() => {
    world.leader.leading = true;
  });
  const path = pathOf('HTTPRoute', 'contested');
  const between = meddling(t, () => path);
  const other = await replica(true, between.client);
  t.after(() => other.close());
  await apply('HTTPRoute', 'contested', {
    parentRefs: [{ group: '', kind: 'Service', name: 'web' }],
    rules: web,
  });
  t.after(() => remove(admin, path));
  await reaches(() => parents(path), { web: TAKEN });
  assert.equal(between.conflicts, 2);
  const { status } = await read(path);
  assert.deepEqual(
    status?.parents?.map(({ parentRef: { name } }) => name),
    ['their-1', 'their-0', 'web'],
  );
});

test('podwire control, once it holds the Lease, writes the same', async (t) => {
  await settled();
  world.leader.leading = false;
  t.after(() => {
    world.leader.leading = true;
  });
  const folder = await mkdtemp(join(tmpdir(), 'podwire-gateway-status-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await createNamespace(admin, 'podwire-system');
  const more = ['--kubeconfig', kubernetes.kubeconfig, '--drain', '0'];
  const control = startControl(t, folder, ['--kubernetes', ...more]);
  await control.address();
  const path = await apply('HTTPRoute', 'late', {
    parentRefs: [{ group: '', kind: 'Service', name: 'web' }],
    rules: web,
  });
  t.after(() => remove(admin, path));
  await reaches(() => parents(path), { web: TAKEN });
});

interface Crd {
  readonly metadata: unknown;
  readonly spec: {
    readonly versions: readonly {
      readonly schema: {
        readonly openAPIV3Schema: {
          readonly properties: { readonly status: { properties: Record<string, unknown> } };
        };
      };
    }[];
  };
}

test('a GatewayClass whose CRD has no supportedFeatures, or others, is accepted without them', async (t) => {
  await settled();
  world.leader.leading = false;
  t.after(() => {
    world.leader.leading = true;
  });
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const strings = { type: 'array', items: { type: 'string' } };
  for (const [index, schema] of [undefined, strings].entries()) {
    const crd = (await admin.call(`${crds}/gatewayclasses.${GROUP}`)) as Crd;
    for (const { schema: one } of crd.spec.versions) {
      const { properties } = one.openAPIV3Schema.properties.status;
      if (schema === undefined) delete properties['supportedFeatures'];
      else properties['supportedFeatures'] = schema;
    }
    await admin.call(`${crds}/gatewayclasses.${GROUP}`, {
      method: 'PUT',
      body: crd as unknown as Record<string, unknown>,
    });
    // Schemas come into force a moment later.
    await sleep(1500);
    const one = await replica(true);
    t.after(() => one.close());
    await gatewayClass(`old-${index}`, CONTROLLER_NAME);
    const path = `${CLASSES}/old-${index}`;
    await reaches(
      async () => short((await read(path)).status?.conditions),
      ['Accepted True Accepted'],
    );
    assert.equal((await read(path)).status?.supportedFeatures, undefined);
    const { writes } = one.writer;
    await sleep(1500);
    assert.equal(one.writer.writes, writes, 'it is not tried again and again');
    one.leader.leading = false;
  }
});
