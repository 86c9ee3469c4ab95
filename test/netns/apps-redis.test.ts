/** Redis at the default setting: every value of 1 byte to 1 MB comes back as it was set, pipelined or not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { findProgram, skipReason } from '../support/node.ts';
import { appFile, decision, drive, learn, python, redirectedDuring } from '../support/programs.ts';

const PORT = 6379;

test('Redis', { skip: skipReason('redis-server', 'redis-benchmark', 'python3') }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const agent = await startAgent({ mesh });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  const redis = mesh.spawn(
    findProgram('redis-server') ?? 'redis-server',
    [
      '--bind',
      server.v4,
      '--port',
      String(PORT),
      '--save',
      '',
      '--appendonly',
      'no',
      '--protected-mode',
      'no',
    ],
    { pod: server },
  );
  await redis.waitFor('Ready to accept connections');
  const values = async (): Promise<void> => {
    await drive(mesh, python(), [appFile('redis_drive.py'), server.v4, String(PORT), '200'], {
      pod: client,
      expectOk: 200,
    });
  };
  const benchmark = async (): Promise<void> => {
    for (const pipeline of ['1', '16']) {
      const result = await mesh.run(
        'redis-benchmark',
        [
          '-h',
          server.v4,
          '-p',
          String(PORT),
          '-n',
          '20000',
          '-c',
          '20',
          '-P',
          pipeline,
          '-t',
          'set,get,lrange_100',
          '-q',
        ],
        { pod: client },
      );
      assert.equal(result.code, 0, result.stderr);
      assert.match(result.stdout, /GET: [\d.]+ requests per second/);
    }
  };

  await t.test('right while it is being learnt', () =>
    learn(agent, async () => Promise.all([values(), benchmark()]), [
      decision('server', 'redis-server', 'trusted'),
      decision('client', 'redis-benchmark', 'trusted'),
      decision('client', 'python3', 'trusted'),
    ]),
  );
  await t.test('right when spliced', async () => {
    const checked = await redirectedDuring(agent, values);
    assert.ok(checked.bytes > 1_000_000, JSON.stringify(checked));
    const measured = await redirectedDuring(agent, benchmark);
    assert.ok(measured.spliced > 0 && measured.bytes > 1_000_000, JSON.stringify(measured));
  });
});
