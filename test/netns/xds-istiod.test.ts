/**
 * An agent whose mesh is istiod's: pods and policies are created in a Kubernetes API server, and real connections between
 * captured pods are let through or refused as istiod's policies say.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { StatusView } from '../../src/admin/view.ts';
import { create, merge, remove } from '../kubernetes/objects.ts';
import { podResource, startAgent, type Agent } from '../support/agent.ts';
import { installIstioKinds, startIstiod, type Istiod } from '../support/istiod.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';

const skip = skipReason('python3', 'go');
const PORT = 8080;
const PODS = '/api/v1/namespaces/default/pods';
const SECURITY = '/apis/security.istio.io/v1/namespaces/default';
const SELECTOR = { matchLabels: { app: 'server' } };

const POLICY = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'not-bob' },
  spec: {
    selector: SELECTOR,
    action: 'DENY',
    rules: [
      {
        from: [{ source: { principals: ['cluster.local/ns/default/sa/bob'] } }],
        to: [{ operation: { ports: [String(PORT)] } }],
      },
    ],
  },
};
const STRICT = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'strict' },
  spec: { selector: SELECTOR, mtls: { mode: 'STRICT' } },
};

let kubernetes: Kubernetes;
let istiod: Istiod;

before(async () => {
  if (skip) return;
  kubernetes = await startKubernetes();
  await installIstioKinds(kubernetes);
  istiod = await startIstiod(kubernetes);
});
after(async () => {
  await istiod?.stop();
  await kubernetes?.stop();
});

/** As the scheduler, the kubelet and istio-cni leave it. */
async function createPod(mesh: Mesh, name: string): Promise<void> {
  const { metadata, spec, status } = podResource(mesh.pod(name)) as Record<string, object>;
  const { admin } = kubernetes;
  const { uid: _, ...named } = metadata as Record<string, unknown>;
  const annotations = { 'ambient.istio.io/redirection': 'enabled' };
  const body = { metadata: { ...named, annotations }, spec: { ...spec, nodeName: 'n1' } };
  await create(admin, PODS, body);
  const conditions = [{ type: 'Ready', status: 'True' }];
  await admin.call(`${PODS}/${name}/status`, merge({ status: { ...status, conditions } }));
}

async function refused(from: Puppet, address: string): Promise<boolean> {
  const answer = await from.connect(address, PORT);
  if (answer.id !== undefined) await from.close(answer.id);
  return answer.error === 'ECONNREFUSED';
}

test('an agent with --xds istiod', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      ...['alice', 'bob', 'server'].map((name) => ({ name })),
      { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
    ],
  });
  const { admin } = kubernetes;
  for (const { name } of mesh.pods) await createPod(mesh, name);
  await create(admin, `${SECURITY}/authorizationpolicies`, POLICY);
  const [alice, bob, server, stranger] = (await Promise.all(
    mesh.pods.map((pod) => startPuppet(mesh, pod)),
  )) as [Puppet, Puppet, Puppet, Puppet];
  const { v4 } = mesh.pod('server');
  await server.listen(v4, PORT);
  Object.assign(process.env, istiod.environment('n1'));
  const agent: Agent = await startAgent({
    mesh,
    args: [
      ...['--xds', istiod.address, '--xds-server-name', istiod.serverName],
      ...['--xds-root', istiod.rootFile, '--xds-token', istiod.tokenFile],
    ],
  });

  await t.test(
    'its AuthorizationPolicy is in force, and a change of it within moments',
    async () => {
      await until('bob is refused', () => refused(bob, v4));
      assert.deepEqual([await refused(alice, v4), await refused(stranger, v4)], [false, false]);
      await remove(admin, `${SECURITY}/authorizationpolicies/not-bob`);
      await until('bob is let in', async () => !(await refused(bob, v4)));
      await create(admin, `${SECURITY}/authorizationpolicies`, POLICY);
      await until('bob is refused again', () => refused(bob, v4));
      assert.equal(await refused(alice, v4), false);
    },
  );

  await t.test(
    'PeerAuthentication STRICT refuses who has no identity, and nobody else',
    async () => {
      await create(admin, `${SECURITY}/peerauthentications`, STRICT);
      await until('the stranger is refused', () => refused(stranger, v4));
      assert.deepEqual([await refused(alice, v4), await refused(bob, v4)], [false, true]);
      await remove(admin, `${SECURITY}/peerauthentications/strict`);
      await until('the stranger is let in', async () => !(await refused(stranger, v4)));
    },
  );

  await t.test('status says what istiod leaves out', async () => {
    const { xds } = (await agent.admin('/v1/status')) as StatusView;
    assert.match(xds?.leftOut?.controlPlane ?? '', /^istiod /);
    assert.ok(xds?.leftOut?.types.includes('listeners'));
    assert.equal(xds?.leftOut?.error, '');
  });

  await t.test('while istiod is away its last word counts', async () => {
    await istiod.stop();
    const status = async () => ((await agent.admin('/v1/status')) as StatusView).xds!;
    await until('it is away', async () => (await status()).servers[0]?.state !== 'up');
    assert.deepEqual([await refused(bob, v4), await refused(alice, v4)], [true, false]);
    await istiod.start();
    await until('it is back', async () => (await status()).servers[0]?.state === 'up', 30_000);
    const { types, stale } = await status();
    assert.deepEqual([types.flatMap((type) => type.refused), stale], [[], null]);
    assert.deepEqual([await refused(bob, v4), await refused(alice, v4)], [true, false]);
  });
});
