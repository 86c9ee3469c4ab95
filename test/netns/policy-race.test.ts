/**
 * A new identity that races its first connection is denied, never allowed: accounts nobody had before come and go under a
 * client that connects without a pause.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { podResource, startAgent, type Resource } from '../support/agent.ts';
import { Asker, Racer, serveByte } from '../support/asker.ts';
import { createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { until } from '../support/puppet.ts';
import { policy } from '../support/resources.ts';

const skip = skipReason();
const PORT = 8080;
const IDENTITIES = 40;

/** Whose account begins with "good-". */
const GOOD_ONLY = policy({
  name: 'good-only',
  app: 'server',
  rules: [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/good-*'] } }] }],
});

test('new identities racing their first connections', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'server' }, { name: 'racer' }] });
  const [server, racer] = [mesh.pod('server'), mesh.pod('racer')];
  await serveByte(mesh, server, [PORT]);
  const agent = await startAgent({ mesh, resources: [GOOD_ONLY] });
  const as = (account: string): void => {
    const resource = podResource(racer) as Readonly<Record<string, Resource>>;
    agent.writeResource('mesh.yaml', [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } },
      podResource(server),
      { ...resource, spec: { ...resource['spec'], serviceAccountName: account } },
      GOOD_ONLY,
    ]);
  };
  const isNow = (account: string) =>
    until(account, async () => {
      const pods = (await agent.admin('/v1/pods')) as { name: string; identity: string }[];
      return pods.some(({ name, identity }) => name === 'racer' && identity.endsWith(account));
    });

  await t.test('those that may not are never let in', async () => {
    as('bad-first');
    await isNow('bad-first');
    const racing = await Racer.start(mesh, racer, server.v4, PORT);
    for (let i = 0; i < IDENTITIES; i++) {
      as(`bad-${i}`);
      await sleep(30);
    }
    await isNow(`bad-${IDENTITIES - 1}`);
    const counts = await racing.stop();
    t.diagnostic(JSON.stringify(counts));
    assert.equal(counts['allowed'], 0);
    assert.equal(counts['other'], 0);
    assert.ok((counts['refused'] ?? 0) > 1000);
  });

  await t.test('those that may are, once the kernel knows them', async () => {
    const asker = await Asker.start(mesh, racer);
    as('good-one');
    await until('let in', async () => (await asker.one(server.v4, PORT)) === 'A');
    as('bad-again');
    await until('refused', async () => (await asker.one(server.v4, PORT)) === 'R');
  });
});
