/**
 * What identity numbers mean survives agents: restarts with another order and other file names, and the loss of the state
 * folder with live connections.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { StateFolder } from '../../src/agent/state-folder.ts';
import { type Resource, meshResources, placesOf, startAgent } from '../support/agent.ts';
import { type Mesh, type Pod, createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { fromAccounts, policy } from '../support/resources.ts';
import {
  assertAlive,
  dial,
  eventually,
  hold,
  kernelOf,
  listed,
  serve,
  untilEnded,
} from '../support/survive.ts';

const PORT = 7001;
const annotations = { 'podwire.io/splice': 'always' };

function allowAccounts(...accounts: readonly string[]): Resource {
  const rules = [fromAccounts(...accounts)];
  return policy({ name: 'accounts', app: 'server', action: 'ALLOW', rules });
}

/** Number of each service account in the saved tables. */
function savedIdentities(mesh: Mesh): Readonly<Record<string, number>> {
  const saved = new StateFolder(placesOf(mesh).state).loadNumbers();
  return Object.fromEntries(saved?.numbers.identities.byKey ?? []);
}

const ALICE = 'spiffe://cluster.local/ns/default/sa/alice';

test('numbers of identities', { skip: skipReason() }, async (t) => {
  const names = ['adam', 'alice', 'bob', 'stranger', 'server'];
  const mesh = createMesh(t, { pods: names.map((name) => ({ name, annotations })) });
  const server = mesh.pod('server');
  await serve(mesh, server, PORT);
  const resources = [allowAccounts('alice', 'bob')];
  const without = (absent: string): Pod[] => mesh.pods.filter(({ name }) => name !== absent);
  /* alice comes last, and adam is gone when numbers are given anew: hers is another then */
  let agent = await startAgent({ mesh, resources, pods: without('alice') });
  agent.writeResource('mesh.yaml', meshResources(mesh, resources));
  await eventually('alice is captured', async () => {
    const pods = (await agent.admin('/v1/pods')) as readonly unknown[];
    return pods.length === mesh.pods.length;
  });
  const [alice, bob] = [
    await hold(mesh, mesh.pod('alice'), server.v4, PORT, 50),
    await hold(mesh, mesh.pod('bob'), server.v4, PORT, 50),
  ];
  const verdicts = async (): Promise<void> => {
    for (const [name, allowed] of [
      ['alice', true],
      ['bob', true],
      ['stranger', false],
    ] as const) {
      const dialler = await dial(mesh, mesh.pod(name), server.v4, PORT);
      await sleep(150);
      const counts = await dialler.counts();
      await dialler.stop();
      assert.deepEqual([counts.exchanges > 0, counts.failed > 0], [allowed, !allowed], name);
    }
    await assertAlive(alice, 50);
    await assertAlive(bob, 50);
  };
  await verdicts();
  const numbers = savedIdentities(mesh);
  await t.test('stay over a restart with another order and other file names', async () => {
    await agent.kill('SIGTERM');
    const { config } = placesOf(mesh);
    writeFileSync(
      join(config, 'a-policy.yaml'),
      stringify(allowAccounts('zoe', 'aaron', 'bob', 'alice')),
    );
    agent = await startAgent({ mesh });
    assert.equal((await kernelOf(agent)).adopted, true);
    await verdicts();
    const now = savedIdentities(mesh);
    for (const [spiffe, number] of Object.entries(numbers)) assert.equal(now[spiffe], number);
  });

  await t.test('are given anew with the state folder lost: a generation of its own', async () => {
    await agent.kill('SIGKILL');
    rmSync(placesOf(mesh).state, { recursive: true });
    agent = await startAgent({ mesh, pods: without('adam') });
    const kernel = await kernelOf(agent);
    assert.deepEqual([kernel.generation, kernel.adopted, [...kernel.older]], [2, false, [1]]);
    assert.notEqual(savedIdentities(mesh)[ALICE], numbers[ALICE]);
    await verdicts();
    const rows = (await listed(agent, PORT)).filter(({ source }) => source.workload === 'alice');
    assert.equal(rows.length, 50);
    assert.ok(
      rows.every(({ source }) => source.identity === ALICE),
      JSON.stringify(rows[0]),
    );
  });

  await t.test('and old connections are still judged by who made them', async () => {
    const { config } = placesOf(mesh);
    writeFileSync(join(config, 'a-policy.yaml'), stringify(allowAccounts('eve', 'alice')));
    const ms = await untilEnded(bob, 50);
    assert.ok(ms < 2000, `${ms} ms`);
    await assertAlive(alice, 50);
  });
});
