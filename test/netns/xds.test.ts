/**
 * An agent whose mesh comes from foreign xDS servers: policy reaches the kernel, a change of server fails no connection, and
 * what was last good holds after a restart without any server.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { StatusView } from '../../src/admin/view.ts';
import { EMPTY_MATCH, type Authorization } from '../../src/model/authorization.ts';
import type { Address } from '../../src/model/messages.ts';
import { launchAgent, type Agent } from '../support/agent.ts';
import { ControlPlane } from '../support/control-plane.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';
import { pod } from '../support/xds-client.ts';

const skip = skipReason('python3', 'go');
const PORT = 8080;

/** Bob may not. */
const DENY_BOB: Authorization = {
  name: 'not-bob',
  namespace: 'default',
  scope: 'NAMESPACE',
  action: 'DENY',
  dryRun: false,
  rules: [
    {
      clauses: [
        {
          matches: [
            {
              ...EMPTY_MATCH,
              principals: [{ type: 'exact', value: 'cluster.local/ns/default/sa/bob' }],
            },
          ],
        },
      ],
    },
  ],
};

function addresses(mesh: Mesh): Address[] {
  return mesh.pods.map(({ name, v4 }) => pod(name, v4));
}

async function statusOf(agent: Agent): Promise<StatusView> {
  return (await agent.admin('/v1/status')) as StatusView;
}

async function refused(from: Puppet, addr: string): Promise<boolean> {
  const answer = await from.connect(addr, PORT);
  if (answer.id !== undefined) await from.close(answer.id);
  return answer.error === 'ECONNREFUSED';
}

test('an agent with --xds a,b', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: ['alice', 'bob', 'server'].map((name) => ({ name })) });
  const planes = await Promise.all([ControlPlane.start(), ControlPlane.start()]);
  for (const plane of planes) mesh.defer(() => plane.kill());
  const [first, second] = planes as [ControlPlane, ControlPlane];
  const servers = planes.map(({ port }) => `http://127.0.0.1:${port}`).join(',');
  for (const plane of planes) {
    await plane.serve({ addresses: addresses(mesh), authorizations: [DENY_BOB] });
  }
  const [alice, bob, server] = (await Promise.all(
    ['alice', 'bob', 'server'].map((name) => startPuppet(mesh, mesh.pod(name))),
  )) as [Puppet, Puppet, Puppet];
  const { v4 } = mesh.pod('server');
  await server.listen(v4, PORT);
  const agent = launchAgent({ mesh, args: ['--xds', servers] });
  await agent.waitForLog('ready');

  await t.test('the server’s policy is in force, a change of it within moments', async () => {
    await until('bob is refused', () => refused(bob, v4));
    assert.equal(await refused(alice, v4), false);
    await first.serve({ authorizations: [] });
    await until('bob is let in', async () => !(await refused(bob, v4)));
    await first.serve({ authorizations: [DENY_BOB] });
    await until('bob is refused again', () => refused(bob, v4));
  });

  await t.test(
    'a takeover and the way back: no connection fails, no refusal is forgotten',
    async () => {
      let failures = 0;
      let leaks = 0;
      let rounds = 0;
      const state = { over: false };
      const traffic = (async () => {
        while (!state.over) {
          if (await refused(alice, v4)) failures++;
          if (!(await refused(bob, v4))) leaks++;
          rounds++;
        }
      })();
      const active = async (): Promise<number> =>
        (await statusOf(agent)).xds!.servers.findIndex((one) => one.active);
      await first.kill();
      await until('the backup', async () => (await active()) === 1, 15_000);
      const again = await ControlPlane.start(['-hold', `-port=${first.port}`]);
      mesh.defer(() => again.kill());
      await again.serve({ addresses: addresses(mesh), authorizations: [DENY_BOB] });
      await until('the first again', async () => (await active()) === 0, 30_000);
      state.over = true;
      await traffic;
      await again.kill();
      t.diagnostic(`${rounds} rounds of two connections`);
      assert.deepEqual([failures, leaks], [0, 0]);
      assert.ok(rounds > 20);
    },
  );

  await t.test('metrics and status tell', async () => {
    const metrics = await agent.metrics();
    assert.match(metrics, /podwire_xds_resources\{type="addresses"\} 3/);
    assert.match(metrics, /podwire_xds_active\{server="http:[^"]*"\} 1/);
    const { xds } = await statusOf(agent);
    assert.equal(xds?.stale, null);
    assert.equal(xds?.types.find(({ type }) => type === 'authorizations')?.resources, 1);
  });

  await t.test(
    'without any server, a new agent holds what was last good, and says so',
    async () => {
      await second.kill();
      await agent.kill('SIGTERM');
      const next = launchAgent({ mesh, args: ['--xds', servers] });
      await next.waitForLog('ready', 20_000);
      const { xds, mesh: held } = await statusOf(next);
      assert.ok(xds?.stale, JSON.stringify(xds));
      assert.deepEqual([held.workloads, held.policies], [3, 1]);
      await until('captured', () => refused(bob, v4));
      assert.equal(await refused(alice, v4), false);
      assert.match(await next.metrics(), /podwire_xds_stale_seconds \d/);
    },
  );
});
