import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { TrustStore } from '../../../src/agent/learn/trust-store.ts';
import type { TrustSubject } from '../../../src/agent/learn/trust-store.ts';

const NGINX: TrustSubject = {
  workload: 'default/web nginx:1.27',
  path: '/usr/sbin/nginx',
  fingerprint: 'build-id:aa',
  argv: 0n,
};

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'podwire-trust-'));
  context.after(() => rmSync(path, { recursive: true }));
  return join(path, 'state');
}

function open(path: string): TrustStore {
  const store = new TrustStore({ folder: path, log: pino({ level: 'silent' }) });
  store.load();
  return store;
}

test('decisions survive a restart, by file and not by inode', (context) => {
  const path = folder(context);
  const first = open(path);
  first.remember(NGINX, { state: 'trusted' });
  first.remember({ ...NGINX, argv: 7n }, { state: 'denied', reason: 'splice-out' });
  first.flush();
  const second = open(path);
  assert.deepEqual(second.recall(NGINX), { state: 'trusted' });
  assert.deepEqual(second.recall({ ...NGINX, argv: 7n }), {
    state: 'denied',
    reason: 'splice-out',
  });
  for (const change of [{ workload: 'x' }, { path: '/x' }, { fingerprint: 'x' }, { argv: 8n }]) {
    assert.equal(second.recall({ ...NGINX, ...change }), undefined);
  }
});

test('the last decision counts', (context) => {
  const path = folder(context);
  const store = open(path);
  store.remember(NGINX, { state: 'trusted' });
  store.remember(NGINX, { state: 'denied', reason: 'stalled-reader' });
  store.flush();
  assert.deepEqual(open(path).recall(NGINX), { state: 'denied', reason: 'stalled-reader' });
});

test('only root reads the folder and the file; no temporary file stays', (context) => {
  const path = folder(context);
  const store = open(path);
  store.remember(NGINX, { state: 'trusted' });
  store.flush();
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(statSync(join(path, 'trust.json')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(path), ['trust.json']);
});

for (const [name, text] of [
  ['no JSON', '{'],
  ['null', 'null'],
  ['another version', '{"version":2,"entries":[]}'],
  [
    'an unknown reason',
    '{"version":1,"entries":[{"workload":"","path":"","fingerprint":"","argv":"0","state":"denied","reason":"x"}]}',
  ],
] as const) {
  test(`a file with ${name} is replaced, not fatal`, (context) => {
    const path = folder(context);
    const store = open(path);
    store.remember(NGINX, { state: 'trusted' });
    store.flush();
    writeFileSync(join(path, 'trust.json'), text);
    const next = open(path);
    assert.equal(next.recall(NGINX), undefined);
    next.remember(NGINX, { state: 'trusted' });
    next.flush();
    assert.match(readFileSync(join(path, 'trust.json'), 'utf8'), /nginx/);
  });
}

test('writes are debounced', async (context) => {
  const path = folder(context);
  const store = new TrustStore({
    folder: path,
    log: pino({ level: 'silent' }),
    writeDelayMs: 20,
  });
  store.remember(NGINX, { state: 'trusted' });
  assert.throws(() => statSync(path));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(statSync(join(path, 'trust.json')).size > 0);
});
