/**
 * test/run.sh on a small tree of its own: the closing line, the exit code, and what may be skipped.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { repositoryRoot } from '../../support/repository.ts';

interface Options {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** run as nobody, when we are root */
  readonly unprivileged?: boolean;
  /** files of dist/ that have no source */
  readonly stale?: Readonly<Record<string, string>>;
}

interface Run {
  readonly status: number | null;
  readonly output: string;
  readonly closing: string;
}

const REPORTER = 'dist/test/support/count-reporter.js';
const NOBODY = 65534;

const PASS = `import { test } from 'node:test'; test('passes', () => {});`;
const FAIL = `import { test } from 'node:test'; test('fails', () => { throw new Error('as told'); });`;
const SKIP = `import { test } from 'node:test'; test('skips', { skip: 'as told' }, () => {});`;
const HANGS = `import { test } from 'node:test'; test('hangs', () => { return new Promise((done) => setTimeout(done, 60000)); });`;
const DIES = `process.exit(3);`;

test('adds up the tiers and ends with zero', (t) => {
  const { status, closing } = run(t, { 'unit/a': PASS, 'unit/b/c': PASS, 'integration/d': SKIP });
  assert.equal(closing, '2 passed, 0 failed, 1 skipped');
  assert.equal(status, 0);
});

test('a failure fails the run, and the tiers after it still run', (t) => {
  const { status, closing } = run(t, { 'unit/a': FAIL, 'integration/b': PASS });
  assert.equal(closing, '1 passed, 1 failed, 0 skipped');
  assert.equal(status, 1);
});

test('a file that dies counts as a failure', (t) => {
  const { status, closing } = run(t, { 'unit/a': PASS, 'unit/b': DIES });
  assert.equal(closing, '1 passed, 1 failed, 0 skipped');
  assert.equal(status, 1);
});

test('a file that hangs is ended by its time limit', (t) => {
  const files = { 'unit/a': HANGS, 'unit/b': PASS };
  const { status, closing } = run(t, files, { env: { PODWIRE_TEST_FILE_MS: '1500' } });
  assert.equal(closing, '1 passed, 1 failed, 0 skipped');
  assert.equal(status, 1);
});

test('a run that is too long is ended', (t) => {
  const env = { PODWIRE_TEST_RUN_SECONDS: '2' };
  const { status, closing, output } = run(t, { 'unit/a': HANGS, 'integration/b': PASS }, { env });
  assert.match(output, /unit did not end within 2 s/);
  assert.match(output, /no time left for integration/);
  assert.match(closing, /^0 passed, [23] failed, 0 skipped$/);
  assert.equal(status, 1);
});

test('output of a test whose source is gone does not run', (t) => {
  const { output, closing } = run(t, { 'unit/a': PASS }, { stale: { 'unit/old': FAIL } });
  assert.equal(closing, '1 passed, 0 failed, 0 skipped');
  assert.doesNotMatch(output, /old/);
});

test('a tier can be narrowed to a part', (t) => {
  const { closing } = run(t, { 'unit/a': FAIL, 'unit/b': PASS }, { args: ['unit/b'] });
  assert.equal(closing, '1 passed, 0 failed, 0 skipped');
});

test('no test at all is a failure', (t) => {
  const { status, closing } = run(t, {});
  assert.equal(closing, '0 passed, 0 failed, 0 skipped');
  assert.equal(status, 1);
});

test('an unknown tier is a usage error', (t) => {
  const { status, output } = run(t, { 'unit/a': PASS }, { args: ['units'] });
  assert.match(output, /no tier 'units'/);
  assert.equal(status, 2);
});

test('without root the root tiers are skipped loudly, which CI does not accept', (t) => {
  const files = { 'unit/a': PASS, 'netns/b': FAIL };
  const local = run(t, files, { unprivileged: true });
  assert.match(local.output, /netns SKIPPED: its 1 files need root/);
  assert.equal(local.closing, '1 passed, 0 failed, 1 skipped');
  assert.equal(local.status, 0);
  const ci = run(t, files, { unprivileged: true, env: { CI: 'true' } });
  assert.equal(ci.closing, '1 passed, 0 failed, 1 skipped');
  assert.equal(ci.status, 1);
});

function run(t: TestContext, files: Readonly<Record<string, string>>, options: Options = {}): Run {
  const { args = [], env = {}, unprivileged = false, stale = {} } = options;
  const tree = mkdtempSync(join(tmpdir(), 'podwire-run-'));
  t.after(() => rmSync(tree, { recursive: true }));
  chmodSync(tree, 0o755);
  const root = repositoryRoot();
  cpSync(join(root, 'test/run.sh'), join(tree, 'test/run.sh'));
  cpSync(join(root, REPORTER), join(tree, REPORTER));
  writeFileSync(join(tree, 'package.json'), '{"type":"module"}');
  for (const [path, code] of Object.entries({ ...files, ...stale })) {
    write(join(tree, `dist/test/${path}.test.js`), code);
    if (path in files) write(join(tree, `test/${path}.test.ts`), '');
  }
  const { status, stdout, stderr } = spawnSync('sh', ['test/run.sh', ...args], {
    cwd: tree,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', ...env },
    timeout: 60_000,
    ...(unprivileged && process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  return { status, output: stdout + stderr, closing: stdout.trimEnd().split('\n').at(-1) ?? '' };
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
