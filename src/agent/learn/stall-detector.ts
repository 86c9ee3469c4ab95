/**
 * Self-healing: finds connections whose reader cannot see spliced bytes and ends them, so that nothing hangs.
 *
 * A scan costs time in proportion to the spliced sockets, so it runs only while bytes move or wait, and at most 1 % of
 * the time.  All stalled sockets of a round share one window of 60 ms.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../log.ts';
import type { CallCount, StallSource } from './detect-programs.ts';
import { MAX_TARGETS } from './detect-programs.ts';
import type { Killer } from './killer.ts';
import type { LearnPod } from './learn-pod.ts';
import type { Processes } from './processes.ts';
import { judgeOwnerless, judgeReader } from './stall-rules.ts';
import type { KillReason } from './stall-rules.ts';
import { StallTracker } from './stall-tracker.ts';
import type { StalledSocket } from './stall-tracker.ts';
import type { BlockedCalls, SyscallSampler } from './syscall-sampler.ts';
import type { SockOwner, Stall, TrustKey, WatchKey } from '../../kernel/abi/layout.gen.ts';

export interface StallKill {
  readonly reason: KillReason;
  readonly cookie: bigint;
  readonly pod: LearnPod;
  /** the process that held the descriptor; undefined for 'no-owner' */
  readonly tgid: number | undefined;
  /** path, '' when not known */
  readonly executable: string;
  /** the reader as the kernel knows it */
  readonly trust: TrustKey;
  readonly unreadBytes: number;
  readonly stalledMs: number;
}

export interface StallDetectorOptions {
  readonly source: StallSource;
  readonly killer: Pick<Killer, 'end'>;
  readonly sampler: Pick<SyscallSampler, 'sample'>;
  readonly processes: Pick<Processes, 'executablePath' | 'usesIoUring'>;
  readonly pods: () => Iterable<LearnPod>;
  /** grows with every message of a spliced socket (redirected or through TCP) */
  readonly activity: () => bigint;
  /** the descriptor's process may live on: deny its executable, write the access log */
  readonly onKill: (kill: StallKill) => void;
  /** just before: the next connection must not be spliced any more when the client sees the reset */
  readonly beforeKill: (kill: StallKill) => void;
  readonly log: Log;
  /** monotonic milliseconds */
  readonly now?: () => number;
  readonly wait?: (ms: number) => Promise<unknown>;
}

export interface StallCounts {
  readonly scans: number;
  readonly checks: number;
  readonly kills: Readonly<Record<KillReason, number>>;
}

const TICK_MS = 100;
/** while no byte moves: half the cost of an idle agent was to look */
const IDLE_TICK_MS = 200;
const WINDOW_MS = 60;
/** a round that kept this thread busy for t is followed by a pause of 100 t */
const PAUSE_FACTOR = 100;
/** for bytes that TCP had to send again, long after they were counted */
const QUIET_SCAN_MS = 5_000;

interface Verdict {
  readonly socket: StalledSocket;
  readonly reason: KillReason;
  readonly owner: SockOwner | undefined;
}

export class StallDetector {
  readonly #options: StallDetectorOptions;
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<unknown>;
  readonly #tracker = new StallTracker();
  readonly #kills: Record<KillReason, number> = {
    splice: 0,
    'blocked-read': 0,
    'io-uring': 0,
    'no-owner': 0,
  };
  #scans = 0;
  #checks = 0;
  #lastActivity: bigint | undefined;
  #lastScanMs = -Infinity;
  #quiet = false;
  #waitedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #running = false;

  constructor(options: StallDetectorOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#wait = options.wait ?? ((ms) => sleep(ms));
  }

  start(): void {
    this.#running = true;
    this.#schedule(TICK_MS);
  }

  /** Waits for a check under way. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    await this.#round;
  }

  counts(): StallCounts {
    return { scans: this.#scans, checks: this.#checks, kills: { ...this.#kills } };
  }

  /** One round; public for tests. Returns how long this thread was busy. */
  async tick(): Promise<number> {
    const startMs = this.#now();
    if (!this.#isScanDue(startMs)) return 0;
    this.#lastScanMs = startMs;
    const stalls = this.#options.source.stalls();
    this.#scans++;
    const due = this.#tracker.update(stalls, this.#now()).slice(0, MAX_TARGETS);
    this.#waitedMs = 0;
    if (due.length > 0) await this.#check(due);
    return this.#now() - startMs - this.#waitedMs;
  }

  /** A message is counted before it is queued: one more scan follows the last one counted. */
  #isScanDue(nowMs: number): boolean {
    const activity = this.#options.activity();
    const quietBefore = this.#quiet;
    this.#quiet = activity === this.#lastActivity;
    this.#lastActivity = activity;
    if (!this.#quiet || !quietBefore || this.#tracker.size > 0) return true;
    return nowMs - this.#lastScanMs >= QUIET_SCAN_MS;
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#round = this.#runRound();
    }, delayMs).unref();
  }

  async #runRound(): Promise<void> {
    let busyMs = 0;
    try {
      busyMs = await this.tick();
    } catch (error) {
      this.#options.log.error({ err: error }, 'stall check failed');
    }
    const tickMs = this.#quiet && this.#tracker.size === 0 ? IDLE_TICK_MS : TICK_MS;
    if (this.#running) this.#schedule(Math.max(tickMs, PAUSE_FACTOR * busyMs));
  }

  async #check(due: readonly StalledSocket[]): Promise<void> {
    const { source } = this.#options;
    this.#checks += due.length;
    const owners = source.owners(due.map(({ stall }) => stall));
    const verdicts = await this.#watch(due, owners);
    const now = source.stalls();
    const confirmed = verdicts.filter(({ socket }) => StallTracker.unmoved(socket.stall, now));
    const killed = this.#kill(confirmed);
    for (const { stall } of due) {
      if (!killed.has(stall.cookie)) this.#tracker.postpone(stall.cookie, this.#now());
    }
  }

  async #watch(due: readonly StalledSocket[], owners: readonly SockOwner[]): Promise<Verdict[]> {
    const { source, sampler } = this.#options;
    const tgids = new Set(owners.map((owner) => owner.tgid));
    const before = sampler.sample(tgids);
    const window = source.openWindow(owners);
    let after: BlockedCalls;
    let counts: CallCount[];
    try {
      source.poke(
        due.map(({ stall }) => stall.cookie),
        this.#netnsPathsOf(due),
      );
      const fromMs = this.#now();
      await this.#wait(WINDOW_MS);
      this.#waitedMs = this.#now() - fromMs;
      after = sampler.sample(tgids);
    } finally {
      counts = window.close();
    }
    const byTarget = new Map(counts.map((count) => [targetText(count), count]));
    const ringUsers = new Set(
      [...tgids].filter((tgid) => this.#options.processes.usesIoUring(tgid)),
    );
    return due.flatMap((socket): Verdict[] => {
      const mine = owners.filter((owner) => owner.cookie === socket.stall.cookie);
      if (mine.length === 0) {
        const reason = judgeOwnerless(socket.stalledMs);
        return reason === undefined ? [] : [{ socket, reason, owner: undefined }];
      }
      const reads = mine.reduce(
        (sum, owner) => sum + (byTarget.get(targetText(owner))?.reads ?? 0n),
        0n,
      );
      for (const owner of mine) {
        const evidence = {
          splices: byTarget.get(targetText(owner))?.splices ?? 0n,
          reads,
          inSplice: before.inSplice(owner) || after.inSplice(owner),
          inRead: before.inRead(owner) && after.inRead(owner),
          usesIoUring: ringUsers.has(owner.tgid),
        };
        const reason = judgeReader(evidence, socket.stalledMs);
        if (reason !== undefined) return [{ socket, reason, owner }];
      }
      return [];
    });
  }

  /** Returns the cookies of the ended sockets. A pod that is not known any more goes with its sockets. */
  #kill(verdicts: readonly Verdict[]): Set<bigint> {
    const byPod = new Map<LearnPod, Verdict[]>();
    for (const verdict of verdicts) {
      const pod = this.#podOf(verdict.socket.stall);
      if (pod !== undefined) byPod.set(pod, [...(byPod.get(pod) ?? []), verdict]);
    }
    const killed = new Set<bigint>();
    for (const [pod, ofPod] of byPod) {
      const kills = ofPod.map((verdict) => this.#describe(verdict, pod)); // while the processes live
      const cookies = kills.map((kill) => kill.cookie);
      for (const kill of kills) this.#options.beforeKill(kill);
      const ended = new Set(this.#options.killer.end({ cookies, netnsPaths: [pod.netnsPath] }));
      for (const kill of kills.filter(({ cookie }) => ended.has(cookie))) this.#report(kill);
      for (const cookie of ended) killed.add(cookie);
    }
    return killed;
  }

  #describe({ socket, reason, owner }: Verdict, pod: LearnPod): StallKill {
    const { stall, stalledMs } = socket;
    const tgid = owner?.tgid;
    return {
      reason,
      cookie: stall.cookie,
      pod,
      tgid,
      executable: tgid === undefined ? '' : (this.#options.processes.executablePath(tgid) ?? ''),
      trust: stall.trust,
      unreadBytes: stall.unread,
      stalledMs: Math.round(stalledMs),
    };
  }

  #report(kill: StallKill): void {
    const { reason, executable, pod, unreadBytes, stalledMs } = kill;
    this.#kills[reason]++;
    this.#options.log.warn(
      { reason, executable, workload: pod.workloadText, unreadBytes, stalledMs },
      'connection reset: its reader cannot see spliced bytes',
    );
    this.#options.onKill(kill);
  }

  #podOf(stall: Stall): LearnPod | undefined {
    for (const pod of this.#options.pods()) if (pod.netns === stall.netns) return pod;
    return undefined;
  }

  #netnsPathsOf(due: readonly StalledSocket[]): string[] {
    const namespaces = new Set(due.map(({ stall }) => stall.netns));
    return [...this.#options.pods()]
      .filter((pod) => namespaces.has(pod.netns))
      .map((pod) => pod.netnsPath);
  }
}

function targetText({ tgid, fd }: WatchKey): string {
  return `${tgid} ${fd}`;
}
