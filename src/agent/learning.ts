/** Observe, then splice, and self-healing: what src/agent/learn offers, joined with this node's pods and maps. */
import { join } from 'node:path';
import type { Log } from '../log.ts';
import type { TrustEvent } from '../kernel/abi/layout.gen.ts';
import { Counter } from '../kernel/abi/layout.gen.ts';
import type { Binding, BpfMap } from '../kernel/binding.ts';
import { sumRows } from '../kernel/counters.ts';
import type { DataPath } from '../kernel/data-path.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Cuts } from './cuts.ts';
import { DetectPrograms } from './learn/detect-programs.ts';
import { ExecutableInspector } from './learn/executable.ts';
import { Killer } from './learn/killer.ts';
import type { LearnPod } from './learn/learn-pod.ts';
import { ListenerAdoption } from './learn/listeners.ts';
import { Observation, type ObservationSource } from './learn/observation.ts';
import { Observer } from './learn/observer.ts';
import { Processes } from './learn/processes.ts';
import { StallDetector } from './learn/stall-detector.ts';
import { SyscallSampler } from './learn/syscall-sampler.ts';
import { TrustStore } from './learn/trust-store.ts';

export interface LearningOptions {
  readonly binding: Binding;
  readonly objects: string;
  readonly path: DataPath;
  readonly reconciler: Reconciler;
  readonly stateDir: string;
  /** sockhashes of older generations: their sockets are healed as well */
  readonly olderSocks: readonly BpfMap[];
  readonly cuts: Cuts;
  readonly log: Log;
}

export class Learning {
  readonly killer: Killer;
  /** this generation's first */
  readonly detectors: readonly StallDetector[];
  readonly observer: Observer;
  readonly #adoption: ListenerAdoption;
  readonly #log: Log;
  readonly #programs: readonly DetectPrograms[];
  readonly #observation: ObservationSource & { close(): void };
  #adopting: NodeJS.Immediate | undefined;

  constructor(options: LearningOptions) {
    const { binding, objects, path, reconciler, stateDir, cuts, log } = options;
    this.#log = log;
    const conns = path.map('conns');
    const processes = new Processes();
    const pods = (): LearnPod[] => learnPods(reconciler);
    const objectPath = join(objects, 'detect.bpf.o');
    const own = new DetectPrograms({ binding, objectPath, socks: path.map('socks'), conns });
    const older = options.olderSocks.map(
      (socks) => new DetectPrograms({ binding, objectPath, socks }),
    );
    this.#programs = [own, ...older];
    this.#observation = openObservation(() => {
      return new Observation({ binding, objectPath: join(objects, 'observe.bpf.o'), conns });
    }, log);
    this.killer = new Killer({ programs: own });
    const store = new TrustStore({ folder: stateDir, log });
    store.load();
    this.#adoption = new ListenerAdoption({
      adopt: () => path.readAdopted(),
      argvHashes: path.map('argv_hashes'),
      processes,
    });
    this.observer = new Observer({
      trust: path.map('trust'),
      observation: this.#observation,
      inspector: new ExecutableInspector({ processes }),
      processes,
      store,
      pods,
      onInterpreter: () => this.adoptSoon(),
      log: log.child({ component: 'observer' }),
    });
    const detectorOf = (source: DetectPrograms, activity: () => bigint): StallDetector =>
      new StallDetector({
        source,
        killer: this.killer,
        sampler: new SyscallSampler({ processes }),
        processes,
        pods,
        activity,
        beforeKill: ({ tgid, trust, pod }) => {
          void this.observer.denyStalled({ tgid, trust, workload: pod.workload });
        },
        onKill: (kill) =>
          cuts.add([kill.cookie], { reason: 'stalled-reader', policy: '', rule: '' }),
        log: log.child({ component: 'detector' }),
      });
    this.detectors = [
      detectorOf(own, () => {
        const sums = sumRows(path.map('counters'), Counter.MAX);
        return (sums[Counter.REDIRECT_MESSAGES] ?? 0n) + (sums[Counter.TCP_MESSAGES] ?? 0n);
      }),
      /* its counters have another layout, so it counts as always moving; it lives only as long as its sockets */
      ...older.map((programs) => detectorOf(programs, () => binding.monotonicNs())),
    ];
  }

  start(): void {
    this.adopt();
    this.observer.start();
    for (const detector of this.detectors) detector.start();
  }

  /** Writes the owners of listeners that are older than the agent, or than their pod's enrolment. */
  adopt(): void {
    this.#adoption.run();
  }

  /** Once, after this turn. */
  adoptSoon(): void {
    this.#adopting ??= setImmediate(() => {
      this.#adopting = undefined;
      try {
        this.adopt();
      } catch (err) {
        this.#log.error({ err }, 'listeners could not be looked at: their pods learn later');
      }
    });
  }

  onTrust(event: TrustEvent): void {
    this.observer.onTrustEvent(event);
  }

  async close(): Promise<void> {
    clearImmediate(this.#adopting);
    await Promise.all(this.detectors.map((detector) => detector.stop()));
    this.observer.stop();
    this.#observation.close();
    for (const programs of this.#programs) programs.close();
  }
}

function learnPods(reconciler: Reconciler): LearnPod[] {
  return reconciler.captured().map(({ entry, netnsCookie }) => ({
    netns: netnsCookie,
    netnsPath: entry.netnsPath,
    workload: entry.workload,
    workloadText: `${entry.namespace}/${entry.workloadName}`,
    learn:
      entry.splice === 'default' ||
      entry.splice === 'observe' ||
      [...entry.portModes.values()].includes('default'),
  }));
}

/** Without syscall tracepoints nothing is ever trusted by observation: unknown executables stay plain. */
function openObservation(open: () => Observation, log: Log): ObservationSource & { close(): void } {
  try {
    return open();
  } catch (err) {
    log.warn({ err }, 'executables cannot be observed: only pods annotated always are spliced');
    return {
      attached: false,
      attach: () => undefined,
      detach: () => undefined,
      watch: () => undefined,
      observed: () => [],
      liveConnections: () => [],
      close: () => undefined,
    };
  }
}
