import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { SockOwner, Stall } from '../../../src/kernel/abi/layout.gen.ts';
import type { CallCount, StallSource } from '../../../src/agent/learn/detect-programs.ts';
import type { LearnPod } from '../../../src/agent/learn/learn-pod.ts';
import { StallDetector } from '../../../src/agent/learn/stall-detector.ts';
import type { StallKill } from '../../../src/agent/learn/stall-detector.ts';
import { judgeOwnerless, judgeReader } from '../../../src/agent/learn/stall-rules.ts';
import { StallTracker } from '../../../src/agent/learn/stall-tracker.ts';
import { SyscallSampler } from '../../../src/agent/learn/syscall-sampler.ts';
import type { ThreadCall } from '../../../src/agent/learn/processes.ts';

const SPLICE = { x64: 275, arm64: 76 };
const RECV = { x64: 45, arm64: 207 };
const ARCHITECTURE = 'x64';

const STALL: Stall = {
  sock: 0xffff0001n,
  cookie: 1n,
  head: 0xffff1000n,
  netns: 5n,
  unread: 300,
  headBytes: 100,
  trust: { inode: 9n, device: 1, workload: 2, argv: 0n },
};

const POD: LearnPod = {
  netns: 5n,
  netnsPath: '/run/netns/web',
  workload: 2,
  workloadText: 'default/web',
  learn: true,
};

const SLOW = { splices: 0n, reads: 0n, inSplice: false, inRead: false, usesIoUring: false };

test('rules: who is killed, who is only slow', () => {
  assert.equal(judgeReader(SLOW, 60_000), undefined);
  assert.equal(judgeReader({ ...SLOW, splices: 1n, reads: 1n }, 200), 'splice');
  assert.equal(judgeReader({ ...SLOW, inSplice: true }, 200), 'splice');
  assert.equal(judgeReader({ ...SLOW, inRead: true }, 200), 'blocked-read');
  assert.equal(judgeReader({ ...SLOW, inRead: true, reads: 1n }, 60_000), undefined);
  assert.equal(judgeReader({ ...SLOW, usesIoUring: true }, 900), undefined);
  assert.equal(judgeReader({ ...SLOW, usesIoUring: true }, 1_100), 'io-uring');
  assert.equal(judgeOwnerless(4_000), undefined);
  assert.equal(judgeOwnerless(6_000), 'no-owner');
});

test('tracker: only a head that stays for 200 ms is due, slow readers less and less often', () => {
  const tracker = new StallTracker();
  assert.equal(tracker.update([STALL], 0).length, 0);
  assert.equal(tracker.update([STALL], 199).length, 0);
  assert.equal(tracker.update([{ ...STALL, unread: 400 }], 200)[0]?.stalledMs, 200);
  tracker.postpone(1n, 200);
  assert.equal(tracker.update([STALL], 600).length, 0);
  assert.equal(tracker.update([{ ...STALL, unread: 400 }], 800).length, 1);
  tracker.postpone(1n, 800);
  assert.equal(tracker.update([{ ...STALL, unread: 400 }], 1_700).length, 0);
  assert.equal(tracker.update([{ ...STALL, unread: 400 }], 1_800).length, 1);
});

for (const [name, change] of [
  ['another head', { head: 0xffff2000n }],
  ['a head read in part', { headBytes: 60 }],
  ['fewer bytes behind it', { unread: 200 }],
] as const) {
  test(`tracker: ${name} is progress`, () => {
    const tracker = new StallTracker();
    tracker.update([STALL], 0);
    assert.equal(tracker.update([{ ...STALL, ...change }], 300).length, 0);
    assert.equal(StallTracker.unmoved(STALL, [{ ...STALL, ...change }]), false);
  });
}

test('tracker: a socket without unread bytes is forgotten', () => {
  const tracker = new StallTracker();
  tracker.update([STALL], 0);
  tracker.update([], 100);
  assert.equal(tracker.size, 0);
  assert.equal(StallTracker.unmoved(STALL, []), false);
});

interface Scene {
  stalls: Stall[];
  owners: SockOwner[];
  counts: CallCount[];
  calls: Map<number, ThreadCall[]>;
  activity: bigint;
  nowMs: number;
  ringUsers: Set<number>;
  pods: LearnPod[];
  /** runs while the window is open */
  during: () => void;
}

function setUp(change: Partial<Scene> = {}) {
  const scene: Scene = {
    stalls: [STALL],
    owners: [{ sock: STALL.sock, cookie: 1n, tgid: 70, fd: 4 }],
    counts: [],
    calls: new Map(),
    activity: 1n,
    nowMs: 0,
    ringUsers: new Set(),
    pods: [POD],
    during: () => undefined,
    ...change,
  };
  const log = { windows: 0, scans: 0, poked: [] as bigint[], killed: [] as bigint[] };
  const kills: StallKill[] = [];
  const source: StallSource = {
    stalls: () => {
      log.scans++;
      return scene.stalls;
    },
    owners: (sockets) =>
      scene.owners.filter(({ cookie }) => sockets.some((socket) => socket.cookie === cookie)),
    openWindow: () => {
      log.windows++;
      return { close: () => scene.counts };
    },
    poke: (cookies, paths) => {
      assert.deepEqual(
        paths,
        scene.pods.map((pod) => pod.netnsPath),
      );
      log.poked.push(...cookies);
    },
  };
  const detector = new StallDetector({
    source,
    killer: {
      end: ({ cookies }) => {
        log.killed.push(...cookies);
        return [...cookies];
      },
    },
    sampler: new SyscallSampler({
      processes: { calls: (tgid) => scene.calls.get(tgid) ?? [] },
      architecture: ARCHITECTURE,
    }),
    processes: {
      executablePath: (tgid) => `/bin/p${tgid}`,
      usesIoUring: (tgid) => scene.ringUsers.has(tgid),
    },
    pods: () => scene.pods,
    activity: () => scene.activity,
    beforeKill: () => undefined,
    onKill: (kill) => kills.push(kill),
    log: pino({ level: 'silent' }),
    now: () => scene.nowMs,
    wait: (ms) => {
      scene.nowMs += ms;
      scene.during();
      return Promise.resolve();
    },
  });
  return { scene, log, kills, detector };
}

async function runFor(detector: StallDetector, scene: Scene, ms: number): Promise<void> {
  for (const end = scene.nowMs + ms; scene.nowMs < end; scene.nowMs += 100) await detector.tick();
}

test('a reader that calls splice(2) is ended and reported', async () => {
  const { scene, log, kills, detector } = setUp({
    counts: [{ tgid: 70, fd: 4, splices: 12n, reads: 0n }],
  });
  await runFor(detector, scene, 300);
  assert.deepEqual(log.killed, [1n]);
  assert.deepEqual(log.poked, [1n]);
  assert.equal(kills[0]?.reason, 'splice');
  assert.equal(kills[0].executable, '/bin/p70');
  assert.equal(kills[0].pod, POD);
  assert.deepEqual(detector.counts().kills, {
    splice: 1,
    'blocked-read': 0,
    'io-uring': 0,
    'no-owner': 0,
  });
});

test('a thread blocked in recv() over the whole window is ended, on its descriptor only', async () => {
  const blocked = [{ number: RECV[ARCHITECTURE], firstArgument: 4 }];
  const bad = setUp({ calls: new Map([[70, blocked]]) });
  await runFor(bad.detector, bad.scene, 300);
  assert.equal(bad.kills[0]?.reason, 'blocked-read');

  const elsewhere = setUp({
    calls: new Map([
      [70, [{ number: RECV[ARCHITECTURE], firstArgument: 5 }]],
      [71, [{ number: SPLICE[ARCHITECTURE], firstArgument: 4 }]],
    ]),
  });
  await runFor(elsewhere.detector, elsewhere.scene, 3_000);
  assert.deepEqual(elsewhere.log.killed, []);
});

test('a slow reader is left alone and looked at ever less often', async () => {
  const { scene, log, kills, detector } = setUp();
  await runFor(detector, scene, 60_000);
  assert.equal(kills.length, 0);
  assert.ok(log.windows >= 5 && log.windows <= 9, `${log.windows} windows`);
});

test('progress during the check saves the connection', async () => {
  const { scene, log, detector } = setUp({
    counts: [{ tgid: 70, fd: 4, splices: 1n, reads: 0n }],
  });
  scene.during = () => (scene.stalls = []);
  await runFor(detector, scene, 300);
  assert.equal(log.windows, 1);
  assert.deepEqual(log.killed, []);
});

test('a hundred stalled sockets share one window', async () => {
  const cookies = Array.from({ length: 100 }, (_, index) => BigInt(index + 1));
  const { scene, log, kills, detector } = setUp({
    stalls: cookies.map((cookie) => ({ ...STALL, cookie, sock: cookie })),
    owners: cookies.map((cookie) => ({ sock: cookie, cookie, tgid: 70, fd: Number(cookie) })),
    counts: cookies.map((cookie) => ({ tgid: 70, fd: Number(cookie), splices: 1n, reads: 0n })),
  });
  await runFor(detector, scene, 300);
  assert.equal(log.windows, 1);
  assert.equal(kills.length, 100);
});

test('a socket that only an io_uring holds is ended after 5 s', async () => {
  const { scene, kills, detector } = setUp({ owners: [] });
  await runFor(detector, scene, 4_000);
  assert.equal(kills.length, 0);
  await runFor(detector, scene, 6_000);
  assert.equal(kills[0]?.reason, 'no-owner');
  assert.equal(kills[0].executable, '');
});

test('nothing is scanned while nothing moves and nothing is unread', async () => {
  const { scene, log, detector } = setUp({ stalls: [] });
  await runFor(detector, scene, 1_000);
  const scans = log.scans;
  assert.ok(scans <= 3, `${scans} scans`);
  await runFor(detector, scene, 20_000);
  assert.ok(log.scans - scans <= 5, `${log.scans - scans} scans when quiet`);
  scene.activity++;
  await detector.tick();
  const active = log.scans;
  scene.nowMs += 100;
  await detector.tick();
  assert.equal(log.scans, active + 1, 'a message is counted before it is queued');
});

test('a socket of a pod that is gone is left to its namespace', async () => {
  const { scene, log, detector } = setUp({
    pods: [],
    counts: [{ tgid: 70, fd: 4, splices: 1n, reads: 0n }],
  });
  await runFor(detector, scene, 300);
  assert.deepEqual(log.killed, []);
});
