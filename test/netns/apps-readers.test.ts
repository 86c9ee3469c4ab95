/**
 * Readers that the observer cannot vouch for: io_uring shows no system calls, and a process that inherited a descriptor is
 * not the one that was learnt. No hang, no wrong byte, at most one reset.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { type Mesh, createMesh } from '../support/netns.ts';
import { cProgram, skipReason } from '../support/node.ts';
import { type Counts, decision, drive, learn, redirectedDuring } from '../support/programs.ts';

const PORT = '9000';
const HAND_OVER_FROM = 400;
const skip = skipReason();

function echo(mesh: Mesh, connections: number): Promise<Counts> {
  const args = ['drive', mesh.pod('server').v4, PORT, String(connections), '1', '20000'];
  return drive(mesh, cProgram('torture-echo'), args, { pod: mesh.pod('client') });
}

test('an io_uring reader stays plain', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const agent = await startAgent({ mesh });
  const server = mesh.pod('server');
  const serve = ['serve-io-uring', server.v4, PORT];
  const reader = mesh.spawn(cProgram('torture-echo'), serve, { pod: server });
  await reader.waitFor('listening');
  const redirected = await redirectedDuring(agent, async () => {
    const end = Date.now() + 6000;
    while (Date.now() < end) {
      assert.equal((await echo(mesh, 20))['ok'], 20);
    }
  });
  assert.deepEqual(redirected, { spliced: 0, bytes: 0 });
});

test('a reader that inherited its descriptor', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const agent = await startAgent({ mesh });
  const server = mesh.pod('server');
  const serve = ['serve', server.v4, PORT, String(HAND_OVER_FROM), cProgram('torture-splice')];
  const reader = mesh.spawn(cProgram('torture-echo'), serve, { pod: server });
  await reader.waitFor('listening');
  let driven = 0;
  const step = (connections: number): Promise<Counts> => {
    driven += connections;
    return echo(mesh, connections);
  };
  await learn(agent, () => step(5), [
    decision('server', cProgram('torture-echo'), 'trusted'),
    decision('client', cProgram('torture-echo'), 'trusted'),
  ]);
  assert.ok(driven < HAND_OVER_FROM - 10, `learnt only after ${driven} connections`);
  const redirected = await redirectedDuring(agent, () => step(HAND_OVER_FROM - 1 - driven));
  assert.ok(redirected.bytes > 0, 'it was not spliced before');

  const counts = await step(50);
  assert.equal(counts['hung'], 0, JSON.stringify(counts));
  assert.equal(counts['corrupt'], 0, JSON.stringify(counts));
  assert.ok((counts['ok'] ?? 0) >= 49, `at most one may fail: ${JSON.stringify(counts)}`);
});
