/**
 * HBONE between pods of one node: for all of them (--hbone everywhere), or for those that ask for it by annotation. There
 * provenance is no identity: only the certificate is.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent, type Agent, type Resource } from '../support/agent.ts';
import { createMesh, type Mesh, type PodSpec } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';
import { fromAccounts, policy } from '../support/resources.ts';
import { connectionsOf, untilSpeaks } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
const REDIRECTED = { 'ambient.istio.io/redirection': 'enabled' };
const BY_HBONE = { ...REDIRECTED, 'podwire.io/same-node': 'hbone' };
const STRICT: Resource = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'p', namespace: 'default' },
  spec: { mtls: { mode: 'STRICT' } },
};
const SOMETHING = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } };

interface Stage {
  readonly mesh: Mesh;
  readonly agent: Agent;
  readonly puppets: Readonly<Record<string, Puppet>>;
  path(from: string, to: string): Promise<string>;
}

async function setTheStage(
  t: { after(fn: () => void | Promise<void>): void },
  pods: readonly PodSpec[],
  args: readonly string[] = [],
): Promise<Stage> {
  const mesh = createMesh(t, { pods });
  const agent = await startAgent({ mesh, args });
  const puppets: Record<string, Puppet> = {};
  for (const pod of mesh.pods) {
    const puppet = await startPuppet(mesh, pod);
    puppets[pod.name] = puppet;
    for (const addr of [pod.v4, pod.v6]) await puppet.listen(addr, PORT);
  }
  /** how a connection goes: "hbone", "spliced", "plain", "proxied" */
  const path = async (from: string, to: string): Promise<string> => {
    const paths = new Set<string>();
    for (const addr of [mesh.pod(to).v4, mesh.pod(to).v6]) {
      await untilSpeaks(puppets[from]!, addr, PORT);
      const id = await puppets[from]!.open(addr, PORT);
      assert.ok(await puppets[from]!.echoes(id));
      const shown = (await connectionsOf(agent)).filter(
        ({ source, destination }) => source.workload === from && destination.workload === to,
      );
      for (const one of shown) {
        paths.add(one.path);
        assert.ok(one.source.identity.endsWith(`/sa/${from}`), one.source.identity);
      }
      await puppets[from]!.close(id);
      await until('closed', async () => (await connectionsOf(agent)).length === 0);
    }
    return [...paths].join();
  };
  return { mesh, agent, puppets, path };
}

test('--hbone everywhere', { skip }, async (t) => {
  const stage = await setTheStage(
    t,
    [
      { name: 'a', annotations: REDIRECTED },
      { name: 'b', annotations: REDIRECTED },
      { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
    ],
    ['--hbone', 'everywhere'],
  );
  const { mesh, agent, puppets } = stage;
  const b = mesh.pod('b');

  await t.test('pods of one node talk over HBONE, and see each other’s addresses', async () => {
    assert.equal(await stage.path('a', 'b'), 'hbone');
    const answer = await puppets['a']!.connect(b.v4, PORT);
    assert.equal(answer.peer, `${b.v4}:${PORT}`);
    assert.ok(answer.own!.startsWith(`${mesh.pod('a').v4}:`));
    await puppets['a']!.close(answer.id!);
  });

  await t.test('a pod reaches itself without', async () => {
    const id = await puppets['b']!.open(b.v4, PORT);
    assert.ok(await puppets['b']!.echoes(id));
    await puppets['b']!.close(id);
  });

  await t.test('policy by identity', async () => {
    agent.writeResource('rules.yaml', [
      policy({ name: 'p', app: 'b', rules: [fromAccounts('a')] }),
    ]);
    await until('in force', async () => {
      return (await puppets['stranger']!.connect(b.v4, PORT)).error === 'ECONNREFUSED';
    });
    assert.equal(await stage.path('a', 'b'), 'hbone');
  });

  await t.test('STRICT: nothing but HBONE gets in, and provenance is no identity', async () => {
    agent.writeResource('rules.yaml', [SOMETHING, STRICT]);
    await until('in force', async () => {
      return (await puppets['stranger']!.connect(b.v4, PORT)).error === 'ECONNREFUSED';
    });
    assert.equal(await stage.path('a', 'b'), 'hbone');
    // what no program has captured: a socket of the pod's namespace, outside the mesh's cgroup
    const { netnsPath } = mesh.pod('a');
    const script = `import socket; s = socket.create_connection(("${b.v4}", ${PORT}), 2)`;
    const ran = await mesh.run('sh', [
      '-c',
      `echo $$ > "$1/cgroup.procs" && exec nsenter --net=${netnsPath} -- python3 -c '${script}'`,
      'sh',
      outside(mesh),
    ]);
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, /ConnectionRefusedError/);
  });
});

/** The cgroup above the mesh's. */
function outside(mesh: Mesh): string {
  return mesh.cgroup.slice(0, mesh.cgroup.lastIndexOf('/'));
}

test('podwire.io/same-node: hbone', { skip }, async (t) => {
  const stage = await setTheStage(t, [
    { name: 'asks', annotations: BY_HBONE },
    { name: 'b', annotations: REDIRECTED },
    { name: 'c', annotations: REDIRECTED },
    { name: 'plain', annotations: { ...REDIRECTED, 'podwire.io/capture': 'proxy' } },
  ]);
  const { agent } = stage;

  for (const [from, to, path] of [
    ['b', 'asks', 'hbone'],
    ['asks', 'b', 'hbone'],
    ['plain', 'asks', 'hbone'],
    ['asks', 'plain', 'hbone'],
    ['plain', 'b', 'proxied'],
  ] as const) {
    await t.test(`${from} → ${to}: ${path}`, async () => {
      assert.equal(await stage.path(from, to), path);
    });
  }

  await t.test('the others keep to the kernel', async () => {
    assert.match(await stage.path('b', 'c'), /^(spliced|plain)(,spliced|,plain)?$/);
  });

  await t.test('under STRICT all of them still reach each other', async () => {
    agent.writeResource('rules.yaml', [STRICT]);
    await until('the policy', async () => {
      return ((await agent.admin('/v1/policies')) as unknown[]).length > 0;
    });
    for (const [from, to] of [
      ['b', 'asks'],
      ['asks', 'b'],
      ['b', 'c'],
    ] as const) {
      await untilSpeaks(stage.puppets[from]!, stage.mesh.pod(to).v4, PORT);
    }
  });
});
