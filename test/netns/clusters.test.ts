/**
 * Two clusters as one mesh, seen by connections: a Service of both is served by the client's own cluster as long as that has
 * an endpoint that is ready, by the other one's otherwise, and back; with the other cluster's API server away too.
 *
 * `podwire control` reads two real API servers; the agent on a node of the first cluster has the mesh from it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { parse, stringify } from 'yaml';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { create, createNamespace, merge, podStatus, runPod } from '../kubernetes/objects.ts';
import { podResource, startAgent } from '../support/agent.ts';
import { startControl } from '../support/control.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { startPuppet, until } from '../support/puppet.ts';

const skip = skipReason('python3', 'go');
const PORT = 8080;
const VIP = '10.96.0.50';
const SERVICES = '/api/v1/namespaces/default/services';
const PODS = '/api/v1/namespaces/default/pods';
const AGENTS = 'podwire-system';
const CONNECTIONS = 12;

type Config = Readonly<Record<'clusters' | 'users' | 'contexts', readonly object[]>>;

async function start(t: TestContext, name: string): Promise<Kubernetes> {
  const kubernetes = await startKubernetes({ name });
  t.after(() => kubernetes.stop());
  await create(kubernetes.admin, SERVICES, {
    metadata: { name: 'web' },
    spec: {
      clusterIP: name === 'east' ? VIP : '10.96.0.60',
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: PORT }],
    },
  });
  return kubernetes;
}

/** As of one who knows both clusters. */
function joinedConfig(mesh: Mesh, clusters: readonly Kubernetes[]): string {
  const configs = clusters.map(
    ({ kubeconfig }) => parse(readFileSync(kubeconfig, 'utf8')) as Config,
  );
  const joined = {
    ...{ apiVersion: 'v1', kind: 'Config' },
    clusters: configs.flatMap((one) => one.clusters),
    users: configs.flatMap((one) => one.users),
    contexts: configs.flatMap((one) => one.contexts),
  };
  return mesh.writeFile('kubeconfig', stringify(joined));
}

/** In the API server with the address it has on the node. */
async function createPod(admin: KubernetesClient, mesh: Mesh, name: string, node: string) {
  const labels = { app: name.startsWith('web') ? 'web' : name };
  await runPod(admin, 'default', name, mesh.pod(name).v4, { labels, node, serviceAccount: name });
}

async function setReady(admin: KubernetesClient, mesh: Mesh, name: string, ready: boolean) {
  const status = podStatus(mesh.pod(name).v4, ready);
  await admin.call(`${PODS}/${name}/status`, merge({ status }));
}

test('a Service of two clusters', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: ['client', 'web-1', 'web-2', 'web-west'].map((name) => ({ name })),
  });
  const east = await start(t, 'east');
  const west = await start(t, 'west');
  await createNamespace(east.admin, AGENTS);
  await create(east.admin, `/api/v1/namespaces/${AGENTS}/serviceaccounts`, {
    metadata: { name: 'podwire' },
  });
  const agentPod = await runPod(east.admin, AGENTS, 'agent', '10.250.0.1', {
    serviceAccount: 'podwire',
    node: 'e1',
  });
  for (const name of ['client', 'web-1', 'web-2']) await createPod(east.admin, mesh, name, 'e1');
  await createPod(west.admin, mesh, 'web-west', 'w1');
  const control = startControl(t, mesh.folder, [
    ...['--kubernetes', 'east,west', '--kubeconfig', joinedConfig(mesh, [east, west])],
    ...['--drain', '1'],
  ]);
  const address = await control.address();
  const secret = (await east.admin.call(`/api/v1/namespaces/${AGENTS}/secrets/podwire-ca`)) as {
    readonly data: Readonly<Record<string, string>>;
  };
  const root = Buffer.from(secret.data['root-cert.pem'] ?? '', 'base64').toString();
  const token = await east.createToken(AGENTS, 'podwire', {
    boundPod: { name: 'agent', uid: agentPod.metadata.uid },
  });
  // What the node's own folder says of pods is their network namespaces.
  const agent = await startAgent({
    mesh,
    pods: [],
    args: [
      ...['--cluster-id', 'east', '--xds', address, '--xds-server-name', 'localhost'],
      ...['--xds-root', mesh.writeFile('root.pem', root)],
      ...['--xds-token', mesh.writeFile('token', token)],
    ],
  });
  const own = mesh.pods.filter(({ name }) => name !== 'web-west').map(podResource);
  agent.writeResource('mesh.yaml', own);
  const [client] = await Promise.all(
    mesh.pods.map(async (pod) => {
      const puppet = await startPuppet(mesh, pod);
      if (pod.name !== 'client') {
        await puppet.listen(pod.v4, PORT, { mode: 'name', name: pod.name });
      }
      return puppet;
    }),
  );
  /** Names of who answered, and of what went wrong. */
  const servers = async (): Promise<string> => {
    const counts = await client!.dial(VIP, 80, CONNECTIONS);
    return Object.keys(counts).sort().join();
  };
  const becomes = (what: string, expected: string): Promise<boolean> =>
    until(what, async () => (await servers()) === expected, 20_000);

  await t.test('the own cluster serves as long as it has one', async () => {
    await becomes('both of the own', 'web-1,web-2');
    await setReady(east.admin, mesh, 'web-1', false);
    await becomes('the one left', 'web-2');
  });

  await t.test('then the other one, and back', async () => {
    await setReady(east.admin, mesh, 'web-2', false);
    await becomes('the other cluster’s', 'web-west');
    await setReady(east.admin, mesh, 'web-1', true);
    await becomes('the own again', 'web-1');
  });

  await t.test('the last state of a cluster that is away serves', async () => {
    await west.signal('kube-apiserver', 'SIGKILL');
    await setReady(east.admin, mesh, 'web-1', false);
    await becomes('what was last known', 'web-west');
    await setReady(east.admin, mesh, 'web-2', true);
    await becomes('the own again', 'web-2');
    await west.start('kube-apiserver');
  });

  await t.test('no endpoint anywhere is a refusal', async () => {
    await setReady(west.admin, mesh, 'web-west', false);
    await setReady(east.admin, mesh, 'web-2', false);
    await becomes('refused', 'ECONNREFUSED');
    await setReady(west.admin, mesh, 'web-west', true);
    await becomes('the other cluster again', 'web-west');
  });
  assert.equal(control.exitCode, null);
});
