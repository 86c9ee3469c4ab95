/** What the Observer is made of and what it tells. */
import type { Log } from '../../log.ts';
import type { TrustKey } from '../../kernel/abi/layout.gen.ts';
import type { BpfMap } from '../../kernel/binding.ts';
import type { ExecutableInspector } from './executable.ts';
import type { LearnPod } from './learn-pod.ts';
import type { ObservationSource } from './observation.ts';
import type { Processes } from './processes.ts';
import type { DenyReason, TrustLimits } from './trust-policy.ts';
import type { TrustStore } from './trust-store.ts';

export interface ObserverOptions {
  /** the mesh object's map `trust` */
  readonly trust: BpfMap;
  readonly observation: ObservationSource;
  readonly inspector: ExecutableInspector;
  readonly processes: Processes;
  readonly store: TrustStore;
  readonly pods: () => Iterable<LearnPod>;
  /** argument hashes are needed for listeners of an executable: adopt them again */
  readonly onInterpreter: () => void;
  readonly log: Log;
  readonly limits?: TrustLimits;
  /** monotonic milliseconds */
  readonly now?: () => number;
}

export interface ObserverStatus {
  readonly attached: boolean;
  readonly learning: number;
  readonly trusted: number;
  readonly denied: Readonly<Partial<Record<DenyReason, number>>>;
}

/** Whose connection was reset. */
export interface StalledReader {
  /** undefined: no process held the socket */
  readonly tgid: number | undefined;
  /** the reader as the kernel knows it */
  readonly trust: TrustKey;
  readonly workload: number;
}
