/**
 * Spliced bytes skip netfilter: a pair that NetworkPolicy does not let talk is not spliced, and says why; a live spliced one goes
 * back to TCP, where the CNI sees its bytes, without an end or a lost byte. The CNI's own refusal stays the CNI's.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ConnectionView } from '../../src/admin/view.ts';
import { startAgent, type Agent, type Resource } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';

const skip = skipReason('python3', 'iptables');
const [WEB, ADMIN] = [8080, 9090];

function networkPolicy(name: string, spec: Resource): Resource {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default' },
    spec,
  };
}

/** A file that is empty counts as one that is being written. */
const OTHER = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } };
const TO_SERVER = { podSelector: { matchLabels: { app: 'server' } } };
const FROM_ALICE = networkPolicy('from-alice', {
  ...TO_SERVER,
  ingress: [
    {
      from: [{ podSelector: { matchLabels: { app: 'alice' } } }],
      ports: [{ port: WEB, endPort: WEB + 10 }],
    },
  ],
});

async function viewOf(agent: Agent, from: string, port: number): Promise<ConnectionView> {
  return until(`the connection of ${from}`, async () =>
    ((await agent.admin('/v1/connections')) as ConnectionView[]).find(
      ({ source, destination }) =>
        source.workload === from && destination.address.endsWith(`:${port}`),
    ),
  );
}

/** A new connection: how it goes, and why. */
async function pathOf(agent: Agent, from: Puppet, to: string, port: number): Promise<string> {
  const id = await from.open(to, port);
  assert.ok(await from.echoes(id));
  const { path, reason } = await viewOf(agent, from.pod!.name, port);
  await from.close(id);
  await until('its end', async () => {
    const all = (await agent.admin('/v1/connections')) as ConnectionView[];
    return all.every(({ source }) => source.workload !== from.pod!.name);
  });
  return reason === '' ? path : `${path}, ${reason}`;
}

test('NetworkPolicy and splicing', { skip }, async (t) => {
  const annotations = { 'podwire.io/splice': 'always' };
  const mesh = createMesh(t, {
    pods: ['alice', 'bob', 'server'].map((name) => ({ name, annotations })),
  });
  const agent = await startAgent({ mesh });
  const [alice, bob, server] = (await Promise.all(
    mesh.pods.map((pod) => startPuppet(mesh, pod)),
  )) as [Puppet, Puppet, Puppet];
  const { v4, v6 } = mesh.pod('server');
  for (const addr of [v4, v6]) for (const port of [WEB, ADMIN]) await server.listen(addr, port);
  const becomes = (from: Puppet, wanted: string, port: number = WEB, to = v4): Promise<true> =>
    until(
      `${from.pod!.name} ${wanted}`,
      async () => (await pathOf(agent, from, to, port)) === wanted,
    );
  const enforce = (...policies: readonly Resource[]): void =>
    agent.writeResource('network.yaml', [OTHER, ...policies]);
  const REFUSED = 'plain, network-policy';

  await t.test('without a policy everybody is spliced', async () => {
    assert.equal(await pathOf(agent, alice, v4, WEB), 'spliced');
    assert.equal(await pathOf(agent, bob, v6, ADMIN), 'spliced');
  });

  await t.test('an ingress policy: its pair and its ports only, over both families', async () => {
    enforce(FROM_ALICE);
    await becomes(bob, REFUSED);
    for (const to of [v4, v6]) {
      assert.equal(await pathOf(agent, alice, to, WEB), 'spliced');
      assert.equal(await pathOf(agent, alice, to, ADMIN), REFUSED);
      assert.equal(await pathOf(agent, bob, to, WEB), REFUSED);
    }
    assert.equal(
      ((await agent.counters())['not-spliced.network-policy'] ?? 0) > 0,
      true,
      'not counted',
    );
    assert.match(
      await agent.metrics(),
      /podwire_connections_not_spliced_total\{reason="network-policy"\} [1-9]/,
    );
  });

  await t.test('an egress policy', async () => {
    enforce(
      networkPolicy('alice-nowhere', {
        podSelector: { matchLabels: { app: 'alice' } },
        policyTypes: ['Egress'],
      }),
    );
    await becomes(alice, REFUSED);
    assert.equal(await pathOf(agent, bob, v4, WEB), 'spliced');
  });

  await t.test('one that cannot be read isolates, and says so', async () => {
    enforce(networkPolicy('broken', { ...TO_SERVER, ingress: [{ from: [{ colour: 'green' }] }] }));
    await becomes(bob, REFUSED);
    const findings = (await agent.admin('/v1/findings')) as { resource: string }[];
    assert.ok(findings.some(({ resource }) => resource === 'NetworkPolicy default/broken'));
    enforce();
    await becomes(bob, 'spliced');
  });

  await t.test(
    'a live one goes back to TCP and lives on; the CNI then sees its bytes',
    async () => {
      const id = await bob.open(v4, WEB);
      assert.ok(await bob.echoes(id));
      const before = await viewOf(agent, 'bob', WEB);
      assert.equal(before.path, 'spliced');
      assert.ok(before.bytesSpliced > 0);
      enforce(FROM_ALICE);
      const after = await until('plain', async () => {
        assert.ok(await bob.echoes(id));
        const view = await viewOf(agent, 'bob', WEB);
        return view.path === 'plain' ? view : undefined;
      });
      assert.equal(after.reason, 'network-policy');
      const spliced = after.bytesSpliced;
      for (let i = 0; i < 20; i++) assert.ok(await bob.echoes(id));
      assert.equal((await viewOf(agent, 'bob', WEB)).bytesSpliced, spliced);
      const { netnsPath } = mesh.pod('server');
      const rule = ['INPUT', '-s', mesh.pod('bob').v4, '-p', 'tcp', '-j', 'REJECT'];
      const iptables = (...args: readonly string[]): string =>
        command('nsenter', [`--net=${netnsPath}`, '--', 'iptables', ...args]);
      iptables('-A', ...rule, '--reject-with', 'tcp-reset');
      const ending = bob.do('end', { id });
      await bob.do('say', { id, text: 'are you there?', answer: false });
      assert.equal((await ending).end, 'reset', 'the CNI’s rule did not see it');
      iptables('-D', ...rule, '--reject-with', 'tcp-reset');
      await bob.close(id);
    },
  );
});
