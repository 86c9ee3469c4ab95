/**
 * `podwire token` on a state folder.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { JoinRegistry } from '../../../src/control/auth/join-registry.ts';
import { temporaryDirectory } from '../../support/certificates.ts';
import { repositoryRoot } from '../../support/repository.ts';

const run = promisify(execFile);

test('create, list and revoke, seen by a control that runs', async (t) => {
  const dir = await temporaryDirectory(t);
  const registry = await JoinRegistry.open(join(dir, 'join'));
  const main = join(repositoryRoot(), 'dist/src/main.js');
  const podwire = async (...args: string[]): Promise<string> =>
    (await run(process.execPath, [main, 'token', ...args, '--state-dir', dir])).stdout.trim();
  const token = await podwire('create', '--name', 'vm-1', '--identity', 'legacy/db', '--ttl', '2h');
  const { id, name, identities, expiresAt } = await registry.verify(token);
  assert.deepEqual([name, identities], ['vm-1', [{ namespace: 'legacy', serviceAccount: 'db' }]]);
  assert.ok(Math.abs(expiresAt - Date.now() - 7_200_000) < 30_000);
  const list = async () => JSON.parse(await podwire('list', '-o', 'json')) as { state: string }[];
  assert.deepEqual(
    (await list()).map(({ state }) => state),
    ['waiting'],
  );
  await registry.redeem(id, 'key');
  assert.deepEqual(
    (await list()).map(({ state }) => state),
    ['joined'],
  );
  assert.equal(await podwire('revoke', '--name', 'vm-1'), 'vm-1: 2 ended');
  assert.deepEqual(await list(), []);
  for (const bad of [
    ['create'],
    ['create', '--name', '../x'],
    ['create', '--name', 'vm', '--ttl', '1y'],
    ['create', '--name', 'vm', '--identity', 'db'],
  ]) {
    await assert.rejects(podwire(...bad), { code: 2 }, bad.join(' '));
  }
});
