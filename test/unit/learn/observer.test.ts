import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Trust, TrustFlags, TrustKey, TrustState } from '../../../src/kernel/abi/layout.gen.ts';
import type { LiveConn } from '../../../src/kernel/abi/layout.gen.ts';
import type { BpfMap } from '../../../src/kernel/binding.ts';
import { ExecutableInspector } from '../../../src/agent/learn/executable.ts';
import type { Executable, Inspection } from '../../../src/agent/learn/executable.ts';
import type { LearnPod } from '../../../src/agent/learn/learn-pod.ts';
import type { Observed, ObservationSource } from '../../../src/agent/learn/observation.ts';
import { Observer } from '../../../src/agent/learn/observer.ts';
import { Processes } from '../../../src/agent/learn/processes.ts';
import { TrustStore } from '../../../src/agent/learn/trust-store.ts';
import { NGINX } from './executables.ts';

const KEY: TrustKey = { inode: 100n, device: 1, workload: 7, argv: 0n };
const POD: LearnPod = {
  netns: 5n,
  netnsPath: '/run/netns/web',
  workload: 7,
  workloadText: 'default/web',
  learn: true,
};
const PYTHON = { ...NGINX, path: '/usr/bin/python3', name: 'python3', interpreter: true };
const NEW: Trust = {
  state: TrustState.OBSERVING,
  reason: 0,
  flags: 0,
  connections: 0,
  quiet: 0,
  tgid: 42,
  firstNs: 1n,
};

/** The kernel's map, in memory. */
class FakeMap {
  readonly rows = new Map<string, { key: TrustKey; value: Trust }>();

  set(key: TrustKey, value: Trust): void {
    this.rows.set(Buffer.from(TrustKey.encode(key)).toString('hex'), { key, value });
  }

  get(key: TrustKey): Trust | undefined {
    return this.rows.get(Buffer.from(TrustKey.encode(key)).toString('hex'))?.value;
  }

  asMap(): BpfMap {
    return {
      lookup: (bytes: Uint8Array) => {
        const row = this.get(TrustKey.decode(bytes));
        return row && Trust.encode(row);
      },
      update: (key: Uint8Array, value: Uint8Array) =>
        this.set(TrustKey.decode(key), Trust.decode(value)),
      delete: (key: Uint8Array) => this.rows.delete(Buffer.from(key).toString('hex')),
      dump: () => ({
        keys: Buffer.concat([...this.rows.values()].map((row) => TrustKey.encode(row.key))),
        values: Buffer.concat([...this.rows.values()].map((row) => Trust.encode(row.value))),
        count: this.rows.size,
      }),
    } as unknown as BpfMap;
  }
}

class FakeObservation implements ObservationSource {
  attached = false;
  attaches = 0;
  watched: ReadonlySet<bigint> = new Set();
  seen: Observed[] = [];
  live: LiveConn[] = [];

  attach(): void {
    this.attached = true;
    this.attaches++;
  }

  detach(): void {
    this.attached = false;
  }

  watch(namespaces: ReadonlySet<bigint>): void {
    this.watched = namespaces;
  }

  observed(): Observed[] {
    return this.seen;
  }

  liveConnections(): LiveConn[] {
    return this.live;
  }
}

class FakeInspector extends ExecutableInspector {
  executable: Executable | undefined = NGINX;

  override inspect(): Promise<Inspection> {
    return Promise.resolve(
      this.executable === undefined
        ? { ok: false, error: 'gone' }
        : { ok: true, executable: this.executable, argv: '' },
    );
  }
}

class FakeProcesses extends Processes {
  ring = false;
  argv = 0n;

  override argvHash(): bigint {
    return this.argv;
  }

  override hasIoUring(): boolean {
    return this.ring;
  }

  override running(): number[] {
    return [43];
  }

  override trustKey(_tgid: number, workload: number): TrustKey {
    return { ...KEY, inode: 200n, workload };
  }
}

function setUp(context: TestContext, folder?: string) {
  const path = folder ?? mkdtempSync(join(tmpdir(), 'podwire-observer-'));
  const map = new FakeMap();
  const observation = new FakeObservation();
  const processes = new FakeProcesses();
  const inspector = new FakeInspector({ processes });
  const time = { nowMs: 1_000 };
  const pods = [POD];
  let interpreters = 0;
  const log = pino({ level: 'silent' });
  const store = new TrustStore({ folder: path, log });
  store.load();
  const observer = new Observer({
    trust: map.asMap(),
    observation,
    inspector,
    processes,
    store,
    pods: () => pods,
    onInterpreter: () => interpreters++,
    log,
    now: () => time.nowMs,
  });
  observer.start();
  context.after(() => {
    observer.stop();
    rmSync(path, { recursive: true, force: true });
  });
  /** the kernel meets a new executable */
  const meet = async (key = KEY): Promise<void> => {
    map.set(key, { ...NEW });
    observer.onTrustEvent({ key, tgid: 42 });
    await sleep(5);
  };
  const pass = (ms: number, change: Partial<Trust> = {}, key = KEY): void => {
    time.nowMs += ms;
    const value = map.get(key);
    if (value) map.set(key, { ...value, ...change });
    observer.tick();
  };
  const interpreterCount = (): number => interpreters;
  return {
    path,
    map,
    observation,
    processes,
    inspector,
    observer,
    pods,
    meet,
    pass,
    interpreterCount,
  };
}

test('three quiet connections in three seconds make trust, then nothing is attached', async (context) => {
  const { map, observation, meet, pass, observer } = setUp(context);
  await meet();
  assert.equal(observation.attached, true);
  assert.deepEqual([...observation.watched], [5n]);
  pass(1_000, { quiet: 2, connections: 2 });
  pass(1_000, { quiet: 3, connections: 3 });
  assert.equal(map.get(KEY)?.state, TrustState.OBSERVING);
  pass(1_000);
  assert.equal(map.get(KEY)?.state, TrustState.TRUSTED);
  assert.equal(observation.attached, false);
  assert.deepEqual([...observation.watched], []);
  assert.equal(observer.status().trusted, 1);
});

test('live connections count by the bytes they get while watched', async (context) => {
  const { map, observation, meet, pass } = setUp(context);
  const live = (received: bigint): LiveConn[] =>
    [1n, 2n, 3n].map((cookie) => ({ trust: KEY, cookie, received }));
  observation.live = live(10n);
  await meet();
  pass(5_000);
  assert.equal(map.get(KEY)?.state, TrustState.OBSERVING, 'their bytes came before');
  observation.live = live(20n);
  pass(250);
  assert.equal(map.get(KEY)?.state, TrustState.TRUSTED);
});

test('a behaviour denies at once, with its number as the reason', async (context) => {
  const { map, observation, meet, pass, observer } = setUp(context);
  await meet();
  observation.seen = [
    { key: { inode: 100n, netns: 5n, argv: 9n, device: 1 }, behaviours: new Set(['waitall']) },
  ];
  pass(250);
  assert.equal(map.get(KEY)?.state, TrustState.DENIED);
  assert.equal(map.get(KEY)?.reason, 3);
  assert.deepEqual(observer.status().denied, { waitall: 1 });
});

test('behaviours of other namespaces, files and workloads are not held against it', async (context) => {
  const { map, observation, meet, pass } = setUp(context);
  await meet();
  const key = { inode: 100n, netns: 5n, argv: 9n, device: 1 };
  observation.seen = [{ netns: 6n }, { inode: 101n }, { device: 2 }].map((change) => ({
    key: { ...key, ...change },
    behaviours: new Set(['splice-out'] as const),
  }));
  pass(250);
  assert.equal(map.get(KEY)?.state, TrustState.OBSERVING);
});

test('an interpreter is flagged, and its programs are judged one by one', async (context) => {
  const { map, observation, inspector, meet, pass, interpreterCount } = setUp(context);
  inspector.executable = PYTHON;
  await meet();
  assert.equal(map.get(KEY)?.flags, TrustFlags.INTERPRETER);
  assert.equal(map.get(KEY)?.state, TrustState.OBSERVING);
  assert.equal(interpreterCount(), 1);
  const [good, bad] = [
    { ...KEY, argv: 1n },
    { ...KEY, argv: 2n },
  ];
  await meet(good);
  await meet(bad);
  observation.seen = [
    { key: { inode: 100n, netns: 5n, argv: 2n, device: 1 }, behaviours: new Set(['splice-out']) },
  ];
  pass(3_000, { quiet: 3 }, good);
  assert.equal(map.get(good)?.state, TrustState.TRUSTED);
  assert.equal(map.get(bad)?.state, TrustState.DENIED);
  pass(250);
  assert.equal(observation.attached, false, 'the interpreter itself is never learnt to the end');
});

test('an io_uring that was there before denies', async (context) => {
  const { map, processes, meet, pass } = setUp(context);
  processes.ring = true;
  await meet();
  pass(3_000, { quiet: 3 });
  assert.equal(map.get(KEY)?.state, TrustState.DENIED);
});

test('an option that the kernel saw takes trust away', async (context) => {
  const { map, meet, pass } = setUp(context);
  await meet();
  pass(3_000, { quiet: 3 });
  pass(5_000, { reason: 7 });
  assert.equal(map.get(KEY)?.state, TrustState.DENIED);
});

test('what was decided is known after a restart, on another inode', async (context) => {
  const first = setUp(context);
  await first.meet();
  first.pass(3_000, { quiet: 3 });
  first.observer.stop();
  const second = setUp(context, first.path);
  const moved = { ...KEY, inode: 555n };
  await second.meet(moved);
  assert.equal(second.map.get(moved)?.state, TrustState.TRUSTED);
});

test('entries of an earlier agent go on being learnt, from new connections only', async (context) => {
  const { map, observation, pass } = setUp(context);
  map.set(KEY, { ...NEW, quiet: 50, connections: 50 });
  pass(0);
  await sleep(5);
  pass(250);
  assert.equal(observation.attached, true);
  pass(5_000);
  assert.equal(map.get(KEY)?.state, TrustState.OBSERVING);
  pass(250, { quiet: 53 });
  assert.equal(map.get(KEY)?.state, TrustState.TRUSTED);
});

test('a program without traffic is left alone after a minute, and taken up when it moves', async (context) => {
  const { observation, meet, pass } = setUp(context);
  await meet();
  pass(30_000);
  assert.equal(observation.attached, true);
  pass(31_000);
  assert.equal(observation.attached, false);
  pass(1_000, { connections: 1 });
  assert.equal(observation.attached, true);
});

test('a script that ended undecided leaves the map after ten minutes, a running one stays', async (context) => {
  const { map, processes, meet, pass } = setUp(context);
  const [ended, runs] = [
    { ...KEY, argv: 1n },
    { ...KEY, argv: 2n },
  ];
  processes.argv = 2n;
  await meet(ended);
  await meet(runs);
  pass(599_000);
  assert.equal(map.get(ended)?.state, TrustState.OBSERVING);
  pass(60_000);
  assert.equal(map.get(ended), undefined);
  assert.equal(map.get(runs)?.state, TrustState.OBSERVING);
});

test('nothing is attached for pods whose annotation decides', async (context) => {
  const { observation, pods, meet } = setUp(context);
  pods[0] = { ...POD, learn: false };
  await meet();
  assert.equal(observation.attaches, 0);
});

test('a process that was gone is found again by its file', async (context) => {
  const { map, inspector, meet, pass } = setUp(context);
  inspector.executable = undefined;
  await meet();
  pass(3_000, { quiet: 3 });
  assert.equal(map.get(KEY)?.state, TrustState.OBSERVING);
  await sleep(5);
  inspector.executable = NGINX;
  pass(2_000, { quiet: 4 });
  await sleep(5);
  assert.equal(map.get(KEY)?.state, TrustState.TRUSTED);
});

test('a stalled reader is denied, and so is the program the kernel goes by', async (context) => {
  const { map, meet, pass, observer } = setUp(context);
  await meet();
  pass(3_000, { quiet: 3 });
  await observer.denyStalled({ tgid: 77, trust: KEY, workload: 7 });
  assert.equal(map.get(KEY)?.state, TrustState.DENIED);
  assert.equal(map.get(KEY)?.reason, 66);
  assert.equal(map.get({ ...KEY, inode: 200n })?.state, TrustState.DENIED);
  assert.deepEqual(observer.status().denied, { 'stalled-reader': 2 });
});
