/**
 * A cluster as a source, against a real API server: what is told, and that nothing is lost or doubled whatever happens.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { FlakyLink } from './flaky-link.ts';
import { create, createNamespace, installKind, merge, remove, runPod } from './objects.ts';
import { follow, type Recorder } from './recorder.ts';

let kubernetes: Kubernetes;
let admin: KubernetesClient;

before(async () => {
  kubernetes = await startKubernetes();
  admin = kubernetes.admin;
});
after(() => kubernetes.stop());

const client = () => loadClient({ kubeconfig: kubernetes.kubeconfig });

async function link(t: TestContext): Promise<{ link: FlakyLink; client: KubernetesClient }> {
  const flaky = new FlakyLink(kubernetes.apiPort);
  await flaky.open();
  t.after(() => flaky.close());
  return {
    link: flaky,
    client: await loadClient({ kubeconfig: kubernetes.kubeconfigFor(flaky.url) }),
  };
}

/** The pods the API server has with an address, as origins below `east/Pod/`. */
async function podsOfServer(): Promise<string[]> {
  const { items } = (await admin.call('/api/v1/pods')) as {
    items: { metadata: { namespace: string; name: string }; status: { podIP?: string } }[];
  };
  const running = items.filter(({ status }) => status.podIP !== undefined);
  return running.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort();
}

/** What a watch of pods from this version on starts with. */
async function firstEventSince(resourceVersion: string): Promise<string> {
  let first = '';
  const stop = new AbortController();
  const lines = admin.stream('/api/v1/pods', {
    query: { watch: true, resourceVersion },
    silenceMs: 5000,
    signal: stop.signal,
    onOpen: () => {},
    onLine: (line) => {
      first ||= line;
      stop.abort();
    },
  });
  // The server may also refuse by its status.
  await lines.catch((error: { status: number }) => (first ||= `"code":${error.status}`));
  return first;
}

async function untilSame(recorder: Recorder): Promise<void> {
  const wanted = await podsOfServer();
  const same = (): boolean => recorder.under('east/Pod/').join() === wanted.join();
  await recorder.until(`the pods ${wanted.join()}`, same);
}

test('start-up takes less than 10 seconds, and a restart keeps the data', async () => {
  await createNamespace(admin, 'kept');
  const startMs = performance.now();
  await kubernetes.restart('kube-apiserver');
  assert.ok(performance.now() - startMs < 10_000);
  await admin.call('/api/v1/namespaces/kept');
});

test('tells the whole state first, then every change', async (t) => {
  await createNamespace(admin, 'shop');
  await runPod(admin, 'shop', 'web', '10.1.0.1');
  const { recorder } = await follow(t, await client());
  assert.equal(recorder.batches.length, 1, 'the whole state is one call');
  assert.equal(recorder.away, undefined);
  const web = recorder.resource('east/Pod/shop/web');
  assert.deepEqual(
    [web?.id, web?.cluster, web?.network, web?.file],
    ['Pod shop/web', 'east', '', 'east/Pod/shop/web'],
  );

  await runPod(admin, 'shop', 'cart', '10.1.0.2');
  await recorder.until('cart', () => recorder.resource('east/Pod/shop/cart') !== undefined);
  await admin.call(
    '/api/v1/namespaces/shop/pods/cart',
    merge({ metadata: { labels: { a: 'b' } } }),
  );
  await recorder.until(
    'a label',
    () => recorder.resource('east/Pod/shop/cart')?.labels.get('a') === 'b',
  );
  await remove(admin, '/api/v1/namespaces/shop/pods/cart');
  await recorder.until('cart gone', () => !recorder.origins.has('east/Pod/shop/cart'));
  await remove(admin, '/api/v1/namespaces/shop/pods/web');
  await untilSame(recorder);
});

test('a pod without an address is no pod yet, and no mistake', async (t) => {
  await createNamespace(admin, 'shop');
  const { recorder } = await follow(t, await client());
  await create(admin, '/api/v1/namespaces/shop/pods', { ...pendingPod('pending') });
  await create(admin, '/api/v1/namespaces/shop/configmaps', { metadata: { name: 'after' } });
  await runPod(admin, 'shop', 'later', '10.1.0.3');
  await recorder.until('later', () => recorder.origins.has('east/Pod/shop/later'));
  assert.equal(recorder.origins.has('east/Pod/shop/pending'), false);
  await remove(admin, '/api/v1/namespaces/shop/pods/pending');
  await remove(admin, '/api/v1/namespaces/shop/pods/later');
});

function pendingPod(name: string) {
  const containers = [{ name: 'main', image: 'example.com/main:1' }];
  return { metadata: { name }, spec: { containers, automountServiceAccountToken: false } };
}

test('podwire.io/netns of the API is never honoured', async (t) => {
  await createNamespace(admin, 'shop');
  const annotations = { 'podwire.io/netns': 'victim', 'podwire.io/capture': 'proxy' };
  await runPod(admin, 'shop', 'evil', '10.1.0.4', { annotations });
  const { recorder } = await follow(t, await client());
  const evil = recorder.resource('east/Pod/shop/evil');
  assert.equal(evil?.kind === 'Pod' ? evil.netns : 'no pod', undefined);
  assert.equal(evil?.kind === 'Pod' && evil.captureProxy, true);
  const codes = recorder.origins.get('east/Pod/shop/evil')?.findings.map(({ code }) => code);
  assert.deepEqual(codes, ['ANNOTATION_NOT_TRUSTED']);
  await remove(admin, '/api/v1/namespaces/shop/pods/evil');
});

test('a list longer than a page is whole', async (t) => {
  await createNamespace(admin, 'paged');
  const names = Array.from({ length: 23 }, (_, i) => `p${i}`);
  for (const [i, name] of names.entries()) await runPod(admin, 'paged', name, `10.2.0.${i + 1}`);
  const { recorder } = await follow(t, await client(), { timing: { pageSize: 5 } });
  assert.deepEqual(recorder.under('east/Pod/paged/'), [...names].sort());
  for (const name of names) await remove(admin, `/api/v1/namespaces/paged/pods/${name}`);
  await untilSame(recorder);
});

test('a custom kind that is installed later is picked up, and given up when it goes', async (t) => {
  await createNamespace(admin, 'shop');
  const { recorder } = await follow(t, await client());
  const group = 'security.istio.io';
  await installKind(admin, group, 'v1', 'AuthorizationPolicy', 'authorizationpolicies');
  const path = `/apis/${group}/v1/namespaces/shop/authorizationpolicies`;
  await create(admin, path, {
    apiVersion: `${group}/v1`,
    kind: 'AuthorizationPolicy',
    metadata: { name: 'deny' },
    spec: { action: 'DENY', rules: [{ from: [{ source: { notPrincipals: ['*'] } }] }] },
  });
  const origin = 'east/AuthorizationPolicy/shop/deny';
  await recorder.until('the policy', () => recorder.resource(origin) !== undefined);
  assert.equal(recorder.resource(origin)?.kind, 'AuthorizationPolicy');
  await remove(
    admin,
    `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/authorizationpolicies.${group}`,
  );
  await recorder.until('no policy', () => !recorder.origins.has(origin));
  await recorder.until(
    'nothing else',
    () => recorder.under('east/AuthorizationPolicy').length === 0,
  );
  assert.equal(recorder.away, undefined);
});

test('a server that is killed is told, and its state stays; nothing is lost when it is back', async (t) => {
  await createNamespace(admin, 'shop');
  await runPod(admin, 'shop', 'stays', '10.1.0.5');
  const { recorder } = await follow(t, await client());
  await kubernetes.signal('kube-apiserver', 'SIGKILL');
  await recorder.until('away', () => recorder.away !== undefined);
  assert.equal(recorder.away?.code, 'CLUSTER_UNAVAILABLE');
  assert.ok(recorder.origins.has('east/Pod/shop/stays'));
  await kubernetes.start('kube-apiserver');
  await runPod(admin, 'shop', 'new', '10.1.0.6');
  await recorder.until('new', () => recorder.origins.has('east/Pod/shop/new'));
  await recorder.until('back', () => recorder.away === undefined);
  assert.equal(recorder.told.get('east/Pod/shop/stays'), 1, 'what did not change is told once');
  await remove(admin, '/api/v1/namespaces/shop/pods/stays');
  await remove(admin, '/api/v1/namespaces/shop/pods/new');
  await untilSame(recorder);
});

test('a server that hangs is told, and followed on when it goes on', async (t) => {
  await createNamespace(admin, 'shop');
  const { recorder } = await follow(t, await client());
  await kubernetes.signal('kube-apiserver', 'SIGSTOP');
  try {
    await recorder.until('away', () => recorder.away !== undefined);
  } finally {
    await kubernetes.signal('kube-apiserver', 'SIGCONT');
  }
  await runPod(admin, 'shop', 'resumed', '10.1.0.7');
  await recorder.until('resumed', () => recorder.origins.has('east/Pod/shop/resumed'));
  await recorder.until('back', () => recorder.away === undefined);
  await remove(admin, '/api/v1/namespaces/shop/pods/resumed');
  await untilSame(recorder);
});

test('a watch that is lost in silence is noticed', async (t) => {
  await createNamespace(admin, 'shop');
  const flaky = await link(t);
  const { recorder } = await follow(t, flaky.client, { timing: { silenceMs: 2000 } });
  assert.ok(flaky.link.silence() > 3);
  await runPod(admin, 'shop', 'unheard', '10.1.0.8');
  await sleep(500);
  assert.equal(recorder.origins.has('east/Pod/shop/unheard'), false, 'the link is silent');
  await recorder.until('unheard', () => recorder.origins.has('east/Pod/shop/unheard'), 10_000);
  assert.equal(recorder.told.get('east/Pod/shop/unheard'), 1);
  await remove(admin, '/api/v1/namespaces/shop/pods/unheard');
  await untilSame(recorder);
});

test('410 Gone after a compaction: listed again, nothing lost, nothing doubled', async (t) => {
  await createNamespace(admin, 'shop');
  await runPod(admin, 'shop', 'old', '10.1.0.9');
  await runPod(admin, 'shop', 'doomed', '10.1.0.10');
  const flaky = await link(t);
  const { recorder } = await follow(t, flaky.client);
  const { metadata } = (await admin.call('/api/v1/pods')) as {
    metadata: { resourceVersion: string };
  };
  flaky.link.cut();
  await recorder.until('away', () => recorder.away !== undefined);
  await remove(admin, '/api/v1/namespaces/shop/pods/doomed');
  await runPod(admin, 'shop', 'born', '10.1.0.11');
  await kubernetes.compact();
  // Its watch cache starts at the present version: all before is gone for good.
  await kubernetes.restart('kube-apiserver');
  assert.match(await firstEventSince(metadata.resourceVersion), /"code":410/);
  flaky.link.mend();
  await recorder.until('born', () => recorder.origins.has('east/Pod/shop/born'));
  await recorder.until('doomed gone', () => !recorder.origins.has('east/Pod/shop/doomed'));
  await recorder.until('back', () => recorder.away === undefined);
  assert.deepEqual(
    [recorder.told.get('east/Pod/shop/old'), recorder.told.get('east/Pod/shop/born')],
    [1, 1],
  );
  await remove(admin, '/api/v1/namespaces/shop/pods/old');
  await remove(admin, '/api/v1/namespaces/shop/pods/born');
  await untilSame(recorder);
});

test('a server that is away at the start keeps nobody from starting', async (t) => {
  const flaky = await link(t);
  flaky.link.cut();
  const startMs = performance.now();
  const { recorder } = await follow(t, flaky.client);
  assert.ok(performance.now() - startMs < 5000);
  assert.equal(recorder.away?.code, 'CLUSTER_UNAVAILABLE');
  flaky.link.mend();
  await recorder.until('back', () => recorder.away === undefined);
  await recorder.until('namespaces', () => recorder.told.size > 0);
});

test("the network is the root namespace's label, also when it changes", async (t) => {
  await createNamespace(admin, 'shop');
  await createNamespace(admin, 'istio-system', { 'topology.istio.io/network': 'n1' });
  await runPod(admin, 'shop', 'wired', '10.1.0.12');
  const { recorder } = await follow(t, await client());
  const network = (): string | undefined => recorder.resource('east/Pod/shop/wired')?.network;
  assert.equal(network(), 'n1');
  const labels = { 'topology.istio.io/network': 'n2' };
  await admin.call('/api/v1/namespaces/istio-system', merge({ metadata: { labels } }));
  await recorder.until('the new network', () => network() === 'n2');
  await admin.call(
    '/api/v1/namespaces/istio-system',
    merge({ metadata: { labels: { 'topology.istio.io/network': null } } }),
  );
  await recorder.until('no network', () => network() === '');
  await remove(admin, '/api/v1/namespaces/shop/pods/wired');
});

test('without the right to read a kind the others are read', async (t) => {
  await createNamespace(admin, 'shop');
  await create(admin, '/api/v1/namespaces/shop/serviceaccounts', { metadata: { name: 'half' } });
  await create(admin, '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'half' },
    rules: [{ apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['list', 'watch'] }],
  });
  await create(admin, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'half' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'half' },
    subjects: [{ kind: 'ServiceAccount', name: 'half', namespace: 'shop' }],
  });
  const token = await kubernetes.createToken('shop', 'half', { audience: ISSUER_AUDIENCE });
  await runPod(admin, 'shop', 'seen', '10.1.0.13');
  const limited = await loadClient({ kubeconfig: kubernetes.kubeconfigWithToken(token) });
  const { recorder } = await follow(t, limited);
  assert.ok(recorder.origins.has('east/Pod/shop/seen'));
  const codes = recorder.origins.get('east/Service')?.findings.map(({ code }) => code);
  assert.deepEqual(codes, ['KIND_FORBIDDEN']);
  assert.equal(recorder.away, undefined);
  await remove(admin, '/api/v1/namespaces/shop/pods/seen');
});

const ISSUER_AUDIENCE = 'https://kubernetes.default.svc.cluster.local';
