/**
 * Two clusters as one mesh, against two real API servers, one of which goes away.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { AnyClusterAuthenticator } from '../../src/control/auth/any-cluster.ts';
import { AuthenticationError } from '../../src/control/auth/caller.ts';
import { KubernetesTokenAuthenticator } from '../../src/control/auth/kubernetes-token.ts';
import { ControlCore } from '../../src/control/core.ts';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import { KubernetesSource } from '../../src/control/sources/kubernetes/source.ts';
import { translateOptions } from '../../src/control/translate/options.ts';
import { serviceForCluster } from '../../src/model/service.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { Watched } from '../unit/control/temporary-folder.ts';
import { create, createNamespace, installKind, remove, runPod } from './objects.ts';
import { QUICK, silentLog } from './recorder.ts';

let east: Kubernetes;
let west: Kubernetes;

before(async () => {
  // One after the other: each takes a core to start.
  east = await startKubernetes({ name: 'east' });
  west = await startKubernetes({ name: 'west' });
  for (const { admin } of [east, west]) {
    await createNamespace(admin, 'shop');
    await installKind(
      admin,
      'security.istio.io',
      'v1',
      'AuthorizationPolicy',
      'authorizationpolicies',
    );
  }
});
after(async () => {
  await east.stop();
  await west.stop();
});

async function mesh(t: TestContext): Promise<Watched> {
  const watched = new Watched();
  const sources = [];
  for (const [index, { name, kubeconfig }] of [east, west].entries()) {
    sources.push(
      new KubernetesSource({
        client: await loadClient({ kubeconfig, context: name }),
        cluster: name,
        role: index === 0 ? 'primary' : 'workloads',
        rootNamespace: 'istio-system',
        log: silentLog,
        timing: QUICK,
      }),
    );
  }
  const core = new ControlCore({
    sources,
    translate: translateOptions({ clusterId: 'east', trustDomain: 'cluster.local' }),
    log: silentLog,
    onUpdate: (update) => watched.receive(update),
  });
  t.after(() => core.close());
  await core.start();
  return watched;
}

const workload = (watched: Watched, uid: string) => {
  const address = watched.addresses.get(uid);
  return address?.kind === 'workload' ? address.workload : undefined;
};

async function createService({ admin }: Kubernetes, clusterIP: string): Promise<void> {
  await create(admin, '/api/v1/namespaces/shop/services', {
    metadata: { name: 'web' },
    spec: { clusterIP, selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
  });
}

test('one Service, endpoints of both clusters, virtual addresses of each', async (t) => {
  await createService(east, '10.96.0.50');
  await createService(west, '10.96.0.60');
  // Clusters give out the same addresses: this is another Service's in the other cluster.
  await create(west.admin, '/api/v1/namespaces/shop/services', {
    metadata: { name: 'other' },
    spec: { clusterIP: '10.96.0.50', selector: { app: 'other' }, ports: [{ port: 80 }] },
  });
  await runPod(east.admin, 'shop', 'web-1', '10.1.0.1', { labels: { app: 'web' }, node: 'e1' });
  await runPod(west.admin, 'shop', 'web-1', '10.2.0.1', { labels: { app: 'web' }, node: 'w1' });
  const watched = await mesh(t);
  assert.equal(watched.updates, 1);

  const key = 'shop/web.shop.svc.cluster.local';
  for (const [uid, cluster] of [
    ['east//Pod/shop/web-1', 'east'],
    ['west//Pod/shop/web-1', 'west'],
  ] as const) {
    const found = workload(watched, uid);
    assert.equal(found?.clusterId, cluster);
    assert.deepEqual([...found.services], [[key, [{ servicePort: 80, targetPort: 8080 }]]]);
  }
  const service = watched.service('shop/web');
  assert.deepEqual(service?.addresses, ['10.96.0.50']);
  assert.deepEqual(serviceForCluster(service, 'east').addresses, ['10.96.0.50']);
  assert.deepEqual(serviceForCluster(service, 'west').addresses, ['10.96.0.60']);
  assert.deepEqual(watched.service('shop/other')?.addresses, [], 'the address is taken here');
  assert.deepEqual(
    watched.codes.filter((code) => code === 'ADDRESS_CONFLICT'),
    [],
  );

  await remove(east.admin, '/api/v1/namespaces/shop/services/web');
  await watched.until(() => watched.service('shop/web')?.addresses.length === 0);
  assert.equal(workload(watched, 'east//Pod/shop/web-1')?.services.size, 0);
  assert.equal(workload(watched, 'west//Pod/shop/web-1')?.services.size, 1);
  await createService(east, '10.96.0.50');
  await watched.until(() => watched.service('shop/web')?.addresses.length === 1);
});

test('policies of the primary cluster select pods of both; those of the other are reported', async (t) => {
  const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';
  const policy = (name: string) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name },
    spec: { selector: { matchLabels: { app: 'web' } }, action: 'DENY', rules: [{}] },
  });
  await create(east.admin, path, policy('everywhere'));
  await create(west.admin, path, policy('nowhere'));
  const watched = await mesh(t);
  for (const cluster of ['east', 'west']) {
    const policies = workload(watched, `${cluster}//Pod/shop/web-1`)?.authorizationPolicies;
    assert.deepEqual(policies, ['shop/everywhere'], cluster);
  }
  assert.deepEqual([...watched.policies.keys()], ['shop/everywhere']);
  const unused = watched.last?.findings.filter(({ code }) => code === 'REMOTE_CONFIG_UNUSED');
  assert.deepEqual(
    unused?.map(({ file }) => file),
    ['west/AuthorizationPolicy/shop/nowhere'],
  );
  await remove(east.admin, `${path}/everywhere`);
  await watched.until(
    () => workload(watched, 'west//Pod/shop/web-1')?.authorizationPolicies.length === 0,
  );
});

test('a cluster that is away keeps its last state, and the other goes on', async (t) => {
  const watched = await mesh(t);
  await west.signal('kube-apiserver', 'SIGKILL');
  await watched.until(() => watched.codes.includes('CLUSTER_UNAVAILABLE'));
  await runPod(east.admin, 'shop', 'web-2', '10.1.0.2', { labels: { app: 'web' } });
  await watched.until(() => workload(watched, 'east//Pod/shop/web-2') !== undefined);
  assert.equal(workload(watched, 'west//Pod/shop/web-1')?.services.size, 1);

  const late = await mesh(t);
  assert.equal(workload(late, 'east//Pod/shop/web-2')?.services.size, 1, 'starts without it');
  assert.ok(late.codes.includes('CLUSTER_UNAVAILABLE'));

  await west.start('kube-apiserver');
  await runPod(west.admin, 'shop', 'web-2', '10.2.0.2', { labels: { app: 'web' } });
  for (const one of [watched, late]) {
    await one.until(() => workload(one, 'west//Pod/shop/web-2')?.services.size === 1);
    await one.until(() => !one.codes.includes('CLUSTER_UNAVAILABLE'));
    assert.equal(workload(one, 'west//Pod/shop/web-1')?.services.size, 1);
  }
});

test('one address in two networks is two workloads; in one network it is a conflict', async (t) => {
  await createNamespace(west.admin, 'istio-system', { 'topology.istio.io/network': 'west-net' });
  await runPod(east.admin, 'shop', 'same', '10.3.0.1');
  await runPod(west.admin, 'shop', 'same', '10.3.0.1');
  const watched = await mesh(t);
  assert.equal(workload(watched, 'east//Pod/shop/same')?.network, '');
  assert.equal(workload(watched, 'west//Pod/shop/same')?.network, 'west-net');
  await west.admin.call('/api/v1/namespaces/istio-system', {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { metadata: { labels: { 'topology.istio.io/network': null } } },
  });
  await watched.until(() => watched.codes.includes('ADDRESS_CONFLICT'));
  assert.equal(workload(watched, 'west//Pod/shop/same'), undefined);
});

async function reviews({ admin }: Kubernetes): Promise<number> {
  const text = (await admin.call('/metrics')) as string;
  const lines = text.matchAll(
    /^apiserver_request_total\{[^}]*resource="tokenreviews"[^}]*\} (\d+)/gm,
  );
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}

test('a token is shown to the cluster that issued it, and to no other', async () => {
  const any = new AnyClusterAuthenticator(
    [east, west].map(({ admin: client, name: cluster }) => ({
      client,
      authenticator: new KubernetesTokenAuthenticator({
        client,
        cluster,
        trustDomain: 'cluster.local',
      }),
    })),
  );
  const tokens = new Map<string, string>();
  for (const cluster of [east, west]) {
    const { admin, name } = cluster;
    await create(admin, '/api/v1/namespaces/shop/serviceaccounts', { metadata: { name: 'web' } });
    const pod = await runPod(admin, 'shop', 'caller', '10.4.0.1', {
      serviceAccount: 'web',
      node: `${name}-1`,
    });
    const boundPod = { name: 'caller', uid: pod.metadata.uid };
    tokens.set(name, await cluster.createToken('shop', 'web', { boundPod }));
  }
  const ask = (name: string) =>
    any.authenticate({ token: tokens.get(name), certificate: undefined });
  for (const [cluster, other] of [
    [east, west],
    [west, east],
  ] as const) {
    const before = await reviews(other);
    const caller = await ask(cluster.name);
    assert.deepEqual([caller.cluster, caller.node], [cluster.name, `${cluster.name}-1`]);
    assert.equal((await reviews(other)) - before, 0);
  }
  const [, body, signature] = tokens.get('east')!.split('.');
  const header = Buffer.from('{"alg":"RS256","kid":"nobody"}').toString('base64url');
  for (const token of [undefined, 'x', 'x.y.z', `${header}.${body}.${signature}`]) {
    await assert.rejects(any.authenticate({ token, certificate: undefined }), AuthenticationError);
  }
  await west.signal('kube-apiserver', 'SIGKILL');
  assert.equal((await ask('east')).cluster, 'east', 'one that is away keeps nobody else out');
  await west.start('kube-apiserver');
});
