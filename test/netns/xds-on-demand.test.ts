/**
 * An agent that asks for addresses when its pods dial them: `podwire control` and a foreign server answer, the answer is in
 * the kernel for the connections after the first, and a pod that dials everything costs little.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { stringify } from 'yaml';
import type { StatusView } from '../../src/admin/view.ts';
import { ADDRESS_TYPE_URL, encodeAddress } from '../../src/xds/resources/address.ts';
import { AUTHORIZATION_TYPE_URL } from '../../src/xds/resources/authorization.ts';
import { launchAgent, podResource, type Agent, type Resource } from '../support/agent.ts';
import { ControlPlane } from '../support/control-plane.ts';
import { startControl } from '../support/control.ts';
import { ControlPlace } from '../support/joining-node.ts';
import { createMesh, type Mesh, type Pod } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';
import { codec, pod, uid } from '../support/xds-client.ts';
import { service } from '../support/xds-service.ts';

const skip = skipReason('python3', 'go');
const PORT = 8080;
const NODE = 'vm-1';
const VIP = '10.96.7.7';

function onNode(one: Pod): Resource {
  const resource = podResource(one);
  return { ...resource, spec: { ...(resource['spec'] as object), nodeName: NODE } };
}

const remote = (name: string, ip: string, app: string): Resource => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels: { app } },
  spec: { nodeName: 'elsewhere', containers: [{ name: 'main', image: 'example/main:1' }] },
  status: { podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
});

const vip = (name: string, clusterIP: string, app: string): Resource => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { clusterIP, selector: { app }, ports: [{ port: 80, targetPort: PORT }] },
});

const statusOf = async (agent: Agent): Promise<StatusView> =>
  (await agent.admin('/v1/status')) as StatusView;

async function reaches(from: Puppet, address: string, port: number): Promise<boolean> {
  const answer = await from.connect(address, port, { timeout: 0.3 });
  if (answer.id !== undefined) await from.close(answer.id);
  return answer.error === undefined;
}

interface Ground {
  readonly mesh: Mesh;
  readonly alice: Puppet;
}

/** The server listens behind a Service's address that nothing but the mesh knows. */
async function ground(mesh: Mesh): Promise<Ground> {
  const [alice, server] = (await Promise.all(
    ['alice', 'server'].map((name) => startPuppet(mesh, mesh.pod(name))),
  )) as [Puppet, Puppet];
  await server.listen(mesh.pod('server').v4, PORT);
  return { mesh, alice };
}

test('on demand, from podwire control', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [{ name: 'alice' }, { name: 'server', labels: { app: 'server' } }],
  });
  const { alice } = await ground(mesh);
  const place = await ControlPlace.in(mesh.folder);
  const far = Array.from({ length: 50 }, (_, n) => remote(`far-${n}`, `10.77.0.${n + 1}`, 'far'));
  const resources = [
    ...mesh.pods.map(onNode),
    ...far,
    vip('web', VIP, 'server'),
    vip('far', '10.96.7.8', 'far'),
  ];
  await place.write('mesh.yaml', resources.map((one) => stringify(one)).join('---\n'));
  const control = startControl(t, place.folder, place.args);
  const servers = await control.address();
  const tls = ['--xds', servers, '--xds-root', await place.roots()];
  const tokenFile = await place.token(NODE);
  const agent = launchAgent({ mesh, args: [...tls, '--join-token', tokenFile, '--xds-on-demand'] });
  await agent.waitForLog('ready');
  const captured = async (): Promise<number> => (await statusOf(agent)).pods.captured;
  await until('captured', async () => (await captured()) === 2);

  await t.test('the node’s own pods are known, and nobody else', async () => {
    await until('its pods', async () => (await statusOf(agent)).mesh.workloads === 2);
    const { mesh: counts, xds } = await statusOf(agent);
    assert.equal(counts.services, 0);
    assert.deepEqual(xds?.onDemand, { asking: 0, found: 0, nobody: 0, refused: 0 });
  });

  await t.test(
    'a Service’s address: the first connection asks, the next ones get there',
    async () => {
      const first = await reaches(alice, VIP, 80);
      const since = performance.now();
      await until('the Service is known', () => reaches(alice, VIP, 80));
      t.diagnostic(`first connection: ${first}; known after ${performance.now() - since} ms`);
      const { mesh: counts, xds } = await statusOf(agent);
      assert.deepEqual([counts.services, counts.workloads], [1, 2]);
      assert.equal(xds?.onDemand?.found, 1);
    },
  );

  await t.test('changes of what was asked for arrive', async () => {
    const moved = resources.map((one) =>
      one['kind'] === 'Service' && (one['metadata'] as { name: string }).name === 'web'
        ? { ...one, spec: { ...(one['spec'] as object), ports: [{ port: 81, targetPort: PORT }] } }
        : one,
    );
    await place.write('mesh.yaml', moved.map((one) => stringify(one)).join('---\n'));
    await until('the other port', () => reaches(alice, VIP, 81));
  });

  await t.test('a scan: bounded, in few requests, and the node goes on', async () => {
    const requests = async (): Promise<number> => {
      const { nodes } = await control.get<{ nodes: { types: { pushes: number }[] }[] }>(
        '/v1/nodes',
      );
      return nodes.flatMap(({ types }) => types).reduce((sum, { pushes }) => sum + pushes, 0);
    };
    const before = await requests();
    const reconnects = (await statusOf(agent)).xds?.servers[0]?.reconnects;
    let dialled = 0;
    const started = performance.now();
    while (performance.now() - started < 2000 && dialled < 1500) {
      await alice.connect(`10.88.${dialled >> 8}.${dialled & 255}`, 1, { timeout: 0.002 });
      dialled++;
    }
    const seconds = Math.ceil((performance.now() - started) / 1000);
    const { xds, mesh: counts } = await statusOf(agent);
    const { nobody, asking, found } = xds!.onDemand!;
    t.diagnostic(`${dialled} dialled in ${seconds} s: ${nobody} of nobody, ${asking} asked`);
    assert.ok(nobody + asking <= 64 * (seconds + 2), 'the kernel tells of 64 a second');
    assert.ok((await requests()) - before < 200 * seconds);
    assert.equal(found, 1);
    assert.equal(counts.services, 1);
    assert.equal(await reaches(alice, VIP, 81), true);
    assert.equal(xds?.servers[0]?.reconnects, reconnects, 'the stream was not ended for it');
  });
});

test('on demand, from a foreign server', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: ['alice', 'server'].map((name) => ({ name })) });
  const { alice } = await ground(mesh);
  const plane = await ControlPlane.start();
  mesh.defer(() => plane.kill());
  const web = service('web', VIP);
  const services = new Map([
    ['default/web.default.svc.cluster.local', [{ servicePort: 80, targetPort: PORT }]],
  ]);
  const own = mesh.pods.map(({ name, v4 }) => pod(name, v4, name === 'server' ? { services } : {}));
  const base64 = (address: Parameters<typeof encodeAddress>[1]): string =>
    Buffer.from(encodeAddress(codec, address)).toString('base64');
  await plane.serveBytes({
    [ADDRESS_TYPE_URL]: {
      ...Object.fromEntries(mesh.pods.map(({ name }, at) => [uid(name), base64(own[at]!)])),
      [`/${VIP}`]: base64(web),
      [uid('unasked')]: base64(pod('unasked', '10.9.9.9')),
    },
    [AUTHORIZATION_TYPE_URL]: {},
  });
  const args = ['--xds', `http://127.0.0.1:${plane.port}`, '--xds-on-demand'];
  const agent = launchAgent({ mesh, args });
  await agent.waitForLog('ready');
  await until('its pods', async () => (await statusOf(agent)).mesh.workloads === 2);
  await until('the Service is known', () => reaches(alice, VIP, 80));
  const { mesh: counts } = await statusOf(agent);
  assert.deepEqual([counts.workloads, counts.services], [2, 1]);
});
