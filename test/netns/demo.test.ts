/**
 * `podwire demo` as a newcomer runs it: to its end, interrupted at every step, and after one that was killed.  What it
 * made must be gone each time.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NETNS_FOLDER, cgroupRoot, killQuietly, skipReason } from '../support/node.ts';
import { repositoryRoot } from '../support/repository.ts';

const LIMIT_MS = 120_000;
const INTERRUPTED = 130;

class Demo {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<unknown[]>;
  output = '';

  constructor(t: TestContext) {
    const main = join(repositoryRoot(), 'dist/src/main.js');
    this.child = spawn(process.execPath, [main, 'demo', '--no-bench'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.child.pid ?? 0;
    this.ended = once(this.child, 'close');
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    t.after(async () => {
      // it takes everything down when it is asked to
      if (this.child.exitCode === null) killQuietly(this.pid, 'SIGTERM');
      await this.ended;
    });
  }

  async waitFor(text: string): Promise<void> {
    const deadline = Date.now() + LIMIT_MS;
    while (!this.output.includes(text)) {
      const over = this.child.exitCode !== null || Date.now() > deadline;
      assert.ok(!over, `no "${text}" in\n${this.output}`);
      await sleep(5);
    }
  }

  async end(): Promise<number | null> {
    const [code] = await this.ended;
    return code as number | null;
  }

  /** Everything on the machine that carries its process id. */
  belongings(): string[] {
    return [NETNS_FOLDER, cgroupRoot(), '/sys/fs/bpf', tmpdir()]
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
      .filter((path) => /\/(?:pwd|podwire-demo)-(\d+)-[^/]+$/.exec(path)?.[1] === `${this.pid}`);
  }
}

test('the whole demo', { skip: skipReason('bpftool', 'taskset', 'setpriv') }, async (t) => {
  const demo = new Demo(t);
  await demo.waitFor('1. ');
  assert.equal(await demo.end(), 0, demo.output);
  const expected = [
    /^ +client +10\.98\.0\.1 +demo-client/m,
    /^ +client sees +itself as 10\.98\.0\.1:\d+, the server as 10\.98\.0\.2:7000$/m,
    /^ +Service +10\.99\.0\.10:80: Network is unreachable$/m,
    /^ +connection 1(-\d+)? +plain, learning-/m,
    /^ +connection \d+ +spliced/m,
    /^ +client sees +itself as 10\.98\.0\.1:\d+, the server as 10\.99\.0\.10:80$/m,
    /^ +B +10\.98\.0\.1:\d+ +ns\/demo\/sa\/client +ns\/demo\/sa\/server +server +spliced$/m,
    /^ +new connections +Connection refused after/m,
    /^ +connection B +ended: /m,
    /^ +access log +.*policy=demo\/no-client +error=policy/m,
    /^ +file removed +answers after/m,
    /^ +C, a new one +.*; 0\.0 packets on the bridge each$/m,
    /^ +next agent +.*adopted/m,
    /^ +connection B +the same in both agents$/m,
    /^ +podwire cleanup +removed .*maps/m,
    /^ +a new connection +.*; 2\.0 packets on the bridge each$/m,
    /^ +left behind +0 .*, 0 .*, 0 .*, 0 hooks \(of \d+\)$/m,
  ];
  for (const pattern of expected) assert.match(demo.output, pattern);
  assert.equal([...demo.output.matchAll(/connection A +goes on/g)].length, 4, demo.output);
  assert.ok(!demo.output.includes('\u001b'), 'a file gets no colours');
  assert.deepEqual(demo.belongings(), []);
});

const MOMENTS = ['making them', '2. ', '3. ', 'connection 1', '4. ', '5. ', 'podwire cleanup'];

for (const moment of MOMENTS) {
  test(`Ctrl-C at "${moment}"`, { skip: skipReason('bpftool', 'taskset') }, async (t) => {
    const demo = new Demo(t);
    await demo.waitFor(moment);
    killQuietly(demo.pid, 'SIGINT');
    assert.equal(await demo.end(), INTERRUPTED, demo.output);
    assert.match(demo.output, /demo: stopped by SIGINT, everything is removed\n$/);
    assert.deepEqual(demo.belongings(), []);
  });
}

test('a killed demo is cleaned up by the next', { skip: skipReason('bpftool') }, async (t) => {
  const killed = new Demo(t);
  await killed.waitFor('connection 1');
  killQuietly(killed.pid, 'SIGKILL');
  await killed.end();
  assert.ok(killed.belongings().length > 0);
  const next = new Demo(t);
  await next.waitFor('making them');
  assert.match(next.output, /removed what an earlier demo left: /);
  assert.deepEqual(killed.belongings(), []);
  killQuietly(next.pid, 'SIGINT');
  assert.equal(await next.end(), INTERRUPTED, next.output);
});
