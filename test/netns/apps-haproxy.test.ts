/**
 * HAProxy with kernel splicing switched on (it shows itself only under load with `option splice-auto`, so it is on the
 * shipped deny list): works from the first connection on at the default setting and is never spliced by us.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { cProgram, findProgram, skipReason } from '../support/node.ts';
import { decision, drive, isDecided } from '../support/programs.ts';

test('HAProxy with option splice-*', { skip: skipReason('haproxy') }, async (t) => {
  const mesh = createMesh(t, { pods: ['client', 'proxy', 'server'].map((name) => ({ name })) });
  const agent = await startAgent({ mesh });
  const [client, proxy, server] = [mesh.pod('client'), mesh.pod('proxy'), mesh.pod('server')];
  const echo = mesh.spawn(cProgram('torture-echo'), ['serve', server.v4, '9000'], { pod: server });
  await echo.waitFor('listening');
  const listener = (name: string, port: number, options: string): string =>
    `listen ${name}\n  bind ${proxy.v4}:${port}\n${options}  server origin ${server.v4}:9000\n`;
  const config = mesh.writeFile(
    'haproxy.cfg',
    'global\n  maxconn 4000\n  nbthread 2\n' +
      'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n' +
      listener('automatic', 9001, '  option splice-auto\n') +
      listener('always', 9002, '  option splice-request\n  option splice-response\n'),
  );
  const haproxy = mesh.spawn(findProgram('haproxy') ?? 'haproxy', ['-db', '-V', '-f', config], {
    pod: proxy,
  });
  await haproxy.waitFor('Using').catch(() => undefined);
  for (const port of [9001, 9002]) {
    await t.test(`port ${port}`, async () => {
      for (const [connections, concurrent, bytes] of [
        [1, 1, 1],
        [200, 16, 100_000],
        [8, 4, 50_000_000],
      ] as const) {
        const numbers = [port, connections, concurrent, bytes].map(String);
        await drive(mesh, cProgram('torture-echo'), ['drive', proxy.v4, ...numbers], {
          pod: client,
          expectOk: connections,
        });
      }
    });
  }
  assert.ok(await isDecided(agent, decision('proxy', 'haproxy', 'denied')));
});
