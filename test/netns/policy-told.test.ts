/**
 * Every refusal says who, whom, which policy and which rule, in the log and in the metrics; what dry-run policies would have
 * done is said as well, and nothing else. In the kernel and in user space.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PolicyView } from '../../src/admin/view.ts';
import { startAgent, type Agent, type LogLine, type Resource } from '../support/agent.ts';
import { Asker, serveByte } from '../support/asker.ts';
import { createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { until } from '../support/puppet.ts';
import { fromAccounts, policy, toPorts } from '../support/resources.ts';

const skip = skipReason();
const [OPEN, SHUT] = [8080, 8081];
const ALICE = 'spiffe://cluster.local/ns/default/sa/alice';
const SERVER = 'spiffe://cluster.local/ns/default/sa/server';

/** More prefixes than a table of the kernel may have; nobody here has such an address. */
const MANY_BLOCKS = policy({
  name: 'many-blocks',
  app: 'server',
  action: 'DENY',
  rules: [
    {
      from: [
        {
          source: {
            ipBlocks: Array.from({ length: 1100 }, (_, i) => `203.0.${i >> 8}.${i & 255}/32`),
          },
        },
      ],
    },
  ],
});

function dryRun(resource: Resource): Resource {
  const { metadata } = resource as Readonly<Record<string, Resource>>;
  return { ...resource, metadata: { ...metadata, annotations: { 'istio.io/dry-run': 'true' } } };
}

function nameOf(resource: Resource): string {
  return (resource['metadata'] as { name: string }).name;
}

function samples(metrics: string, name: string): string[] {
  return metrics.split('\n').filter((line) => line.startsWith(`${name}{`));
}

async function line(agent: Agent, is: (line: LogLine) => boolean): Promise<LogLine> {
  return until('the line', () => agent.log.findLast((one) => 'dst.addr' in one && is(one)));
}

for (const form of ['kernel', 'user-space'] as const) {
  test(`refusals and dry runs are told, ${form}`, { skip }, async (t) => {
    const mesh = createMesh(t, { pods: [{ name: 'alice' }, { name: 'bob' }, { name: 'server' }] });
    const server = mesh.pod('server');
    await serveByte(mesh, server, [OPEN, SHUT]);
    const agent = await startAgent({ mesh });
    const [alice, bob] = await Promise.all([
      Asker.start(mesh, mesh.pod('alice')),
      Asker.start(mesh, mesh.pod('bob')),
    ]);
    const refused = form === 'kernel' ? 'R' : 'X';
    const base = form === 'kernel' ? [] : [MANY_BLOCKS];
    const enforce = async (...policies: readonly Resource[]): Promise<void> => {
      agent.writeResource('policy.yaml', [...base, ...policies]);
      const wanted = [...base, ...policies].map(nameOf).sort().join();
      await until('the policies', async () => {
        const all = (await agent.admin('/v1/policies')) as PolicyView[];
        return (
          all
            .map(({ name }) => name)
            .sort()
            .join() === wanted &&
          all.every((one) => one.dryRun || (one.form === form && one.pods.length > 0))
        );
      });
    };

    await t.test('the rule of a DENY policy', async () => {
      await enforce(
        policy({
          name: 'p',
          app: 'server',
          action: 'DENY',
          rules: [toPorts(9999), { ...fromAccounts('alice'), ...toPorts(SHUT) }],
        }),
      );
      assert.equal(await alice.one(server.v4, OPEN), 'A');
      assert.equal(await alice.one(server.v4, SHUT), refused);
      const told = await line(agent, (one) => one['error'] === 'policy');
      assert.equal(told['src.identity'], ALICE);
      assert.equal(told['dst.identity'], SERVER);
      assert.equal(told['dst.addr'], `${server.v4}:${SHUT}`);
      assert.deepEqual([told['policy'], told['rule']], ['default/p', '1']);
      assert.deepEqual(samples(await agent.metrics(), 'podwire_policy_denied_total'), [
        `podwire_policy_denied_total{source_principal="${ALICE}",destination_principal="${SERVER}",policy="default/p",rule="1"} 1`,
      ]);
    });

    await t.test('no ALLOW matched', async () => {
      await enforce(policy({ name: 'q', app: 'server', rules: [fromAccounts('alice')] }));
      const identity = 'spiffe://cluster.local/ns/default/sa/bob';
      assert.equal(await alice.one(server.v6, OPEN), 'A');
      assert.equal(await bob.one(server.v6, OPEN), refused);
      const told = await line(agent, (one) => one['src.identity'] === identity);
      assert.deepEqual(
        [told['error'], told['policy'], told['rule']],
        ['policy', undefined, 'no ALLOW matched'],
      );
      assert.match(
        await agent.metrics(),
        /podwire_policy_denied_total\{source_principal="[^"]*bob",[^}]*policy="",rule="no ALLOW matched"\} 1/,
      );
    });

    await t.test('a dry run decides nothing, and is told', async () => {
      await enforce(
        dryRun(policy({ name: 'dry', app: 'server', action: 'DENY', rules: [toPorts(SHUT)] })),
      );
      assert.equal(await alice.one(server.v4, SHUT), 'A');
      assert.equal(await alice.one(server.v4, OPEN), 'A');
      const shut = await line(
        agent,
        (one) => one['dry_run'] !== undefined && one['dst.addr'] === `${server.v4}:${SHUT}`,
      );
      assert.equal(shut['msg'], 'connection complete');
      assert.deepEqual(
        [shut['dry_run'], shut['dry_run_policy'], shut['dry_run_rule'], shut['policy']],
        ['deny', 'default/dry', '0', undefined],
      );
      const open = await line(
        agent,
        (one) => one['dry_run'] !== undefined && one['dst.addr'] === `${server.v4}:${OPEN}`,
      );
      assert.equal(open['dry_run'], 'allow');
      const counted = samples(await agent.metrics(), 'podwire_policy_dry_run_total');
      assert.equal(counted.length, 2, counted.join('\n'));
      assert.ok(
        counted.some((one) => one.endsWith('policy="default/dry",rule="0",result="deny"} 1')),
      );
      assert.ok(counted.some((one) => one.endsWith('policy="",rule="",result="allow"} 1')));
    });
  });
}
