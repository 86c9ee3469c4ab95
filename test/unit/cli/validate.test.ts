/**
 * `podwire validate` as a program: what it reads, what it prints and how it exits.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { repositoryRoot } from '../../support/repository.ts';

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ port: 80 }] }
`;
const ROUTES = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: shop }
spec: { hosts: [web], http: [{ route: [{ destination: { host: web } }] }] }
`;
const BROKEN = '\n---\nkind: [\n---';

function run(args: readonly string[], input = '') {
  const program = join(repositoryRoot(), 'dist/src/main.js');
  const { status, stdout } = spawnSync(process.execPath, [program, 'validate', ...args], {
    input,
    encoding: 'utf8',
  });
  return { status, stdout };
}

function folder(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-validate-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'mesh'), { mode: 0o755 });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

test('files, a folder and standard input are one mesh', (t) => {
  const dir = folder(t, { 'service.yaml': SERVICE, 'mesh/routes.yaml': ROUTES });
  const alone = run(['-f', join(dir, 'mesh'), '-o', 'json']);
  assert.equal(alone.status, 0);
  const [finding, ...others] = JSON.parse(alone.stdout) as { code: string; severity: string }[];
  assert.deepEqual(others, []);
  assert.deepEqual([finding?.code, finding?.severity], ['HOST_UNKNOWN', 'warning']);
  assert.equal(run(['-f', join(dir, 'mesh'), '--strict']).status, 2);

  const both = ['-f', join(dir, 'mesh'), '-f', join(dir, 'service.yaml'), '--strict'];
  assert.deepEqual(run(both), { status: 0, stdout: '0 errors, 0 warnings\n' });
  const piped = run(['-f', '-', '-f', join(dir, 'mesh'), '--strict'], SERVICE);
  assert.deepEqual(piped, { status: 0, stdout: '0 errors, 0 warnings\n' });
});

test('a document that does not parse hides none of the others', () => {
  const { status, stdout } = run(
    ['-f', '-'],
    SERVICE + BROKEN + ROUTES.replace('host: web', 'host: db'),
  );
  assert.equal(status, 2);
  assert.match(stdout, /^error: stdin: line [0-9]+: /m);
  assert.match(stdout, /^warning: stdin: VirtualService shop\/web: .*db\.shop\.svc/m);
});

test('a path that is not there is bad usage', () => {
  assert.equal(run(['-f', '/nonexistent.yaml']).status, 2);
  assert.equal(run([]).status, 2);
});
