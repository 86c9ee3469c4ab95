/** Node's http with keep-alive, client and server, at the default setting. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { appFile, decision, drive, learn, redirectedDuring } from '../support/programs.ts';

test('Node.js http', { skip: skipReason() }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const agent = await startAgent({ mesh });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  const node = process.execPath;
  const echo = mesh.spawn(node, [appFile('http-echo.mjs'), server.v6, '8080'], { pod: server });
  await echo.waitFor('listening');
  const load = async (): Promise<void> => {
    const url = `http://[${server.v6}]:8080/`;
    await drive(mesh, node, [appFile('http-drive.mjs'), url, '400', '16', '200000'], {
      pod: client,
      expectOk: 400,
    });
  };
  await t.test('right while it is being learnt', () =>
    learn(agent, load, [decision('server', node, 'trusted'), decision('client', node, 'trusted')]),
  );
  await t.test('right when spliced', async () => {
    const redirected = await redirectedDuring(agent, load);
    assert.ok(redirected.bytes > 10_000_000, JSON.stringify(redirected));
  });
});
