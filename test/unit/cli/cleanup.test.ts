import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { PodwireError } from '../../../src/errors.ts';
import { lockHolder, removePins, removeState } from '../../../src/kernel/cleanup.ts';

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('the holder of an flock is found by its pid, and gone when it lets go', async (t) => {
  const folder = temporaryFolder(t);
  assert.equal(lockHolder(folder), undefined);
  const holder = spawn('flock', [folder, 'sh', '-c', 'echo held; read end'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  assert.equal(lockHolder(folder), holder.pid);
  holder.stdin.end();
  await once(holder, 'close');
  assert.equal(lockHolder(folder), undefined);
});

test('only an flock on this very file counts', (t) => {
  const folder = temporaryFolder(t);
  const { ino } = statSync(folder);
  const lines = [
    `1: POSIX  ADVISORY  WRITE 7 00:00:${ino} 0 EOF`,
    `2: FLOCK  ADVISORY  WRITE 7 ff:ff:${ino} 0 EOF`,
    '2: -> FLOCK  ADVISORY  WRITE 8 00:1a:1 0 EOF',
    '',
  ];
  assert.equal(lockHolder(folder, lines.join('\n')), undefined);
});

test('a file that is not there has no holder', () => {
  assert.equal(lockHolder('/nonexistent/podwire'), undefined);
});

test('state files go, and with them a folder that holds nothing else', (t) => {
  const state = join(temporaryFolder(t), 'state');
  mkdirSync(state);
  for (const file of ['numbers.json', 'trust.json', 'trust.json.tmp']) {
    writeFileSync(join(state, file), '{}');
  }
  const { removed, failed } = removeState(state);
  assert.deepEqual(failed, []);
  assert.deepEqual(removed, [
    join(state, 'numbers.json'),
    join(state, 'trust.json'),
    join(state, 'trust.json.tmp'),
    state,
  ]);
});

test('what others put into the state folder stays', (t) => {
  const state = temporaryFolder(t);
  mkdirSync(join(state, 'folder.json'));
  writeFileSync(join(state, 'trust.json'), '{}');
  writeFileSync(join(state, 'NOTES.txt'), 'mine');
  removeState(state);
  assert.deepEqual(readdirSync(state).sort(), ['NOTES.txt', 'folder.json']);
});

test('nothing is removed below what is no BPF file system', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'podwire', 'links'), { recursive: true });
  assert.throws(
    () => removePins(folder),
    (error) => error instanceof PodwireError && error.code === 'ERR_NO_BPFFS',
  );
  assert.deepEqual(readdirSync(folder), ['podwire']);
});

test('a node without podwire has nothing to remove', (t) => {
  const folder = temporaryFolder(t);
  assert.deepEqual(removePins(folder), { removed: [], failed: [] });
  assert.deepEqual(removeState(join(folder, 'none')).removed, []);
});
