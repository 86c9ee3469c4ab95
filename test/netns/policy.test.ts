/**
 * AuthorizationPolicy in force: who is let in, that the refusal is immediate and comes before the server, and that a change
 * of the folder reaches new and live connections alike, without touching anybody else's.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { StateFolder } from '../../src/agent/state-folder.ts';
import type { Finding } from '../../src/model/finding.ts';
import { type Agent, podResource, type Resource, startAgent } from '../support/agent.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { type Puppet, startPuppet, until } from '../support/puppet.ts';
import { fromAccounts, podWith, policy, type PolicySpec } from '../support/resources.ts';

const skip = skipReason('python3');
const PORT = 8080;
const OTHER_PORT = 8081;
const AT_ONCE_MS = 50;
const REVOKED_MS = 1000;
const HEALTHY = 'healthy';

interface Stage {
  readonly mesh: Mesh;
  readonly agent: Agent;
  readonly alice: Puppet;
  readonly bob: Puppet;
  readonly server: Puppet;
  /** listener on PORT */
  readonly listener: number;
}

/** alice and bob in `default` (bob's namespace is `other` for policies by namespace), and a server. */
async function setTheStage(
  t: TestContext,
  annotations: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
): Promise<Stage> {
  const mesh = createMesh(t, {
    pods: [
      ...['alice', 'bob', 'server'].map((name) => ({
        name,
        annotations: { 'podwire.io/splice': 'always', ...annotations[name] },
      })),
      { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
    ],
  });
  const agent = await startAgent({ mesh });
  writePods(agent, mesh);
  await until('bob in another namespace', async () => {
    const pods = (await agent.admin('/v1/pods')) as { namespace: string; state: string }[];
    return (
      pods.length === 3 && pods.some((pod) => pod.namespace === 'other' && pod.state === 'captured')
    );
  });
  const [alice, bob, server] = await Promise.all(
    ['alice', 'bob', 'server'].map((name) => startPuppet(mesh, mesh.pod(name))),
  );
  const { v4, v6 } = mesh.pod('server');
  const listener = await server!.listen(v4, PORT);
  for (const [addr, port] of [
    [v6, PORT],
    [v4, OTHER_PORT],
    [v6, OTHER_PORT],
  ] as const) {
    await server!.listen(addr, port);
  }
  return { mesh, agent, alice: alice!, bob: bob!, server: server!, listener };
}

function writePods(agent: Agent, mesh: Mesh): void {
  const namespaces = ['default', 'other'].map((name) => ({
    ...{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
  }));
  const pods = mesh.pods.map((pod) =>
    pod.name === 'bob' ? podWith(pod, { namespace: 'other' }) : podResource(pod),
  );
  agent.writeResource('mesh.yaml', [...namespaces, ...pods]);
}

/** Puts these policies (and no others) in force. */
async function enforce(agent: Agent, ...specs: readonly PolicySpec[]): Promise<void> {
  agent.writeResource('policy.yaml', [marker(specs), ...specs.map(policy)]);
  await until('the policies', async () => {
    const found = (await agent.admin('/v1/policies')) as { namespace: string; name: string }[];
    const names = found.filter(({ namespace }) => namespace !== HEALTHY).map(({ name }) => name);
    return (
      found.some(({ name }) => name === markerName(specs)) &&
      specs.every(({ name }) => names.some((other) => other.endsWith(name))) &&
      names.length === specs.length
    );
  });
}

/** A policy of a namespace without pods: when it is there, so is the rest of its file. */
function marker(specs: readonly PolicySpec[]): Resource {
  return policy({ name: markerName(specs), namespace: HEALTHY });
}

function markerName(specs: readonly PolicySpec[]): string {
  const text = JSON.stringify(specs);
  let hash = 0;
  for (const character of text) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  return `m${hash}`;
}

async function assertAllowed(from: Puppet, addr: string, port = PORT): Promise<void> {
  const answer = await from.connect(addr, port);
  assert.equal(answer.error, undefined, `${from.pod?.name} → ${addr}:${port}`);
  assert.ok(await from.echoes(answer.id!));
  await from.close(answer.id!);
}

/** A captured client is connected to the agent, which cannot go on: a reset, and not a byte before it. */
async function assertCutOff(from: Puppet, addr: string): Promise<void> {
  const answer = await from.connect(addr, PORT);
  if (answer.error === undefined) {
    assert.equal((await from.do('end', { id: answer.id! })).end, 'reset');
    await from.close(answer.id!);
  } else {
    assert.match(answer.error, /^(ECONNREFUSED|ECONNRESET)$/);
  }
}

async function assertRefused(from: Puppet, addr: string, port = PORT): Promise<void> {
  const answer = await from.connect(addr, port);
  assert.equal(answer.error, 'ECONNREFUSED', `${from.pod?.name} → ${addr}:${port}`);
  assert.ok(answer.ms! < AT_ONCE_MS, `${answer.ms} ms`);
}

test('who is let in', { skip }, async (t) => {
  const stage = await setTheStage(t);
  const { mesh, agent, alice, bob, server, listener } = stage;
  const { v4, v6 } = mesh.pod('server');

  await t.test('everybody without a policy', async () => {
    for (const addr of [v4, v6]) for (const from of [alice, bob]) await assertAllowed(from, addr);
  });

  await t.test('ALLOW by principal', async () => {
    await enforce(agent, { name: 'p', app: 'server', rules: [fromAccounts('alice')] });
    const accepted = (await server.accepted(listener)).length;
    for (const addr of [v4, v6]) {
      await assertRefused(bob, addr);
      await assertAllowed(alice, addr);
    }
    await assertRefused(bob, v4);
    assert.equal(
      (await server.accepted(listener)).length,
      accepted + 1,
      'the server saw a denied one',
    );
  });

  await t.test(
    'identity is what the kernel saw, not an address: a pod outside the mesh has none',
    async () => {
      const stranger = await startPuppet(mesh, mesh.pod('stranger'));
      await assertRefused(stranger, v4);
      await assertRefused(stranger, v6);
      const anybody = [{ from: [{ source: { principals: ['*'] } }] }];
      await enforce(agent, { name: 'p', app: 'server', rules: anybody });
      await assertAllowed(bob, v4);
      await assertRefused(stranger, v4);
      await enforce(agent);
      await assertAllowed(stranger, v4);
    },
  );

  await t.test('ALLOW by namespace', async () => {
    const rules = [{ from: [{ source: { namespaces: ['other'] } }] }];
    await enforce(agent, { name: 'p', app: 'server', rules });
    await assertRefused(alice, v4);
    await assertAllowed(bob, v4);
    await assertAllowed(bob, v6);
  });

  await t.test('DENY by port', async () => {
    const rules = [{ to: [{ operation: { ports: [String(OTHER_PORT)] } }] }];
    await enforce(agent, { name: 'p', app: 'server', action: 'DENY', rules });
    for (const addr of [v4, v6]) {
      await assertAllowed(alice, addr);
      await assertRefused(alice, addr, OTHER_PORT);
    }
  });

  await t.test('by address', async () => {
    const ipBlocks = [mesh.pod('bob').v4, `${mesh.pod('alice').v6}/128`];
    await enforce(agent, {
      name: 'p',
      app: 'server',
      rules: [{ from: [{ source: { ipBlocks } }] }],
    });
    await assertAllowed(bob, v4);
    await assertRefused(alice, v4);
    await assertAllowed(alice, v6);
    await assertRefused(bob, v6);
  });

  await t.test('DENY wins over ALLOW', async () => {
    await enforce(
      agent,
      { name: 'p', app: 'server', rules: [{}] },
      { name: 'q', app: 'server', action: 'DENY', rules: [fromAccounts('alice')] },
    );
    await assertAllowed(bob, v4);
    await assertRefused(alice, v4);
  });

  await t.test('nobody under an empty policy', async () => {
    await enforce(agent, { name: 'p' });
    for (const addr of [v4, v6]) for (const from of [alice, bob]) await assertRefused(from, addr);
  });

  await t.test('loopback inside a pod is its own business', async () => {
    await server.listen('127.0.0.1', PORT);
    await assertAllowed(server, '127.0.0.1');
  });

  await t.test('a policy with an unknown field closes its pods, and says so', async () => {
    await enforce(agent);
    await assertAllowed(alice, v4);
    agent.writeResource('policy.yaml', [
      marker([{ name: 'unknown' }]),
      policy({ name: 'p', app: 'server', rules: [{}], extra: { colour: 'green' } }),
    ]);
    const found = await until('the finding', async () => {
      const findings = (await agent.admin('/v1/findings')) as Finding[];
      return findings.find(({ code }) => code === 'POLICY_REFUSED');
    });
    assert.equal(found.file, 'policy.yaml');
    assert.equal(found.resource, 'AuthorizationPolicy default/p');
    assert.equal(found.path, 'spec.colour');
    await assertRefused(alice, v4);
    await enforce(agent);
    await assertAllowed(alice, v4);
  });

  await t.test('a file that does not parse leaves the last good state in force', async () => {
    await enforce(agent, { name: 'p', app: 'server', rules: [fromAccounts('alice')] });
    const path = join(agent.configFolder, 'policy.yaml');
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, `${good}\n---\nthis: [is no: yaml`);
    const found = await until('the finding', async () => {
      const findings = (await agent.admin('/v1/findings')) as Finding[];
      return findings.find(({ code }) => code === 'YAML_INVALID');
    });
    assert.equal(found.file, 'policy.yaml');
    assert.match(found.message, /last good content stays in force/);
    await assertRefused(bob, v4);
    await assertAllowed(alice, v4);
    writeFileSync(path, good);
    await until('no finding', async () => {
      return ((await agent.admin('/v1/findings')) as Finding[]).length === 0;
    });
  });

  await t.test('numbers of identities survive a restart with another order', async () => {
    await enforce(agent, { name: 'p', app: 'server', rules: [fromAccounts('alice')] });
    const live = await alice.open(v4, PORT);
    const identities = (): Record<string, number> => {
      const saved = new StateFolder(join(mesh.folder, 'agent/state')).loadNumbers();
      return Object.fromEntries(saved?.numbers.identities.byKey ?? []);
    };
    const before = identities();
    await agent.kill('SIGKILL');
    assert.ok(await alice.echoes(live), 'the live connection does not need the agent');
    await assertRefused(bob, v4);
    await assertAllowed(alice, v4);
    const text = readFileSync(join(agent.configFolder, 'mesh.yaml'), 'utf8');
    // startAgent writes mesh.yaml; files of other names come first, in reverse order, with more identities
    const documents = text.split('---\n').reverse();
    const more = Array.from({ length: 5 }, (_, i) => ({
      ...podResource({
        ...mesh.pod('alice'),
        name: `aa${i}`,
        v4: `10.255.255.${i + 1}`,
        v6: `fd00::${i + 1}`,
      }),
      metadata: { name: `aa${i}`, namespace: 'default', uid: `extra-${i}` },
    }));
    agent.writeResource('aaa.yaml', more);
    writeFileSync(join(agent.configFolder, 'ab.yaml'), documents.join('---\n'));
    const next = await startAgent({ mesh });
    const after = identities();
    for (const [name, number] of Object.entries(before)) assert.equal(after[name], number, name);
    assert.ok(Object.keys(after).length > Object.keys(before).length);
    await assertRefused(bob, v4);
    await assertAllowed(alice, v4);
    assert.ok(await alice.echoes(live), 'the live connection survived the restart');
    await alice.close(live);
    await next.close();
  });
});

/** Ends alice's connection by a change on disk; bob's must not notice. Returns the milliseconds it took. */
async function revoke(stage: Stage, path: 'spliced' | 'plain' | 'proxied'): Promise<number> {
  const { agent, mesh, alice, bob, server, listener } = stage;
  const { v4 } = mesh.pod('server');
  await enforce(agent, { name: 'p', app: 'server', rules: [{}] });
  const [doomed, kept] = [await alice.open(v4, PORT), await bob.open(v4, PORT)];
  assert.ok((await alice.echoes(doomed)) && (await bob.echoes(kept)));
  const list = (await agent.admin('/v1/connections')) as {
    path: string;
    source: { workload: string };
  }[];
  const paths = list.filter(({ source }) => source.workload === 'alice').map((one) => one.path);
  assert.deepEqual([...new Set(paths)], [path]);
  const ending = alice.do('end', { id: doomed });
  const denied = {
    name: 'p',
    app: 'server',
    action: 'DENY',
    rules: [fromAccounts('alice')],
  } as const;
  const start = Number(process.hrtime.bigint()) / 1e9;
  agent.writeResource('policy.yaml', [marker([denied]), policy(denied)]);
  const { end, at } = await ending;
  assert.equal(end, 'reset', `${path}: the connection ended with ${end}`);
  assert.ok(await bob.echoes(kept), `${path}: the allowed connection noticed`);
  const accepted = (await server.accepted(listener)).length;
  if (path === 'proxied') await assertCutOff(alice, v4);
  else await assertRefused(alice, v4);
  assert.equal((await server.accepted(listener)).length, accepted, 'the server saw a denied one');
  await assertAllowed(bob, v4);
  await alice.close(doomed);
  await bob.close(kept);
  return (at! - start) * 1000;
}

for (const [path, annotations] of [
  ['spliced', {}],
  ['plain', { server: { 'podwire.io/splice': 'never' } }],
  [
    'proxied',
    { alice: { 'podwire.io/capture': 'proxy' }, server: { 'podwire.io/capture': 'proxy' } },
  ],
] as const) {
  test(`a ${path} connection ends when it is no longer allowed`, { skip }, async (t) => {
    const stage = await setTheStage(t, annotations);
    for (let round = 0; round < 3; round++) {
      const ms = await revoke(stage, path);
      t.diagnostic(`${path}: ended ${ms.toFixed(1)} ms after the file was written`);
      assert.ok(ms < REVOKED_MS, `${ms} ms`);
    }
  });
}
