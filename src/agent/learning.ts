/** Observe, then splice, and self-healing: what src/agent/learn offers, joined with this node's pods and maps. */
import { join } from 'node:path';
import type { Log } from '../log.ts';
import type { TrustEvent } from '../kernel/abi/layout.gen.ts';
import { Counter } from '../kernel/abi/layout.gen.ts';
import type { Binding } from '../kernel/binding.ts';
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
  readonly cuts: Cuts;
  readonly log: Log;
}

export class Learning {
  readonly killer: Killer;
  readonly detector: StallDetector;
  readonly observer: Observer;
  readonly #adoption: ListenerAdoption;
  readonly #programs: DetectPrograms;
  readonly #observation: ObservationSource & { close(): void };
  #adopting: NodeJS.Immediate | undefined;

  constructor(options: LearningOptions) {
    const { binding, objects, path, reconciler, stateDir, cuts, log } = options;
    const conns = path.map('conns');
    const processes = new Processes();
    const pods = (): LearnPod[] => learnPods(reconciler);
    this.#programs = new DetectPrograms({
      binding,
      objectPath: join(objects, 'detect.bpf.o'),
      socks: path.map('socks'),
      conns,
    });
    this.#observation = openObservation(() => {
      const objectPath = join(objects, 'observe.bpf.o');
      return new Observation({ binding, objectPath, conns });
    }, log);
    this.killer = new Killer({ programs: this.#programs });
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
    this.detector = new StallDetector({
      source: this.#programs,
      killer: this.killer,
      sampler: new SyscallSampler({ processes }),
      processes,
      pods,
      activity: () => {
        const sums = sumRows(path.map('counters'), Counter.MAX);
        return (sums[Counter.REDIRECT_MESSAGES] ?? 0n) + (sums[Counter.TCP_MESSAGES] ?? 0n);
      },
      onKill: (kill) => {
        cuts.add([kill.cookie], 'stalled-reader');
        const { workload } = kill.pod;
        void this.observer.denyStalled({ tgid: kill.tgid, trust: kill.trust, workload });
      },
      log: log.child({ component: 'detector' }),
    });
  }

  start(): void {
    this.adopt();
    this.observer.start();
    this.detector.start();
  }

  /** Writes the owners of listeners that are older than the agent, or than their pod's enrolment. */
  adopt(): void {
    this.#adoption.run();
  }

  /** Once, after this turn. */
  adoptSoon(): void {
    this.#adopting ??= setImmediate(() => {
      this.#adopting = undefined;
      this.adopt();
    });
  }

  onTrust(event: TrustEvent): void {
    this.observer.onTrustEvent(event);
  }

  async close(): Promise<void> {
    clearImmediate(this.#adopting);
    await this.detector.stop();
    this.observer.stop();
    this.#observation.close();
    this.#programs.close();
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
