/** `podwire cleanup` on a real bpffs: pins go, hooks first, and an agent's lock is respected. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const EXTENSION = extname(import.meta.url);
const MAIN = fileURLToPath(new URL(`../../src/main${EXTENSION}`, import.meta.url));
const LOADER = EXTENSION === '.ts' ? ['--import', 'tsx'] : [];

function bpffs(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  execFileSync('mount', ['-t', 'bpf', 'bpf', folder]);
  t.after(() => {
    execFileSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** What an agent of one generation leaves, with plain maps in place of links. */
function pin(folder: string): void {
  const folders = ['links', 'pods', 'gen-1-abcd/maps'];
  for (const name of folders) {
    mkdirSync(join(folder, 'podwire', name), { recursive: true });
    const path = join(folder, 'podwire', name, 'thing');
    const kind = 'type array key 4 value 4 entries 1 name pw_test'.split(' ');
    execFileSync('bpftool', ['map', 'create', path, ...kind]);
  }
}

async function cleanup(folder: string, ...more: string[]) {
  const none = join(folder, '..', 'podwire-test-none');
  const options = ['--bpffs', folder, '--state-dir', none, '--admin', `${none}.sock`, ...more];
  const child = spawn(process.execPath, [...LOADER, MAIN, 'cleanup', ...options]);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

test('all pins are removed and named, hooks before maps', async (t) => {
  const folder = bpffs(t);
  pin(folder);
  const { code, output } = await cleanup(folder);
  assert.equal(code, 0, output);
  const root = join(folder, 'podwire');
  const pins = output.split('\n').filter((line) => line.endsWith('/thing'));
  assert.deepEqual(pins, [
    `removed ${root}/links/thing`,
    `removed ${root}/pods/thing`,
    `removed ${root}/gen-1-abcd/maps/thing`,
  ]);
  assert.ok(!existsSync(join(folder, 'podwire')));
});

test('while an agent holds the lock nothing is removed, unless forced', async (t) => {
  const folder = bpffs(t);
  pin(folder);
  const lock = ['flock', join(folder, 'podwire'), 'sh', '-c', 'echo held; read end'];
  const agent = spawn('env', lock, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => agent.stdin.end());
  await once(agent.stdout, 'data');
  const refused = await cleanup(folder);
  assert.equal(refused.code, 4);
  assert.match(refused.output, new RegExp(`an agent \\(pid ${agent.pid}\\) is running`));
  assert.ok(existsSync(join(folder, 'podwire/links/thing')));
  assert.equal((await cleanup(folder, '--force')).code, 0);
  assert.ok(!existsSync(join(folder, 'podwire')));
});
