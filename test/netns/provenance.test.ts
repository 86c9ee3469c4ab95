/**
 * A record speaks for its client only while it is the client that talks. Whoever is handed the server's SYN-ACK by a
 * poisoned neighbour table can end the handshake of a client that still waits, with that client's 4-tuple and record.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ConnectionView } from '../../src/admin/view.ts';
import { startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { startPuppet, until } from '../support/puppet.ts';

const skip = skipReason('python3');
const PORT = 8080;

test('who takes over a handshake does not get the client’s identity', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: ['alice', 'mallory', 'server'].map((name) => ({ name })) });
  const agent = await startAgent({ mesh });
  const [victim, thief, target] = [mesh.pod('alice'), mesh.pod('mallory'), mesh.pod('server')];
  const alice = await startPuppet(mesh, victim);
  const mallory = await startPuppet(mesh, thief);
  const server = await startPuppet(mesh, target);
  const listener = await server.listen(target.v4, PORT, { mode: 'hold' });
  const seenAs = async (address: string): Promise<ConnectionView> =>
    until(`the connection of ${address}`, async () =>
      ((await agent.admin('/v1/connections')) as ConnectionView[]).find(
        ({ source }) => source.address === address,
      ),
    );

  const honest = await alice.open(target.v4, PORT);
  const { own } = await alice.do('names', { id: honest });
  const known = await seenAs(own!);
  assert.equal(known.source.workload, 'alice');
  assert.notEqual(known.source.identity, '');

  const [{ address }] = JSON.parse(
    command('ip', ['-n', thief.netns, '-json', 'link', 'show', 'eth0']),
  ) as [{ address: string }];
  const neighbour = ['neigh', 'replace', victim.v4, 'lladdr', address, 'dev', 'eth0'];
  command('ip', ['-n', target.netns, ...neighbour, 'nud', 'permanent']);
  const stolen = mallory.do('hijack', {
    source: victim.v4,
    addr: target.v4,
    port: PORT,
    text: 'I am alice',
  });
  const unanswered = alice.connect(target.v4, PORT, { timeout: 2 });
  const { peer, error } = await stolen;
  assert.equal(error, undefined);
  const accepted = await until('the stolen connection', async () =>
    (await server.accepted(listener)).find(({ peer: from }) => from === peer),
  );
  assert.ok(accepted.id);
  const view = await seenAs(peer!);
  assert.equal(view.source.identity, '', JSON.stringify(view));
  assert.equal(view.path, 'plain');
  assert.notEqual((await unanswered).error, undefined, 'alice was answered after all');
});
