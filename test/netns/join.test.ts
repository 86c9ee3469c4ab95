/**
 * A node outside Kubernetes: an agent that joined two `podwire control`s by a token captures pods with the mesh they serve
 * over mTLS; a policy written at control is in the kernel within a second, and what is in force outlives a control.
 */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { StatusView } from '../../src/admin/view.ts';
import type { CertificateStatus } from '../../src/identity/certificate-status.ts';
import {
  launchAgent,
  mainProgram,
  placesOf,
  podResource,
  type Agent,
  type Resource,
} from '../support/agent.ts';
import { startControl } from '../support/control.ts';
import { ControlPlace } from '../support/joining-node.ts';
import { createMesh, type Pod } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';

const skip = skipReason('python3');
const PORT = 8080;
const NODE = 'vm-1';

const policy = (account: string): Resource => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'not-bob', namespace: 'default' },
  spec: {
    action: 'DENY',
    rules: [{ from: [{ source: { principals: [`cluster.local/ns/default/sa/${account}`] } }] }],
  },
});

function onNode(pod: Pod): Resource {
  const resource = podResource(pod);
  return { ...resource, spec: { ...(resource['spec'] as object), nodeName: NODE } };
}

async function statusOf(agent: Agent): Promise<StatusView> {
  return (await agent.admin('/v1/status')) as StatusView;
}

async function refused(from: Puppet, addr: string): Promise<boolean> {
  const answer = await from.connect(addr, PORT);
  if (answer.id !== undefined) await from.close(answer.id);
  return answer.error === 'ECONNREFUSED';
}

test('an agent that joined by a token', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: ['alice', 'bob', 'server'].map((name) => ({ name })) });
  const place = await ControlPlace.in(mesh.folder);
  await place.write('mesh.yaml', mesh.pods.map((pod) => stringify(onNode(pod))).join('---\n'));
  const first = startControl(t, place.folder, place.args);
  const addresses = [await first.address()];
  const second = startControl(t, place.folder, place.args);
  addresses.push(await second.address());
  const servers = addresses.join(',');
  const [alice, bob, server] = (await Promise.all(
    ['alice', 'bob', 'server'].map((name) => startPuppet(mesh, mesh.pod(name))),
  )) as [Puppet, Puppet, Puppet];
  const { v4 } = mesh.pod('server');
  await server.listen(v4, PORT);
  const tokenFile = await place.token(NODE);
  const tls = ['--xds', servers, '--xds-root', await place.roots()];
  const agent = launchAgent({ mesh, args: [...tls, '--join-token', tokenFile] });
  await agent.waitForLog('ready');

  const decide = async (deny: boolean): Promise<number> => {
    const before = performance.now();
    await place.write('policy.yaml', stringify(policy(deny ? 'bob' : 'nobody')));
    while ((await refused(bob, v4)) !== deny) assert.ok(performance.now() - before < 10_000);
    return Math.round(performance.now() - before);
  };

  await t.test('status and metrics tell its name and its certificate’s end', async () => {
    const { node, xds, mesh: counts } = await statusOf(agent);
    assert.deepEqual([node?.name, node?.error], [NODE, '']);
    assert.equal(xds?.servers[0]?.state, 'up');
    assert.equal(counts.workloads, 3);
    const ends = Math.floor(Date.parse(node?.expires ?? '') / 1000);
    assert.ok(
      (await agent.metrics()).includes(
        `podwire_node_certificate_expiry_timestamp_seconds ${ends}\n`,
      ),
    );
    const { state, socket } = placesOf(mesh);
    const page = command(process.execPath, [mainProgram(), 'status', '--admin', socket]);
    assert.match(page, /^node +vm-1$/m);
    assert.match(page, /^certificate +ends 20\S+Z, renewed 0 times, next 20\S+Z$/m);
    assert.ok(readdirSync(state).includes('node-credential.pem'));
    assert.ok(!readdirSync(state).includes('node-key.pem'));
  });

  await t.test('the pods’ certificates are had by the machine’s own', async () => {
    const id = (name: string): string => `spiffe://cluster.local/ns/default/sa/${name}`;
    // the first question may come before the machine has joined
    for (const end = Date.now() + 20_000; ; await sleep(100)) {
      const list = (await agent.admin('/v1/certificates')) as CertificateStatus[];
      const valid = list.filter(({ state }) => state === 'valid').map(({ identity }) => identity);
      if (valid.length === 3) {
        assert.deepEqual(valid, ['alice', 'bob', 'server'].map(id));
        break;
      }
      assert.ok(Date.now() < end, JSON.stringify(list));
    }
  });

  await t.test('a policy written at control is in the kernel within a second', async () => {
    assert.equal(await refused(bob, v4), false);
    const times: number[] = [];
    for (let i = 0; i < 6; i++) times.push(await decide(i % 2 === 0));
    t.diagnostic(`change of the file → connect: ${times.join(', ')} ms`);
    assert.ok(Math.max(...times) < 1000, times.join(', '));
    assert.equal(await refused(alice, v4), false);
  });

  await t.test(
    'control is killed: connections and policy go on, the other takes over',
    async () => {
      await decide(true);
      const open = await alice.open(v4, PORT);
      const active = async (): Promise<number> =>
        (await statusOf(agent)).xds!.servers.findIndex((one) => one.active);
      assert.equal(await active(), 0);
      await first.kill();
      let rounds = 0;
      while ((await active()) !== 1) {
        assert.ok(await alice.echoes(open));
        assert.equal(await refused(bob, v4), true);
        assert.equal(await refused(alice, v4), false);
        rounds++;
      }
      assert.ok(rounds > 5);
      assert.ok(await alice.echoes(open));
      const ms = [await decide(false), await decide(true)];
      t.diagnostic(`${rounds} rounds without control; by the other one: ${ms.join(', ')} ms`);
      assert.ok(Math.max(...ms) < 1000, ms.join(', '));
    },
  );

  await t.test(
    'the next agent needs no token; when it is revoked it says so and holds',
    async () => {
      await agent.kill('SIGTERM');
      rmSync(tokenFile);
      const next = launchAgent({ mesh, args: [...tls, '--join-token', tokenFile] });
      await next.waitForLog('ready', 20_000);
      assert.equal(await refused(bob, v4), true);
      assert.equal((await statusOf(next)).node?.name, NODE);
      await place.revoke(NODE);
      const error = async (): Promise<string> => (await statusOf(next)).node?.error ?? '';
      await until('it is told', async () => (await error()) !== '', 20_000);
      assert.match(await error(), /it was revoked.*\(podwire token create --name vm-1.*put it in/);
      assert.deepEqual([await refused(bob, v4), await refused(alice, v4)], [true, false]);
      assert.equal((await statusOf(next)).mesh.workloads, 3);
      assert.ok(!next.stderr.includes('PRIVATE KEY'), 'no key in the log');
    },
  );
});
