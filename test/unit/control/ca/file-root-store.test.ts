/**
 * Roots in a folder: who wins, what is refused, and that a crash leaves nothing half.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createRoot } from '../../../../src/control/ca/certificate.ts';
import { FileRootStore } from '../../../../src/control/ca/file-root-store.ts';
import type { RootState } from '../../../../src/control/ca/root-state.ts';
import { temporaryDirectory } from '../../../support/certificates.ts';

async function newState(): Promise<RootState> {
  const validity = { notBefore: new Date(), notAfter: new Date(Date.now() + 86_400_000) };
  const active = await createRoot('cluster.local', validity);
  return { format: 1, active, retiring: [], longestLifeMs: 1000 };
}

test('folder 0700, file 0600, and what was saved is loaded', async (t) => {
  const dir = join(await temporaryDirectory(t), 'a', 'ca');
  const store = new FileRootStore(dir);
  assert.equal(await store.load(), undefined);
  const state = await newState();
  const saved = await store.save(state, undefined);
  assert.notEqual(saved, 'conflict');
  assert.deepEqual(await new FileRootStore(dir).load(), { state, version: '1' });
  assert.equal((await stat(dir)).mode & 0o7777, 0o700);
  for (const name of await readdir(dir)) {
    assert.equal((await stat(join(dir, name))).mode & 0o7777, 0o600, name);
  }
});

test('only over the version that was read', async (t) => {
  const store = new FileRootStore(await temporaryDirectory(t));
  const [a, b, c] = [await newState(), await newState(), await newState()];
  await store.save(a, undefined);
  assert.equal(await store.save(b, undefined), 'conflict');
  assert.deepEqual(await store.save(b, '1'), { state: b, version: '2' });
  assert.equal(await store.save(c, '1'), 'conflict');
  // its number is free again, yet it is behind
  assert.equal(await store.save(c, undefined), 'conflict');
  assert.deepEqual(await store.load(), { state: b, version: '2' });
});

test('replaced keys are gone, and what a writer that died left behind too', async (t) => {
  const dir = await temporaryDirectory(t);
  const store = new FileRootStore(dir);
  const [a, b] = [await newState(), await newState()];
  await store.save(a, undefined);
  await store.save(b, '1');
  assert.deepEqual(await readdir(dir), ['roots-00000002.json']);
  // died between link and removal
  await writeFile(join(dir, 'roots-00000001.json'), JSON.stringify(a), { mode: 0o600 });
  // died while it wrote
  await writeFile(join(dir, '.new-dead'), '{"form', { mode: 0o600 });
  assert.deepEqual((await store.load())?.state, b);
  assert.deepEqual((await readdir(dir)).sort(), ['.new-dead', 'roots-00000002.json']);
});

test('a damaged state is an error, never a reason for a new root', async (t) => {
  const dir = await temporaryDirectory(t);
  const path = join(dir, 'roots-00000001.json');
  const good = JSON.stringify(await newState());
  for (const text of ['', '{}', good.slice(0, 200), good.replace('"format":1', '"format":9')]) {
    await writeFile(path, text, { mode: 0o600 });
    await assert.rejects(new FileRootStore(dir).load(), { code: 'ERR_CONFIG' }, text);
  }
});

test('keys that others can read are refused', async (t) => {
  const dir = await temporaryDirectory(t);
  const store = new FileRootStore(dir);
  await store.save(await newState(), undefined);
  await chmod(join(dir, 'roots-00000001.json'), 0o640);
  await assert.rejects(store.load(), /can be used by others/);
  await chmod(join(dir, 'roots-00000001.json'), 0o600);
  await chmod(dir, 0o755);
  await assert.rejects(store.load(), /can be used by others/);
});

test('of processes that start at once all have one root', async (t) => {
  const dir = join(await temporaryDirectory(t), 'ca');
  const module = new URL('../../../../src/control/ca/', import.meta.url).pathname;
  const program = `
    const { FileRootStore } = await import('${module}file-root-store.js');
    const { OwnSigner } = await import('${module}own-signer.js');
    const log = { info() {}, warn() {}, error() {} };
    const store = new FileRootStore('${dir}');
    const signer = await OwnSigner.start({ store, trustDomain: 'td', longestLifeMs: 1000, log });
    process.stdout.write(signer.current().roots.join(''));
    await signer.close();`;
  const run = promisify(execFile);
  const starts = Array.from({ length: 4 }, () =>
    run(process.execPath, ['--input-type=module', '-e', program]),
  );
  const roots = (await Promise.all(starts)).map(({ stdout }) => stdout);
  assert.match(roots[0] ?? '', /^-----BEGIN CERTIFICATE-----/);
  assert.deepEqual(new Set(roots).size, 1);
  const [name = ''] = await readdir(dir);
  const { active } = JSON.parse(await readFile(join(dir, name), 'utf8')) as RootState;
  assert.equal(active.certificate, roots[0]);
});
