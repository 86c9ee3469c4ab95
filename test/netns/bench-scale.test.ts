/**
 * `podwire bench --scale` as a user runs it, scaled down: the figures it writes, and nothing left behind.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import type { ScaleResult } from '../bench/scale/result.ts';
import { cgroupRoot, skipReason } from '../support/node.ts';
import { repositoryRoot } from '../support/repository.ts';

const MAIN = join(repositoryRoot(), 'dist/src/main.js');
const PODS = 500;
/** far from the goals: the machine may be small and shared, and a mistake is a factor */
const MAX_COLD_START_MS = 20_000;
const MAX_CHANGE_MS = 1_000;
const MAX_RSS_MIB = 250;

interface Ended {
  readonly pid: number;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function bench(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, 'bench', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { pid: child.pid ?? 0, code, stdout, stderr };
}

function traces(pid: number): string[] {
  const own = new RegExp(`^(?:pwb|podwire-bench)-${pid}-`);
  return ['/run/netns', cgroupRoot(), '/sys/fs/bpf', tmpdir()]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => own.test(path.slice(path.lastIndexOf('/') + 1)));
}

function check(result: ScaleResult): void {
  const figures = [
    'pods',
    'services',
    'coldStartMs',
    'changeP50Ms',
    'changeP99Ms',
    'changesPerSecond',
    'controlRssMiB',
    'agentRssMiB',
    'bytesPerWorkload',
    'cpuCores',
  ] as const;
  for (const name of figures) {
    assert.equal(typeof result[name], 'number', name);
    assert.ok(Number.isFinite(result[name]) && result[name] > 0, `${name}: ${result[name]}`);
  }
  assert.equal(result.pods, PODS);
  assert.equal(result.services, PODS / 10);
  assert.ok(result.coldStartMs < MAX_COLD_START_MS, `${result.coldStartMs} ms`);
  assert.ok(result.changeP50Ms <= result.changeP99Ms && result.changeP99Ms < MAX_CHANGE_MS);
  assert.ok(result.changesPerSecond > 50, `${result.changesPerSecond} changes/s`);
  assert.ok(result.agentRssMiB < MAX_RSS_MIB, `${result.agentRssMiB} MiB`);
}

async function measured(t: TestContext, ...flags: string[]): Promise<ScaleResult> {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const json = join(folder, 'scale.json');
  const ended = await bench('--scale', String(PODS), '--quick', '--json', json, ...flags);
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stdout, /^mesh +500 pods \(5 here\), 50 Services$/m);
  assert.deepEqual(traces(ended.pid), []);
  return JSON.parse(readFileSync(json, 'utf8')) as ScaleResult;
}

suite('podwire bench --scale', { skip: skipReason() }, () => {
  test('control and agent as two processes', async (t) => {
    const result = await measured(t);
    check(result);
    assert.equal(result.mode, 'separate');
    assert.notEqual(result.controlRssMiB, result.agentRssMiB);
  });

  test('control inside the agent', async (t) => {
    const result = await measured(t, '--embedded');
    check(result);
    assert.equal(result.mode, 'embedded');
    assert.equal(result.controlRssMiB, result.agentRssMiB);
  });
});
