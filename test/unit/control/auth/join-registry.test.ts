/**
 * Join tokens: spent once, by one key, under one name, for a time.
 */
import assert from 'node:assert/strict';
import { chmod, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { AuthenticationError } from '../../../../src/control/auth/caller.ts';
import { JoinRegistry } from '../../../../src/control/auth/join-registry.ts';
import { parseJoinToken } from '../../../../src/model/join-token-text.ts';
import { temporaryDirectory } from '../../../support/certificates.ts';

const HOUR = 3_600_000;
const NODE = {
  name: 'vm-1',
  identities: [{ namespace: 'legacy', serviceAccount: 'db' }],
  ttlMs: HOUR,
};

async function open(t: TestContext) {
  const folder = join(await temporaryDirectory(t), 'join');
  const clock = { now: Date.parse('2027-01-01T00:00:00Z') };
  const registry = await JoinRegistry.open(folder, () => clock.now);
  return { folder, clock, registry };
}

const refused = (promise: Promise<unknown>, message: RegExp): Promise<void> =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof AuthenticationError, String(error));
    assert.match(error.message, message);
    return true;
  });

async function contents(folder: string): Promise<string> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts = files
    .filter((file) => file.isFile())
    .map(async (file) => {
      const path = join(file.parentPath, file.name);
      assert.equal((await stat(path)).mode & 0o7777, 0o600, path);
      return readFile(path, 'utf8');
    });
  return (await Promise.all(texts)).join('');
}

test('the secret is nowhere on disk, and a token is spent by one key', async (t) => {
  const { folder, registry } = await open(t);
  const text = await registry.create(NODE);
  const { id, secret } = parseJoinToken(text) ?? assert.fail('form');
  assert.ok(!(await contents(folder)).includes(secret));
  assert.equal((await registry.verify(text)).name, 'vm-1');
  const node = await registry.redeem(id, 'key-1');
  assert.deepEqual([node.name, node.enrolment], ['vm-1', id]);
  // the answer was lost
  assert.deepEqual(await registry.redeem(id, 'key-1'), node);
  await refused(registry.redeem(id, 'key-2'), /stolen/);
  assert.deepEqual(await registry.node('vm-1'), node);
  assert.ok(!(await contents(folder)).includes(secret));
});

test('of many that come at once one wins', async (t) => {
  const { folder, registry } = await open(t);
  const { id } = parseJoinToken(await registry.create(NODE)) ?? assert.fail('form');
  const others = await Promise.all([1, 2, 3].map(() => JoinRegistry.open(folder)));
  const tries = [registry, ...others].flatMap((each, i) =>
    [1, 2, 3].map((n) => each.redeem(id, `key-${i}-${n}`)),
  );
  const won = (await Promise.allSettled(tries)).filter(({ status }) => status === 'fulfilled');
  assert.equal(won.length, 1);
});

test('expired, revoked, malformed and guessed tokens are refused', async (t) => {
  const { clock, registry } = await open(t);
  const text = await registry.create(NODE);
  const { id } = parseJoinToken(text) ?? assert.fail('form');
  await refused(registry.verify(`podwire-join-v1.${id}.${'A'.repeat(43)}`), /secret is wrong/);
  for (const bad of [
    '',
    'x',
    `podwire-join-v1.../../etc.${'A'.repeat(43)}`,
    `${text}A`,
    text.slice(0, -1),
  ]) {
    await refused(registry.verify(bad), /malformed/);
  }
  await refused(registry.redeem('../nodes/vm-1', 'key'), /unknown/);
  clock.now += HOUR;
  await refused(registry.verify(text), /expired/);
  clock.now -= HOUR;
  assert.equal(await registry.revoke('vm-1'), 1);
  await refused(registry.verify(text), /revoked/);
  await refused(registry.redeem(id, 'key'), /revoked/);
});

test('joining anew ends what was before, and an old token cannot bring it back', async (t) => {
  const { clock, registry } = await open(t);
  const first = parseJoinToken(await registry.create(NODE)) ?? assert.fail('form');
  await registry.redeem(first.id, 'key-1');
  clock.now += 1000;
  const second = parseJoinToken(await registry.create(NODE)) ?? assert.fail('form');
  await registry.redeem(second.id, 'key-2');
  assert.equal((await registry.node('vm-1'))?.enrolment, second.id);
  await refused(registry.redeem(first.id, 'key-1'), /joined anew/);
  assert.equal((await registry.node('vm-1'))?.enrolment, second.id);
});

test('a node holds the identities of its token, nobody else does', async (t) => {
  const { registry } = await open(t);
  const { id } = parseJoinToken(await registry.create(NODE)) ?? assert.fail('form');
  const has = (node: string, account: string, cluster?: string): boolean =>
    registry.hasIdentity({ cluster, node }, 'legacy', account);
  assert.ok(!has('vm-1', 'db'), 'before it has joined');
  await registry.redeem(id, 'key');
  assert.ok(has('vm-1', 'db'));
  assert.ok(!has('vm-1', 'web') && !has('vm-2', 'db') && !has('../nodes/vm-1', 'db'));
  assert.ok(!has('vm-1', 'db', 'west'), 'a node of a cluster with the same name');
  await registry.revoke('vm-1');
  assert.ok(!has('vm-1', 'db'));
});

test('names that are none, and folders that others can use, are refused', async (t) => {
  const { folder, registry } = await open(t);
  for (const name of ['', '../x', 'A', 'a/b', 'a b', 'a\n']) {
    await assert.rejects(registry.create({ ...NODE, name }), { code: 'ERR_BAD_OPTION' }, name);
  }
  await chmod(join(folder, 'tokens'), 0o770);
  await assert.rejects(JoinRegistry.open(folder), { code: 'ERR_CONFIG' });
});

test('expired tokens are removed when the next is made', async (t) => {
  const { folder, clock, registry } = await open(t);
  const { id } = parseJoinToken(await registry.create(NODE)) ?? assert.fail('form');
  await registry.redeem(id, 'key');
  clock.now += HOUR;
  await registry.create({ ...NODE, name: 'vm-2' });
  assert.deepEqual(
    (await registry.tokens()).map(({ name }) => name),
    ['vm-2'],
  );
  assert.deepEqual(await readdir(join(folder, 'redeemed')), []);
  assert.equal((await readdir(join(folder, 'tokens'))).length, 1);
  assert.deepEqual(
    (await registry.nodes()).map(({ name }) => name),
    ['vm-1'],
  );
});
