/**
 * PeerAuthentication in force, from the config folder: a STRICT pod refuses who has no identity, at the ports it is said for,
 * and live plaintext connections end when STRICT comes, also when a policy that was there all the time is attached by the
 * workload's message alone.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { podResource, startAgent, type Agent, type Resource } from '../support/agent.ts';
import { createMesh, type Mesh, type Pod } from '../support/netns.ts';
import { NETNS_FOLDER, skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';

const skip = skipReason('python3');
const PORT = 8080;
const OTHER_PORT = 8081;
const AT_ONCE_MS = 50;
const REVOKED_MS = 100;
const ROUNDS = 5;
const ROOT = 'istio-system';
/** An empty file counts as one that is being written. */
const SOMETHING = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } };
const SELECTOR = { matchLabels: { app: 'server' } };

type Mode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

interface Stage {
  readonly mesh: Mesh;
  readonly agent: Agent;
  readonly alice: Puppet;
  /** a pod outside the mesh, and the node whose network the pods are in */
  readonly stranger: Puppet;
  readonly node: Puppet;
  readonly server: Pod;
}

async function setTheStage(t: TestContext): Promise<Stage> {
  const mesh = createMesh(t, {
    pods: [
      { name: 'alice' },
      { name: 'server' },
      { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
    ],
  });
  const agent = await startAgent({ mesh });
  await until('alice and the server are captured', async () => {
    const pods = (await agent.admin('/v1/pods')) as { state: string }[];
    return pods.length === 2 && pods.every(({ state }) => state === 'captured');
  });
  const bridge = `${mesh.name}-bridge`;
  const gateway = { ...mesh.pod('alice'), name: 'node', netns: bridge };
  const [alice, stranger, node, server] = (await Promise.all(
    [
      mesh.pod('alice'),
      mesh.pod('stranger'),
      { ...gateway, netnsPath: `${NETNS_FOLDER}/${bridge}` },
      mesh.pod('server'),
    ].map((pod) => startPuppet(mesh, pod)),
  )) as [Puppet, Puppet, Puppet, Puppet];
  const pod = mesh.pod('server');
  for (const address of [pod.v4, pod.v6]) {
    for (const port of [PORT, OTHER_PORT]) await server.listen(address, port);
  }
  return { mesh, agent, alice, stranger, node, server: pod };
}

function peer(name: string, mode: Mode | undefined, more: object = {}, namespace = 'default') {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name, namespace },
    spec: { ...(mode && { mtls: { mode } }), ...more },
  };
}

const narrow = (mode: Mode | undefined, ports?: Readonly<Record<number, Mode>>): Resource =>
  peer('narrow', mode, {
    selector: SELECTOR,
    ...(ports && {
      portLevelMtls: Object.fromEntries(
        Object.entries(ports).map(([port, found]) => [port, { mode: found }]),
      ),
    }),
  });

/** "" when it is let in, otherwise the error. */
async function connect(from: Puppet, address: string, port: number): Promise<string> {
  const answer = await from.connect(address, port);
  if (answer.error !== undefined) {
    assert.ok(answer.ms! < AT_ONCE_MS, `refused after ${answer.ms} ms`);
    return answer.error;
  }
  assert.ok(await from.echoes(answer.id!));
  await from.close(answer.id!);
  return '';
}

/** Of who has no identity, both families: at which ports it is refused; undefined: on the way from one to the other. */
async function strictPorts({
  stranger,
  node,
  alice,
  server,
}: Stage): Promise<number[] | undefined> {
  const strict: number[] = [];
  for (const port of [PORT, OTHER_PORT]) {
    const answers = new Set<string>();
    for (const address of [server.v4, server.v6]) {
      for (const from of [stranger, node]) answers.add(await connect(from, address, port));
      assert.equal(await connect(alice, address, port), '', 'the mesh is let in');
    }
    if (answers.size > 1) return undefined;
    if (answers.has('ECONNREFUSED')) strict.push(port);
  }
  return strict;
}

async function enforce(stage: Stage, resources: readonly Resource[], strict: readonly number[]) {
  stage.agent.writeResource('peers.yaml', [SOMETHING, ...resources]);
  const expected = strict.join();
  await until(`STRICT at ${expected}`, async () => (await strictPorts(stage))?.join() === expected);
}

test('a STRICT pod refuses who has no identity, and nobody else', { skip }, async (t) => {
  const stage = await setTheStage(t);
  const both = [PORT, OTHER_PORT];
  const cases: readonly [string, readonly Resource[], readonly number[]][] = [
    ['nothing said', [], []],
    ['the mesh', [peer('m', 'STRICT', {}, ROOT)], both],
    ['the namespace is nearer', [peer('m', 'STRICT', {}, ROOT), peer('n', 'PERMISSIVE')], []],
    [
      'UNSET inherits',
      [peer('m', 'STRICT', {}, ROOT), peer('n', 'UNSET'), narrow(undefined)],
      both,
    ],
    ['the selecting one', [narrow('STRICT')], both],
    ['DISABLE refuses nothing', [peer('n', 'STRICT'), narrow('DISABLE')], []],
    ['but one port', [narrow('STRICT', { [OTHER_PORT]: 'PERMISSIVE' })], [PORT]],
    ['one port', [narrow('PERMISSIVE', { [OTHER_PORT]: 'STRICT' })], [OTHER_PORT]],
    [
      'inherited, but one port',
      [peer('m', 'STRICT', {}, ROOT), peer('n', 'UNSET'), narrow(undefined, { [PORT]: 'DISABLE' })],
      [OTHER_PORT],
    ],
    [
      'one port below a STRICT mesh',
      [peer('m', 'STRICT', {}, ROOT), narrow('PERMISSIVE', { [PORT]: 'STRICT' })],
      [PORT],
    ],
    ['other pods', [{ ...peer('n', 'STRICT', { selector: { matchLabels: { app: 'x' } } }) }], []],
    ['nothing said any more', [], []],
  ];
  for (const [name, resources, strict] of cases) {
    await t.test(name, async () => {
      await enforce(stage, resources, strict);
      assert.deepEqual(await strictPorts(stage), strict);
    });
  }
});

test('live plaintext connections end when STRICT comes', { skip }, async (t) => {
  const stage = await setTheStage(t);
  const { mesh, agent, alice, stranger, server } = stage;
  const strictExists = peer('elsewhere', 'PERMISSIVE', {}, 'elsewhere');
  const labelled = (labels: object): void => {
    const pods = mesh.pods.map((pod) => {
      const resource = podResource(pod) as { metadata: { labels: object } };
      if (pod !== server) return resource;
      const { metadata } = resource;
      return { ...resource, metadata: { ...metadata, labels: { ...metadata.labels, ...labels } } };
    });
    agent.writeResource('mesh.yaml', pods as unknown as readonly Resource[]);
  };
  const bySelector = peer('n', 'STRICT', { selector: { matchLabels: { guarded: 'yes' } } });
  const ways: Readonly<Record<string, readonly [off: () => void, on: () => void]>> = {
    'a policy comes with the workload that lists it': [
      () => agent.writeResource('peers.yaml', [SOMETHING]),
      () => agent.writeResource('peers.yaml', [narrow('STRICT')]),
    ],
    'a policy comes with ports': [
      () => agent.writeResource('peers.yaml', [SOMETHING]),
      () => agent.writeResource('peers.yaml', [narrow('PERMISSIVE', { [PORT]: 'STRICT' })]),
    ],
    'the workload alone changes: STRICT was there and nobody listed it': [
      () => agent.writeResource('peers.yaml', [strictExists, narrow('PERMISSIVE')]),
      () => agent.writeResource('peers.yaml', [strictExists, narrow('STRICT')]),
    ],
    'the workload alone changes: a label': [
      () => {
        labelled({});
        agent.writeResource('peers.yaml', [bySelector]);
      },
      () => labelled({ guarded: 'yes' }),
    ],
  };
  for (const [name, [off, on]] of Object.entries(ways)) {
    await t.test(name, async (subtest) => {
      const took: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        off();
        await until('open', async () => (await connect(stranger, server.v4, PORT)) === '');
        const doomed = await stranger.open(server.v4, PORT);
        const kept = await alice.open(server.v4, PORT);
        assert.ok((await stranger.echoes(doomed)) && (await alice.echoes(kept)));
        const ending = stranger.do('end', { id: doomed });
        const start = Number(process.hrtime.bigint()) / 1e9;
        on();
        const { end, at } = await ending;
        assert.equal(end, 'reset');
        took.push((at! - start) * 1000);
        assert.ok(await alice.echoes(kept), 'who has an identity does not notice');
        assert.equal(await connect(stranger, server.v4, PORT), 'ECONNREFUSED');
        for (const [puppet, id] of [
          [stranger, doomed],
          [alice, kept],
        ] as const) {
          await puppet.close(id);
        }
      }
      const sorted = took.toSorted((a, b) => a - b);
      subtest.diagnostic(
        `ended after ${sorted.map((ms) => ms.toFixed(0)).join(', ')} ms of the file's writing`,
      );
      // The machine is shared: the median must be in time, the slowest not far from it.
      assert.ok(sorted[ROUNDS >> 1]! < REVOKED_MS, `${sorted.join()} ms`);
      assert.ok(sorted.at(-1)! < 10 * REVOKED_MS, `${sorted.join()} ms`);
    });
  }
});
