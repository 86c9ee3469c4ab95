/**
 * nginx at the default setting: right while it is being learnt and right when spliced. Static files with sendfile, POST
 * bodies through a proxy (which asks FIONREAD), deferred accept.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { NGINX_DEFERRED_PORT, NGINX_PORT, startNginx, staticFolder } from '../support/nginx.ts';
import { skipReason } from '../support/node.ts';
import { appFile, buildGo, decision, drive, learn, redirectedDuring } from '../support/programs.ts';

const STATIC_BYTES = 3_000_000;

test('nginx', { skip: skipReason('nginx', 'go', 'curl') }, async (t) => {
  const mesh = createMesh(t, { pods: ['client', 'nginx', 'backend'].map((name) => ({ name })) });
  const agent = await startAgent({ mesh });
  const [client, nginx, backend] = [mesh.pod('client'), mesh.pod('nginx'), mesh.pod('backend')];
  const httpEcho = buildGo(mesh, 'http-echo');
  // not Go: nginx keeps few connections to its origin, and Go is watched for twenty
  const origin = mesh.spawn(process.execPath, [appFile('http-echo.mjs'), backend.v4, '9000'], {
    pod: backend,
  });
  await origin.waitFor('listening');
  await startNginx(mesh, nginx, `${backend.v4}:9000`);
  const file = randomBytes(STATIC_BYTES);
  const md5 = createHash('md5').update(file).digest('hex');
  writeFileSync(join(staticFolder(mesh), 'file'), file);

  const post = async (requests: number, path: string, maxBytes = 300_000): Promise<void> => {
    await drive(
      mesh,
      httpEcho,
      ['drive', `http://${path}`, String(requests), '8', String(maxBytes)],
      {
        pod: client,
        expectOk: requests,
      },
    );
  };
  /** one curl, one keep-alive connection, `times` downloads */
  const download = async (host: string, times: number): Promise<void> => {
    const script = 'for i in $(seq "$1"); do curl -sS --max-time 8 "$0" | md5sum; done';
    const result = await mesh.run(
      'sh',
      ['-c', script, `http://${host}/static/file`, String(times)],
      {
        pod: client,
      },
    );
    const sums = result.stdout.trim().split('\n');
    assert.deepEqual(sums, Array(times).fill(`${md5}  -`), result.stderr);
  };

  const main = `${nginx.v4}:${NGINX_PORT}`;
  await t.test('every answer is right while it is being learnt', async () => {
    await learn(agent, async () => {
      await post(100, `${main}/echo`);
      await download(main, 2);
    }, [
      decision('nginx', 'nginx', 'trusted'),
      decision('client', 'curl', 'trusted'),
      decision('client', httpEcho, 'trusted'),
      decision('backend', process.execPath, 'trusted'),
    ]);
  });

  for (const port of [NGINX_PORT, NGINX_DEFERRED_PORT]) {
    for (const ip of [nginx.v4, `[${nginx.v6}]`]) {
      await t.test(`spliced, ${ip}:${port}`, async () => {
        const host = `${ip}:${port}`;
        const posts = await redirectedDuring(agent, async () => {
          await post(300, `${host}/echo`);
          await post(100, `${host}/buffered/echo`);
          await post(10, `${host}/echo`, 5_000_000);
        });
        assert.ok(posts.bytes > 0, 'POSTs were not redirected');
        const downloads = await redirectedDuring(agent, () => download(host, 10));
        assert.ok(downloads.spliced > 0 && downloads.bytes > 0, JSON.stringify(downloads));
      });
    }
  }
});
