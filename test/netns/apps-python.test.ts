/**
 * One interpreter, two programs: an HTTP server that splicing serves well, and a server that reads with MSG_WAITALL, which
 * it does not. What the first has shown must not speak for the second.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { cProgram, skipReason } from '../support/node.ts';
import { appFile, decision, drive, learn, python, redirectedDuring } from '../support/programs.ts';

test('two Python programs', { skip: skipReason('python3') }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const agent = await startAgent({ mesh });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  const http = mesh.spawn(python(), [appFile('http_echo.py'), server.v4, '8080'], { pod: server });
  await http.waitFor('listening');
  const load = async (): Promise<void> => {
    await drive(
      mesh,
      python(),
      [appFile('http_drive.py'), server.v4, '8080', '/', '10', '20', '50000'],
      {
        pod: client,
        expectOk: 200,
      },
    );
  };
  await t.test('http.server and http.client are right while they are learnt', () =>
    learn(agent, load, [
      decision('server', 'python3', 'trusted'),
      decision('client', 'python3', 'trusted'),
    ]),
  );
  await t.test('and right when spliced', async () => {
    const redirected = await redirectedDuring(agent, load);
    assert.ok(redirected.bytes > 5_000_000, JSON.stringify(redirected));
  });
  await t.test('the MSG_WAITALL program is right from its first connection on', async () => {
    const records = mesh.spawn(python(), [appFile('waitall_echo.py'), server.v4, '8082', '10000'], {
      pod: server,
    });
    await records.waitFor('listening');
    const echo = async (): Promise<void> => {
      await drive(
        mesh,
        cProgram('torture-echo'),
        ['drive', server.v4, '8082', '50', '4', '200000'],
        {
          pod: client,
          expectOk: 50,
        },
      );
    };
    const redirected = await redirectedDuring(agent, () =>
      learn(agent, echo, [decision('server', 'python3', 'denied')]),
    );
    await echo();
    assert.ok(!records.output().includes('short record'), records.output());
    assert.equal(redirected.bytes, 0);
  });
  await t.test('both are listed by their scripts', async () => {
    const stateOf = async (script: string): Promise<readonly string[]> =>
      (await agent.trust())
        .filter(({ name, workload }) => name.includes(script) && workload === 'default/server')
        .map(({ state }) => state);
    assert.deepEqual(await stateOf('/http_echo.py '), ['trusted']);
    assert.deepEqual(await stateOf('/waitall_echo.py '), ['denied']);
    assert.ok(!agent.stderr.includes('waitall_echo.py'), 'arguments in a log');
  });
});
